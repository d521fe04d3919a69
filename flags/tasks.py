"""Scheduled work of the catalogue."""

from celery import shared_task
from django.utils import timezone

from flags import notices
from flags.lifecycle import EXPECTED_LIFETIME, stale


@shared_task
def alert_stale_flags() -> None:
    """Tell the owner of each stale flag, once a month. May run twice: the notice's row is the claim."""
    now = timezone.now()
    for flag in stale(now).select_related("owner", "project"):
        lifetime = EXPECTED_LIFETIME[flag.kind]
        if lifetime:
            notices.tell_owner_once(
                flag,
                "stale",
                now.strftime("%Y-%m"),
                "flag.stale",
                f"It has existed for {(now - flag.created_at).days} days; {lifetime.days} are usual for a "
                f"{flag.get_kind_display().lower()} flag. Remove it from the code and retire it, or declare it "
                "permanent.",
            )


@shared_task
def tell_of_days() -> None:
    """Tell owners whose flags expire soon, or should wake. May run twice: the notice's row is the claim."""
    now = timezone.now()
    notices.tell_of_expiry(now)
    notices.tell_of_waking(now)
