"""Whose approval a request still wants: how many, who of them can, and which policy asks."""

from __future__ import annotations

from dataclasses import dataclass

from access.holders import people_who_may
from approvals.workflow.basis import Basis
from approvals.workflow.needs import of_share


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many approvals that are still missing. `team` or `role`: of those only. `who`: names of those who can."""

    count: int
    team: str
    role: str
    who: tuple[str, ...]


def still_wanted(basis: Basis) -> list[Wanted]:
    """What is missing of the approvals that a request needs, the narrowest first."""
    if not basis.missing:
        return []
    project, touched, given = basis.request.project, basis.touched, basis.approvers
    able = {
        user.pseudonym: str(user)
        for user in people_who_may("change.approve", project, touched)
        if user.pseudonym not in basis.proposers | given
    }
    found = []
    for share in basis.needs.shares:
        missing = share.count - len(of_share(project, share, given, touched))
        if missing > 0:
            people = of_share(project, share, able.keys(), touched)
            found.append(
                Wanted(missing, share.team, share.role, tuple(sorted(able[each] for each in people)))
            )
    # Those of a share count among all.
    others = basis.needs.approvals - len(given) - sum(each.count for each in found)
    if others > 0:
        found.append(Wanted(others, "", "", tuple(sorted(able.values()))))
    return found
