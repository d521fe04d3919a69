"""How long flags should live, and which ones have outlived that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from countersign.document import DocumentError
from flags.documents import read_moment
from flags.models import Flag

# Expected lifetime by kind; None: meant to stay.
EXPECTED_LIFETIME: dict[str, timedelta | None] = {
    Flag.Kind.RELEASE: timedelta(days=40),
    Flag.Kind.EXPERIMENT: timedelta(days=60),
    Flag.Kind.OPERATIONAL: timedelta(days=180),
    Flag.Kind.KILL_SWITCH: None,
    Flag.Kind.PERMISSION: None,
}


def stale(now: datetime) -> QuerySet[Flag]:
    """Flags that are older than their kind is expected to live and that nobody declared permanent."""
    older = Q(pk__in=[])
    for kind, lifetime in EXPECTED_LIFETIME.items():
        if lifetime is not None:
            older |= Q(kind=kind, created_at__lt=now - lifetime)
    flags: QuerySet[Flag] = Flag.objects.filter(older, temporary=True, archived=False, hibernation={})
    return flags


def expired(now: datetime) -> QuerySet[Flag]:
    """Flags whose expiry has passed."""
    flags: QuerySet[Flag] = Flag.objects.filter(expires_at__lte=now, archived=False)
    return flags


def check_lifetime(
    definition: Mapping[str, Any], now: datetime, before: Mapping[str, Any] | None = None
) -> None:
    """Raise `DocumentError` unless a new or edited definition says how long the flag lives.

    A temporary flag expires within the lifetime of its kind, counted from `now`; a permanent one has a
    reason. What is archived lives no more. `before`: what stands there, whose date may have passed.
    """
    if definition.get("archived"):
        return
    expires_at = read_moment(definition.get("expires_at"))
    is_kept = before is not None and before.get("expires_at") == definition.get("expires_at")
    if expires_at is not None and expires_at <= now and not is_kept:
        raise DocumentError("expires_at", "is in the past; name the day on which the flag should expire")
    if not definition.get("temporary"):
        if not definition.get("permanent_reason"):
            raise DocumentError(
                "permanent_reason", "is missing; say why the flag stays, or make it temporary with an expiry"
            )
        return
    lifetime = EXPECTED_LIFETIME[definition["kind"]]
    if expires_at is None:
        within = f" within {lifetime.days} days" if lifetime else ""
        raise DocumentError(
            "expires_at", f"is missing; a temporary flag has a day{within} on which it expires"
        )
    if lifetime is not None and expires_at > now + lifetime:
        raise DocumentError(
            "expires_at",
            f"is more than {lifetime.days} days from now, which is how long a flag of the kind "
            f"{definition['kind']} may live; choose an earlier day, or another kind",
        )
