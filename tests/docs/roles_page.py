"""Renders docs/roles.md from access/roles.py: `python -m tests.docs.roles_page > docs/roles.md`."""

from __future__ import annotations

from access.roles import SYSTEM, VERBS, Role

INTRODUCTION = """\
# Who may do what

This page is made from the one table in `access/roles.py`, and a test keeps the two the same. After a change
of the table: `.venv/bin/python -m tests.docs.roles_page > docs/roles.md`.

A role is held in a project. Roles add up, and none contains another by itself: an administrator reviews
because the table says so, not because of rank. *Tasks* are our own scheduled ones; they only carry out what
people approved, or ask for a review like everybody else.
"""

NOTES = """\
What the table does not say, because it is not a question of roles:

* Nobody approves or rejects their own change, and nobody reviews their own kill.
* Only people approve. A service account may hold any role, but its approval is refused.
* Only the proposer edits or withdraws a request.
* An approval counts at the moment of applying: whoever has lost the role by then does not count.
* `audit.export` covers the whole log, so it is needed in every project (see [contracts.md](contracts.md)).
* Projects and service accounts are made by organisation administrators. They are the people whom
  `manage.py createsuperuser` makes; that right is not per project, and not in this table.
* What somebody may not see does not exist for them: the answer is "not found", not "forbidden".
"""


def render() -> str:
    """The whole page."""
    roles = [*(role.label for role in Role), "Tasks"]
    lines = ["| verb | " + " | ".join(roles) + " |", "|---|" + ":-:|" * len(roles)]
    for verb, holders in VERBS.items():
        marks = ["✓" if role in holders else "" for role in [*Role, SYSTEM]]
        lines.append(f"| `{verb}` | " + " | ".join(marks) + " |")
    return "\n".join([INTRODUCTION, *lines, "", NOTES])


if __name__ == "__main__":
    print(render(), end="")
