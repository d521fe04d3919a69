"""Everything that stands in an open request's way, in one list."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from approvals.models import ChangeRequest
from approvals.resulting import Resulting
from approvals.workflow import subjects
from approvals.workflow.applying import missing_of
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
from flags.reads import Reads
from flags.subjects import Subject


def check_request(request: ChangeRequest, actor: Actor | None = None) -> list[Finding]:
    """All that stands in a request's way now, and what is worth knowing; an open request.

    `actor`: who would apply it, for exemptions of freezes; None: our task.
    """
    project, operations = request.project, request.change["operations"]
    found = [*_conflicts(request), *_policy(request)]
    now = [operation for operation in operations if takes_effect_at_once(operation)]
    if fault := invalid(project, operations):
        return [*found, fault]
    moment = max(timezone.now(), request.scheduled_at or timezone.now())
    reads = Reads()
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


def _conflicts(request: ChangeRequest) -> Iterator[Finding]:
    places = {each.key: each.name for each in request.project.environments.all()}
    for text, seen in request.change["base"].items():
        subject = Subject.parse(text)
        found = subjects.standing(request.project, subject).version
        if found != seen and any(
            operation["subject"] == text and takes_effect_at_once(operation)
            for operation in request.change["operations"]
        ):
            yield Finding(
                "conflict",
                BLOCK,
                f"{subject.words(places.get(subject.environment or subject.key, ''), begins=True)} "
                f"is at version {found}; this was made for version {seen}.",
                "Who proposed it can rebase it, where nothing collides, or edit it.",
                text,
            )


def _policy(request: ChangeRequest) -> Iterator[Finding]:
    operations = request.change["operations"]
    needs = needs_of(request.project, operations)
    for missing in missing_of(request, needs):
        yield Finding("policy", BLOCK, f"It has {missing}.", "Ask a reviewer of the project.")
    if request.required_approvals < needs.approvals:
        yield Finding(
            "policy",
            BLOCK,
            f"It was proposed when {request.required_approvals} approvals were needed; now {needs.approvals} are.",
            "Edit it, so that it is reviewed under the present policy.",
        )
    now = [operation for operation in operations if takes_effect_at_once(operation)]
    for waiting in unserved(request.project, needs_of(request.project, now), now):
        yield Finding(
            "policy", BLOCK, f"{waiting}.", "Turn it on there first, or wait until the time is over."
        )
