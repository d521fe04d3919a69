"""What a request is decided on as things stand: what it touches, who asked for it, who approved, what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property

from access.holders import eligible
from access.limits import Touched
from access.machines import keepers_of
from access.models import TeamMember
from approvals import policies
from approvals.models import ChangeRequest, Review
from approvals.policy_document import Requirements
from approvals.workflow.divergence import Divergence, divergences
from approvals.workflow.needs import missing_approvals, needs_of
from approvals.workflow.reach import touched_by
from approvals.workflow.request import verdicts
from approvals.workflow.validity import Operation
from audit.models import Event
from audit.recording import pending
from flags.reads import Reads
from flags.subjects import Subject


class Basis:
    """Each part is read once, when it is first asked for, and is the same for everybody who asks this object.

    Of one moment: who is to write makes one anew, once the request is locked.
    """

    def __init__(self, request: ChangeRequest) -> None:
        self.request, self.reads = request, Reads()

    @cached_property
    def touched(self) -> list[Touched]:
        """What it touches, later stages and the way back included."""
        return touched_by(self.request.project, self.request.change["operations"], self.reads)

    @cached_property
    def needs(self) -> Requirements:
        """What policies ask for now, and never fewer approvals than were promised when it was proposed."""
        change = self.request.change
        asked = needs_of(self.request.project, change["operations"], self.reads)
        return asked | Requirements(change["required_approvals"])

    @cached_property
    def proposers(self) -> set[str]:
        """Those who may not count as reviewers of it."""
        return proposers(self.request)

    @cached_property
    def approvers(self) -> set[str]:
        """Who approved this revision, as recorded in the ledger, and may still review here."""
        named = recorded_approvers(self.request) - self.proposers
        return eligible(named, "change.approve", self.request.project, self.touched)

    @cached_property
    def missing(self) -> list[str]:
        """What is missing of the approvals that it needs, a phrase each."""
        return missing_approvals(self.request.project, self.needs, self.approvers, self.touched)

    @cached_property
    def divergences(self) -> list[Divergence]:
        """What changed under it since it was made."""
        return divergences(self.request)

    @cached_property
    def on_call_may_revert(self) -> bool:
        """Whether policies let on-call take it back at once."""
        return policies.on_call_may_revert(self.request.project, self.touched, self.reads)


def recorded_approvers(request: ChangeRequest) -> set[str]:
    """Who approved this revision, as recorded in the ledger, whatever they may do now."""
    rows = verdicts(request).filter(verdict=Review.Verdict.APPROVED, digest=request.digest)
    return {review.reviewer for review in rows.select_related("event") if _is_recorded(review)}


def proposers(request: ChangeRequest) -> set[str]:
    """Who proposed this revision, by its row and by the ledger: none of them may count as a reviewer.

    Nor those who made a token of the service account that did: they may have kept it. Nor whose roles it changes.
    """
    proposed = Event.objects.filter(
        change_id=request.change_id, type="approvals.v1.change_request.proposed"
    ).values_list("actor", flat=True)
    return {
        request.proposer,
        *proposed,
        *keepers_of(request.proposer),
        *beneficiaries(request.change["operations"]),
    }


def beneficiaries(operations: Sequence[Operation]) -> set[str]:
    """Whose roles a change is about: the members, and the people in a team that is one."""
    members = {
        subject.key
        for operation in operations
        if (subject := Subject.parse(operation["subject"])).kind == "member"
    }
    in_teams = TeamMember.objects.filter(team__pseudonym__in=members).values_list("member", flat=True)
    return members | set(in_teams) if members else members


def _is_recorded(review: Review) -> bool:
    """Whether the ledger holds, or this transaction will append, the approval that the row claims.

    Of this very digest: rows can be made to agree with each other behind the gate, the ledger cannot.
    """
    approved = ("approvals.v1.change_request.approved", review.reviewer, review.change_id, review.digest)
    if review.event_id is None:
        return False
    for event in pending():
        if event.id == review.event_id:
            return (event.type, event.actor, event.change_id, event.data["digest"]) == approved
    row = review.event
    if row is None or row.type != approved[0]:
        return False
    return (row.type, row.actor, row.change_id, json.loads(row.line)["data"]["digest"]) == approved
