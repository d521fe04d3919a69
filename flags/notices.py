"""Telling a flag's owner, once, that a day is near or has come."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.urls import reverse

from access import notify
from access.permissions import system_actor
from audit.recording import recording
from flags.documents import read_moment
from flags.models import Flag, Notice

# Days before a flag expires on which its owner hears of it.
BEFORE_EXPIRY = (14, 7, 1)


def tell_owner_once(flag: Flag, notice: str, about: str, kind: str, problem: str, **members: str) -> None:
    """Tell the owner, if there is one, unless that was done: the notice's row is the claim of the task.

    `kind`: of the notification; `problem` and `members`: what its sentences name beside the flag.
    """
    with recording(system_actor("lifecycle")) as record:
        _, is_first = Notice.objects.get_or_create(flag=flag, kind=notice, about=about[:64])
        if is_first and flag.owner:
            notify.tell(
                record,
                kind,
                flag.project,
                about={"flag": flag.key, "problem": problem, **members},
                link=reverse("admin:flag", args=[flag.project.key, flag.key]),
                to=[flag.owner.pseudonym],
            )


def tell_of_expiry(now: datetime) -> None:
    """Tell owners 14, 7 and 1 days before their flags expire; after a downtime only the nearest of these."""
    longest = timedelta(days=max(BEFORE_EXPIRY))
    rows = Flag.objects.filter(expires_at__gt=now, expires_at__lte=now + longest, archived=False)
    for flag in rows.select_related("owner", "project"):
        assert flag.expires_at is not None
        days = min(each for each in BEFORE_EXPIRY if flag.expires_at <= now + timedelta(days=each))
        then = "It is then turned off." if flag.on_expiry == Flag.OnExpiry.OFF else "It then stays as it is."
        tell_owner_once(
            flag,
            f"expires-in-{days}",
            flag.expires_at.isoformat(),
            "flag.expiring",
            f"It expires at {flag.expires_at:%Y-%m-%d %H:%M} UTC. {then} "
            "Remove it from the code, or give it a later date.",
            days=f"{days} {'day' if days == 1 else 'days'}",
        )


def tell_of_waking(now: datetime) -> None:
    """Tell owners of hibernating flags whose wake date has come."""
    rows = Flag.objects.exclude(hibernation={}).filter(archived=False)
    for flag in rows.select_related("owner", "project"):
        wake_at = read_moment(flag.hibernation["wake_at"])
        if wake_at is not None and wake_at <= now:
            plan = flag.hibernation.get("plan", "")
            tell_owner_once(
                flag,
                "wake",
                flag.hibernation["wake_at"],
                "flag.waking",
                f"It hibernates with {flag.hibernation['variant']} for everyone, and was to wake "
                f"at {wake_at:%Y-%m-%d %H:%M} UTC. {f'Planned: {plan} ' if plan else ''}"
                "Wake it on its page, or archive it.",
            )
