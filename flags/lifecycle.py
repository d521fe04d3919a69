"""How long flags should live, and which ones have outlived that."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

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
    flags: QuerySet[Flag] = Flag.objects.filter(older, temporary=True)
    return flags


def expired(now: datetime) -> QuerySet[Flag]:
    """Flags whose expiry has passed."""
    flags: QuerySet[Flag] = Flag.objects.filter(expires_at__lte=now)
    return flags
