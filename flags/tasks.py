"""Scheduled work of the catalogue."""

from celery import shared_task
from django.utils import timezone

from access import notify
from flags import notices
from flags.lifecycle import EXPECTED_LIFETIME, stale
from flags.models import Notice


@shared_task
def alert_stale_flags() -> None:
    """Tell the owner of each stale flag, once a month. May run twice: the notice's row is the claim."""
    now = timezone.now()
    for flag in stale(now).select_related("owner", "project"):
        _, claimed = Notice.objects.get_or_create(flag=flag, kind="stale", about=now.strftime("%Y-%m"))
        lifetime = EXPECTED_LIFETIME[flag.kind]
        if claimed and flag.owner and lifetime:
            notify.mail(
                [flag.owner],
                f"{flag.key} in {flag.project} is stale",
                f"The {flag.get_kind_display().lower()} flag {flag.key} has existed for "
                f"{(now - flag.created_at).days} days; {lifetime.days} are usual for its kind. "
                "Remove it from the code and retire it, or declare it permanent.",
            )


@shared_task
def tell_of_days() -> None:
    """Tell owners whose flags expire soon, or should wake. May run twice: the notice's row is the claim."""
    now = timezone.now()
    notices.tell_of_expiry(now)
    notices.tell_of_waking(now)
