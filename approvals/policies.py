"""What a change needs before it may be applied: the strictest of the policies it reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from access.permissions import require
from approvals.models import ApprovalPolicy
from audit.actor import Actor
from audit.history import require_base
from audit.recording import recording
from flags.models import Environment


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the environments that a change reaches ask for, together."""

    approvals: int = 0
    rationale: bool = False
    ticket: bool = False


def policy_of(environment: Environment) -> ApprovalPolicy:
    """The environment's policy; without a row, one approval and a rationale where it is protected."""
    policy: ApprovalPolicy | None = ApprovalPolicy.objects.filter(environment=environment).first()
    return policy or default_policy(environment)


def default_policy(environment: Environment) -> ApprovalPolicy:
    """What an environment asks for as long as nobody said so (not saved)."""
    return ApprovalPolicy(
        environment=environment,
        required_approvals=1 if environment.protected else 0,
        require_rationale=environment.protected,
    )


def requirements(environments: Iterable[Environment]) -> Requirements:
    """The strictest of the environments' policies; a protected environment asks for one approval at least."""
    each = [_asked_by(policy_of(environment)) for environment in environments]
    return Requirements(
        max((needs.approvals for needs in each), default=0),
        any(needs.rationale for needs in each),
        any(needs.ticket for needs in each),
    )


def requirements_of(environments: Iterable[Environment]) -> dict[int, Requirements]:
    """What each environment (by primary key) asks for by itself, with one query: for lists."""
    environments = list(environments)
    policies = {
        row.environment_id: row for row in ApprovalPolicy.objects.filter(environment__in=environments)
    }
    found = {}
    for environment in environments:
        policy = policies.get(environment.pk) or default_policy(environment)
        policy.environment = environment
        found[environment.pk] = _asked_by(policy)
    return found


def _asked_by(policy: ApprovalPolicy) -> Requirements:
    approvals = max(policy.required_approvals, int(policy.environment.protected))
    return Requirements(approvals, policy.require_rationale, policy.require_ticket)


def set_policy(
    actor: Actor,
    environment: Environment,
    members: Mapping[str, Any],
    *,
    base: Mapping[str, int] | None = None,
) -> ApprovalPolicy:
    """Change what an environment asks for. `base`: by its subject, the version seen; None: whatever stands.

    Raises `ForbiddenError`, `OutdatedBaseError`, or ValidationError naming the members.
    """
    with recording(actor) as record:
        require(actor, "policy.change", environment.project)
        # What is being applied just now was checked against the policy as it stands.
        environment.project.hold()
        policy = policy_of(environment)
        require_base(policy, base)
        before = policy.document if policy.pk else None
        for name in ("required_approvals", "require_rationale", "require_ticket"):
            if name in members:
                setattr(policy, name, members[name])
        policy.clean_fields()
        if policy.document == before:
            return policy
        record.event(
            "approvals.v1.policy.changed", policy.ledger_subject, before=before, after=policy.document
        )
        policy.save()
    return policy
