"""What the organisation asks of second factors: the verb behind the page and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from access.models import CustomRole, FactorPolicy, RoleWithFactor
from access.permissions import require_in_organisation
from access.roles import OrganisationRole, Role
from audit.actor import Actor
from audit.history import require_base
from audit.recording import recording


def factor_policy() -> FactorPolicy:
    """The policy; without a row (not saved), nothing is asked for."""
    found: FactorPolicy | None = FactorPolicy.objects.first()
    return found or FactorPolicy()


def set_factor_policy(
    actor: Actor, members: Mapping[str, Any], *, base: Mapping[str, int] | None = None
) -> FactorPolicy:
    """Change the `members` given: `fresh_minutes`, `roles` (keys). They hold at once, for whoever is signed in too.

    Raises `ForbiddenError`, `StaleFactorError`, `OutdatedBaseError`, or ValidationError naming the member.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        policy = FactorPolicy.objects.select_for_update(no_key=True).first() or FactorPolicy(pk=1)
        require_base(policy, base)
        before = policy.document
        policy.fresh_minutes = members.get("fresh_minutes", policy.fresh_minutes)
        policy.clean_fields()
        roles = set(members.get("roles", before["roles"]))
        known = {*Role, *OrganisationRole, *CustomRole.objects.values_list("key", flat=True)}
        # One that was deleted meanwhile may stay: taking it away is no reason to refuse the rest.
        if unknown := sorted(roles - known - set(before["roles"])):
            raise ValidationError({"roles": f"there is no role {unknown[0]!r}"})
        after = {"fresh_minutes": policy.fresh_minutes, "roles": sorted(roles)}
        if after == before:
            return policy
        record.event("access.v1.factor_policy.changed", policy.ledger_subject, before=before, after=after)
        RoleWithFactor.objects.exclude(role__in=roles).delete()
        for role in sorted(roles - set(before["roles"])):
            RoleWithFactor.objects.create(role=role)
        policy.save()
    return policy
