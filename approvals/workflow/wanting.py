"""Whose approval a request still wants: how many, who of them can, and which policy asks."""

from __future__ import annotations

from dataclasses import dataclass

from access.holders import people_who_may
from access.machines import keepers_of
from approvals.models import ChangeRequest
from approvals.policy_document import Requirements
from approvals.workflow.applying import approvers, beneficiaries, proposers
from approvals.workflow.needs import needs_of, of_share
from approvals.workflow.reach import touched_by_request


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many approvals that are still missing. `team` or `role`: of those only. `who`: names of those who can."""

    count: int
    team: str
    role: str
    who: tuple[str, ...]


def still_wanted(request: ChangeRequest) -> tuple[list[Wanted], Requirements]:
    """What is missing of the approvals, the narrowest first, and all that is asked for and by whom."""
    needs = needs_of(request.project, request.change["operations"])
    needs |= Requirements(request.change["required_approvals"])
    touched, given = touched_by_request(request), approvers(request)
    barred = (
        proposers(request)
        | given
        | beneficiaries(request.change["operations"])
        | keepers_of(request.proposer)
    )
    able = {
        user.pseudonym: str(user)
        for user in people_who_may("change.approve", request.project, touched)
        if user.pseudonym not in barred
    }
    found = []
    for share in needs.shares:
        missing = share.count - len(of_share(request.project, share, given, touched))
        if missing > 0:
            people = of_share(request.project, share, able.keys(), touched)
            found.append(
                Wanted(missing, share.team, share.role, tuple(sorted(able[each] for each in people)))
            )
    # Those of a share count among all.
    others = needs.approvals - len(given) - sum(each.count for each in found)
    if others > 0:
        found.append(Wanted(others, "", "", tuple(sorted(able.values()))))
    return found, needs
