"""Everything that stands in an open request's way, in one list."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from approvals.models import ChangeRequest
from approvals.resulting import Resulting
from approvals.workflow.basis import Basis
from approvals.workflow.checks import (
    BLOCK,
    WARN,
    Finding,
    check,
    expected,
    invalid,
    makes_safer,
    takes_effect_at_once,
)
from approvals.workflow.needs import needs_of, unserved
from audit.actor import Actor
from flags.subjects import Subject


def check_request(
    request: ChangeRequest, actor: Actor | None = None, basis: Basis | None = None
) -> list[Finding]:
    """All that stands in a request's way now, and what is worth knowing; an open request.

    `actor`: who would apply it, for exemptions of freezes; None: our task. `basis`: where more than this is asked.
    """
    project, operations = request.project, request.change["operations"]
    basis = basis or Basis(request)
    reads = basis.reads
    found = [*_conflicts(basis), *_policy(basis)]
    now = [operation for operation in operations if takes_effect_at_once(operation)]
    if fault := invalid(project, operations, reads):
        return [*found, fault]
    moment = max(timezone.now(), request.scheduled_at or timezone.now())
    found += check(project, now, actor=actor, moment=moment, reads=reads)
    is_tested = any(Resulting(project, now, reads).expectations().values())
    for operation in operations if is_tested else ():
        if not takes_effect_at_once(operation) and not makes_safer(operation):
            state = [*(each for each in now if each["subject"] != operation["subject"]), operation]
            said = expected(project, state, reads)
            found += [_labelled(each, operation["label"]) for each in said if each.blocks]
    return sorted(found, key=lambda each: not each.blocks)


def _labelled(finding: Finding, label: str) -> Finding:
    return Finding(
        finding.check, WARN, f"At {label}: {finding.text}", finding.next, finding.subject, finding.member
    )


def _conflicts(basis: Basis) -> Iterator[Finding]:
    places = {each.key: each.name for each in basis.reads.rows(basis.request.project.environments.all())}
    for found in basis.divergences:
        subject = Subject.parse(found.subject)
        yield Finding(
            "conflict",
            BLOCK,
            f"{subject.words(places.get(subject.environment or subject.key, ''), begins=True)} "
            f"is at version {found.version}; this was made for version {found.seen_version}.",
            "Who proposed it can rebase it, where nothing collides, or edit it.",
            found.subject,
        )


def _policy(basis: Basis) -> Iterator[Finding]:
    request, needs = basis.request, basis.needs
    for missing in basis.missing:
        yield Finding("policy", BLOCK, f"It has {missing}.", "Ask a reviewer of the project.")
    if request.required_approvals < needs.approvals:
        yield Finding(
            "policy",
            BLOCK,
            f"It was proposed when {request.required_approvals} approvals were needed; now {needs.approvals} are.",
            "Edit it, so that it is reviewed under the present policy.",
        )
    now = [operation for operation in request.change["operations"] if takes_effect_at_once(operation)]
    for waiting in unserved(request.project, needs_of(request.project, now, basis.reads), now):
        yield Finding(
            "policy", BLOCK, f"{waiting}.", "Turn it on there first, or wait until the time is over."
        )
