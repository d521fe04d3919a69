"""What each verb of a change request needs: the one declaration, asked by a test and shown on a page.

The test is `test_steps.py`, the page docs/change-requests.md (`tests.docs.change_requests_page`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from approvals.models import ChangeRequest

State = ChangeRequest.State
OPEN = frozenset(ChangeRequest.OPEN)
ANY = frozenset(State)


class Whose(enum.StrEnum):
    """Whose request somebody may do it to."""

    ANYBODYS = "anybody's"
    OWN = "one's own"
    OTHERS = "somebody else's"


@dataclass(frozen=True, slots=True)
class Step:
    """A verb of a change request, and what it needs. All of it, or it is refused and nothing changed."""

    purpose: str
    # Of `access.roles.VERBS`: which roles may.
    verb: str
    states: frozenset[str]
    whose: Whose = Whose.ANYBODYS
    # The state that it leads to; None: the state stays. In review is approved where nobody has to approve.
    leads_to: State | None = None
    # Whether a service account that holds the role may not.
    people_only: bool = False
    # What else it needs, as a sentence.
    also: str = ""
    api: str = ""
    page: str = ""


STEPS: Mapping[str, Step] = {
    "comment": Step(
        "say something about it; it is no part of the evidence",
        "change.comment",
        ANY,
        api="POST …/comment",
        page="Add comment",
    ),
    "resolve": Step(
        "say that a thread of comments is settled, or open again",
        "change.comment",
        ANY,
        api="POST …/resolve",
        page="Mark as resolved",
    ),
    "edit": Step(
        "replace it by a new revision, with a digest of its own; approvals do not carry over",
        "change.propose",
        OPEN,
        Whose.OWN,
        State.IN_REVIEW,
        also="It is no rollout plan.",
        api="PUT …",
        page="Edit",
    ),
    "rebase": Step(
        "bring it up to what stands now, as a new revision",
        "change.propose",
        OPEN,
        Whose.OWN,
        State.IN_REVIEW,
        also="Something changed under it since, and no member was changed by both.",
        api="POST …/rebase",
        page="Rebase on what stands now",
    ),
    "withdraw": Step(
        "take it back before it is applied",
        "change.propose",
        OPEN,
        Whose.OWN,
        State.WITHDRAWN,
        api="POST …/withdraw",
        page="Withdraw",
    ),
    "approve": Step(
        "agree to exactly what was shown; the last approval applies what is due",
        "change.approve",
        OPEN,
        Whose.OTHERS,
        State.APPROVED,
        people_only=True,
        also="One has not judged this revision before.",
        api="POST …/approve",
        page="Approve",
    ),
    "reject": Step(
        "end it",
        "change.reject",
        OPEN,
        Whose.OTHERS,
        State.REJECTED,
        people_only=True,
        also="One has not judged this revision before.",
        api="POST …/reject",
        page="Reject",
    ),
    "schedule": Step(
        "say when it is applied, or that somebody does it by hand",
        "change.schedule",
        OPEN,
        also="The time is in the future, and not before the one from which the approval holds.",
        api="POST …/schedule",
        page="Set the time",
    ),
    "apply": Step(
        "carry it out, all of it or nothing",
        "change.apply",
        frozenset({State.APPROVED}),
        leads_to=State.APPLIED,
        also="Its approvals still count, nothing changed under it, and no [check](checks.md) blocks it.",
        api="POST …/apply",
        page="Apply now",
    ),
    "confirm": Step(
        "keep what would go back by itself",
        "change.apply",
        frozenset({State.APPLIED}),
        also="It waits to be confirmed.",
        api="POST …/confirm",
        page="Confirm: it stays",
    ),
    "revert": Step(
        "ask for what stood before; a request of its own, which is reviewed",
        "change.propose",
        frozenset({State.APPLIED}),
        also="What it changed stands as it left it.",
        api="POST …/revert",
        page="Revert",
    ),
    "revert-at-once": Step(
        "take it back without another review, which is owed afterwards",
        "flag.kill",
        frozenset({State.APPLIED}),
        also="The policies of all its environments let on-call, it was applied within 24 hours, and what it "
        "changed stands as it left it.",
        api="POST …/revert-at-once",
        page="Take it back now",
    ),
    "again": Step(
        "propose again what lapsed with its ledger; a request of its own, which is reviewed",
        "change.propose",
        frozenset({State.LAPSED}),
        Whose.OWN,
        page="Propose it again",
    ),
}
