"""What a change needs by the policies, what of it is there, and what is missing, in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from django.utils import timezone

from access.holders import standings
from access.limits import Touched
from access.models import TeamMember
from approvals.policies import Rules
from approvals.policy_document import Requirements, ServedIn, Share, read_policy
from approvals.workflow.reach import touched_by
from approvals.workflow.validity import Operation, environments_of
from flags import wording
from flags.models import FlagConfiguration, Project
from flags.reads import Reads
from flags.subjects import Subject


def needs_of(project: Project, operations: Sequence[Operation], reads: Reads | None = None) -> Requirements:
    """What the policies ask for, all of the operations together.

    Who gives roles is asked for what policies that cover access say; a policy is changed under what it asks
    for itself, whatever flags it is about. Expecting more of a flag asks for nothing.
    """
    reads = reads or Reads()
    rules = Rules(project, reads)
    asking = [
        each
        for each in operations
        if Subject.parse(each["subject"]).kind != "expectations" or environments_of(project, [each], reads)
    ]
    needs = rules.ask(environments_of(project, asking, reads), touched_by(project, asking, reads))
    for operation in operations:
        kind = Subject.parse(operation["subject"]).kind
        if kind == "member":
            needs |= rules.ask_for_access()
        elif kind == "policy" and operation["before"] is not None:
            needs |= read_policy(operation["before"]).needs
    return needs


def missing_approvals(
    project: Project, needs: Requirements, approvers: Collection[str], touched: Sequence[Touched]
) -> list[str]:
    """What is missing of the approvals, given by these people who may review what is touched: one phrase each."""
    missing = []
    if len(approvers) < needs.approvals:
        missing.append(f"{len(approvers)} of {needs.approvals} approvals by people who may review now")
    for share in needs.shares:
        given = len(of_share(project, share, approvers, touched))
        if given < share.count:
            whom = f"the team {share.team}" if share.team else f"the role {share.role}"
            missing.append(f"{given} of {share.count} approvals from {whom}")
    return missing


def of_share(
    project: Project, share: Share, approvers: Collection[str], touched: Sequence[Touched]
) -> set[str]:
    """Those of the approvers who are in the team, or whose role counts for all that is touched."""
    if not approvers:
        return set()
    if share.team:
        rows = TeamMember.objects.filter(team__key=share.team, member__in=approvers)
        return set(rows.values_list("member", flat=True))
    return {
        each.member
        for each in standings(project, approvers)
        if each.role == share.role and not each.waits and each.limits.admit(touched)
    }


def unserved(project: Project, needs: Requirements, operations: Sequence[Operation]) -> list[str]:
    """Flags that were not on long enough in the earlier environment that policies name: one phrase each.

    Turning something off waits for nothing.
    """
    missing = []
    for operation in operations:
        subject = Subject.parse(operation["subject"])
        if subject.kind != "configuration" or not wording.is_on(operation["after"]):
            continue
        missing += [
            f"{subject.key} has to be {served} before it is on in {subject.environment}"
            for served in needs.served_in
            if served.environment != subject.environment and not _was_served(project, subject.key, served)
        ]
    return list(dict.fromkeys(missing))


def _was_served(project: Project, key: str, served: ServedIn) -> bool:
    row = FlagConfiguration.objects.filter(
        flag__project=project, flag__key=key, environment__key=served.environment
    ).first()
    if row is None or not wording.is_on(row.document):
        return False
    return bool(row.changed_at <= timezone.now() - timedelta(hours=served.hours))
