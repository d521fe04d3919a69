"""Renders docs/change-requests.md from tests/gate/steps.py.

`manage.py shell --no-imports -c "from tests.docs.change_requests_page import write; write()"`
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from access.roles import SYSTEM, VERBS, Fresh, Role, label_of
from approvals.models import ChangeRequest
from tests.gate.steps import ANY, STEPS

State = ChangeRequest.State
PAGE = Path(__file__).resolve().parents[2] / "docs" / "change-requests.md"
STATES = {
    State.IN_REVIEW: "approvals are missing; open",
    State.APPROVED: "it has them all, or needs none, and was not carried out yet; open",
    State.APPLIED: "it was carried out",
    State.REJECTED: "a reviewer ended it",
    State.WITHDRAWN: "its proposer took it back",
    State.LAPSED: "it was open when a new ledger was opened after a restore",
}
INTRODUCTION = """\
# What becomes of a change request

This page is made from the one declaration in `tests/gate/steps.py`, and a test asks the real verbs for every role,
protected environment and not, state, and one's own request and somebody else's. After a change of it:
`.venv/bin/python manage.py shell --no-imports -c "from tests.docs.change_requests_page import write; write()"`.

Who holds which verb is in the [table of roles](roles.md); what can be asked for, and how, is in
[the guide to the gate](gate.md). `…` stands for `/api/v1/change-requests/<number>`; the page is that of the request,
`/admin/p/<project>/requests/<number>/`.

## States
"""
VERBS_HEADING = """
## Verbs

Each needs all that its line says. Where something is missing, it is refused with the reason, and nothing changed:
without the role 403, otherwise 409, or 422 for a text or time that cannot be.

| | what it does | in the state | whose | who | leads to | page | API |
|---|---|---|---|---|---|---|---|"""
NOTES = """
¹ Only people: a service account may hold the role, but its verdict is refused.

² Asks people for a second factor that is fresh where a protected environment is touched and the organisation has set an
age for it ([signing-in.md](signing-in.md#second-factors)).

*Tasks* are ours: what is scheduled is applied by them under the same conditions. A service account's requests are not
reviewed by whoever made a token of it.

## Protected, and not

An environment is protected or not, and policies ask for more where they match. The verbs are the same, and so is who
may use them. Where no approval is asked for, a new request is approved at once, and applied in the same transaction
unless a later time, or none, was named; an edit or rebase of one that waits leaves it approved. A protected
environment asks for at least one approval and a rationale, whatever policies say.

## What else they need
"""


def render() -> str:
    """The whole page."""
    return "\n".join(
        [
            INTRODUCTION,
            *(f"* **{state.label}**: {meaning}." for state, meaning in STATES.items()),
            VERBS_HEADING,
            *_lines(),
            NOTES,
            *(f"* **{name}**: {step.also}" for name, step in STEPS.items() if step.also),
            "",
        ]
    )


def _lines() -> Iterator[str]:
    for name, step in STEPS.items():
        states = "any" if step.states == ANY else ", ".join(s.label for s in State if s in step.states)
        roles = [label_of(role) for role in Role if role in VERBS[step.verb].roles]
        roles += ["tasks"] if SYSTEM in VERBS[step.verb].roles and not step.people_only else []
        notes = (" ¹" if step.people_only else "") + (
            " ²" if VERBS[step.verb].fresh is Fresh.PROTECTED else ""
        )
        leads_to = step.leads_to.label if step.leads_to else "–"
        api = f"`{step.api}`" if step.api else "–"
        yield (
            f"| **{name}**{notes} | {step.purpose} | {states} | {step.whose} | `{step.verb}`: {', '.join(roles)} "
            f"| {leads_to} | {step.page} | {api} |"
        )


def write() -> None:
    """Write the page anew."""
    PAGE.write_text(render(), encoding="utf-8")
