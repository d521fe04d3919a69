"""Renders docs/roles.md from access/roles.py: `python -m tests.docs.roles_page > docs/roles.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from access.roles import PURPOSES, SYSTEM, VERBS, Fresh, OrganisationRole, Role, Verb, label_of

INTRODUCTION = """\
# Who may do what

This page is made from the one table in `access/roles.py`, and a test keeps the two the same. After a change
of the table: `.venv/bin/python -m tests.docs.roles_page > docs/roles.md`.

A role is held in a project, or in the whole organisation. Roles add up, and none contains another by itself:
an administrator reviews because the table says so, not because of rank. *Tasks* are our own scheduled ones;
they only carry out what people approved, or ask for a review like everybody else.

A person, a service account or a **team** holds a role; whoever is in a team holds what it holds. An organisation
may define **custom roles**: sets of the verbs of projects. In a project a role may be **limited** to some
environments, kinds of flags or tags, or to flags that are not critical: then it holds its verbs there only, and
those marked ¹ not at all. A limit narrows what one may do; what one may see is a question of the project. Whoever
changes a flag's kind or tags needs to reach it as it was and as it will be. A change of a segment reaches the
flags that name it.
"""

NOTES = """\
What the table does not say, because it is not a question of roles:

* Nobody approves or rejects their own change, and nobody reviews their own kill.
* Only people approve. A service account may hold any role, but its approval is refused.
* Only the proposer edits or withdraws a request.
* An approval counts at the moment of applying: whoever has lost the role by then does not count.
* Verbs marked ² ask people for a second factor that is fresh, where the organisation has set an age for it
  ([signing-in.md](signing-in.md#second-factors)); `change.approve` where it touches a protected environment.
* A role can be made to need a second factor: to people without one it gives nothing until they set one up.
* `audit.export` covers the whole log, so it is needed in every project (see [contracts.md](contracts.md)).
* Whom `manage.py createsuperuser` made are organisation administrators without holding the role: whoever
  runs commands there could give it to themselves.
* The team of a service account makes and revokes its tokens. Whoever made one may have kept it, so they do not
  review what that account proposes.
* What somebody may not see does not exist for them: the answer is "not found", not "forbidden".
"""


def render() -> str:
    """The whole page."""
    of_project = {name: verb for name, verb in VERBS.items() if verb.is_of_project}
    of_organisation = {name: verb for name, verb in VERBS.items() if set(verb.roles) & set(OrganisationRole)}
    return "\n".join(
        [
            INTRODUCTION,
            *(f"* **{label_of(role)}** {purpose}." for role, purpose in PURPOSES.items()),
            "\n## In a project\n",
            *_table(of_project, [*Role, SYSTEM]),
            "\n## In the whole organisation\n",
            *_table(of_organisation, [*OrganisationRole]),
            "",
            NOTES,
        ]
    )


def _table(verbs: Mapping[str, Verb], roles: Sequence[str]) -> Iterator[str]:
    labels = ["Tasks" if role == SYSTEM else label_of(role) for role in roles]
    yield f"| verb | what it lets one do | {' | '.join(labels)} |"
    yield "|---|---|" + ":-:|" * len(roles)
    for name, verb in verbs.items():
        marks = ["✓" if role in verb.roles else "" for role in roles]
        notes = ("" if verb.limitable else " ¹") + ("" if verb.fresh is Fresh.NEVER else " ²")
        yield f"| `{name}`{notes} | {verb.purpose} | {' | '.join(marks)} |"


if __name__ == "__main__":
    print(render(), end="")
