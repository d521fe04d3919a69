"""Mistakes in the settings, said by `manage.py check` before they hurt. Ids are stable: config.E001 …"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register()
def secrets_are_set(**_: Any) -> list[CheckMessage]:
    """config.E001–E003: what several hosts must share cannot be made up by each of them."""
    found: list[CheckMessage] = []
    in_production = settings.BASE_URL.startswith("https://") and not settings.EMBEDDED
    if in_production and not os.environ.get("SECRET_KEY"):
        found.append(
            Error(
                "SECRET_KEY is not set; each host would make its own and refuse the others' sessions.",
                hint="Set it to 50 random characters, the same on all hosts.",
                id="config.E001",
            )
        )
    for name in ("LEDGER_KEY", "SNAPSHOT_KEY"):
        seed = getattr(settings, name)
        if seed and not all(_is_seed(each) for each in seed.split(",")):
            found.append(
                Error(
                    f"COUNTERSIGN_{name} is no Ed25519 seed.",
                    hint="It is 32 random bytes in base64 (`head -c32 /dev/urandom | base64`); while keys "
                    "rotate two of them, `<new>,<present>`.",
                    id="config.E002",
                )
            )
        if in_production and not seed:
            found.append(
                Warning(
                    f"COUNTERSIGN_{name} is not set; each host would make its own under COUNTERSIGN_DATA/keys.",
                    hint="Give all hosts the same seed, from your secret store.",
                    id="config.W001",
                )
            )
    if settings.LEDGER_KEY and set(settings.LEDGER_KEY.split(",")) & set(settings.SNAPSHOT_KEY.split(",")):
        found.append(
            Error(
                "COUNTERSIGN_LEDGER_KEY and COUNTERSIGN_SNAPSHOT_KEY have a seed in common.",
                hint="Each key signs for one purpose; make two seeds.",
                id="config.E003",
            )
        )
    return found


@register()
def names_are_usable(**_: Any) -> list[CheckMessage]:
    """config.E004, E005: the origin is a key name, and the base URL what people type."""
    found: list[CheckMessage] = []
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,200}", settings.ORIGIN):
        found.append(
            Error(
                f"COUNTERSIGN_ORIGIN {settings.ORIGIN!r} cannot name a key.",
                hint="Use a name like flags.example.com: letters, digits, dots, hyphens.",
                id="config.E004",
            )
        )
    if not re.fullmatch(r"https?://[^/\s@]+", settings.BASE_URL):
        found.append(
            Error(
                f"COUNTERSIGN_BASE_URL {settings.BASE_URL!r} is no address of a server.",
                hint="Use https://flags.example.com, without a path.",
                id="config.E005",
            )
        )
    return found


@register()
def parts_fit_together(**_: Any) -> list[CheckMessage]:
    """config.E006, E007: SQLite and the embedded worker serve one process only."""
    found: list[CheckMessage] = []
    if not settings.EMBEDDED and settings.ON_SQLITE:
        found.append(
            Error(
                "REDIS_URL is set, DATABASE_URL is not.",
                hint="Several processes need PostgreSQL 15 or newer: set DATABASE_URL, or unset REDIS_URL.",
                id="config.E006",
            )
        )
    workers = os.environ.get("GRANIAN_WORKERS", "1")
    if settings.EMBEDDED and workers != "1":
        found.append(
            Error(
                f"GRANIAN_WORKERS is {workers} in embedded mode.",
                hint="The one web process holds the worker and beat; set REDIS_URL to run more.",
                id="config.E007",
            )
        )
    return found


@register()
def rates_are_numbers(**_: Any) -> list[CheckMessage]:
    """config.E008: how often the read plane may be asked."""
    return [
        Error(
            f"COUNTERSIGN_{name} {getattr(settings, name)!r} is no number of requests a second.",
            hint="Use a whole number such as 100, at most 1000000; 0 means any number.",
            id="config.E008",
        )
        for name in ("KEY_RATE", "ADDRESS_RATE")
        if not re.fullmatch("[0-9]{1,7}", getattr(settings, name)) or int(getattr(settings, name)) > 1_000_000
    ]


@register()
def machines_are_bounded(**_: Any) -> list[CheckMessage]:
    """config.E009: rates and days are not negative, and lie within what they can mean."""
    return [
        Error(
            f"COUNTERSIGN_{name} is {getattr(settings, name)}.",
            hint=f"Use a whole number from 0, which means no limit, to {most}.",
            id="config.E009",
        )
        for name, most in (("API_RATE", 1_000_000), ("TOKEN_DAYS", 36_500))
        if not 0 <= getattr(settings, name) <= most
    ]


@register()
def reviews_have_a_deadline(**_: Any) -> list[CheckMessage]:
    """config.E010: an emergency is to be reviewed within an hour at least and a year at most."""
    hours = settings.EMERGENCY_REVIEW_HOURS
    if 1 <= hours <= 8_760:
        return []
    hint = "Use a whole number of hours from 1 to 8760."
    return [Error(f"COUNTERSIGN_EMERGENCY_REVIEW_HOURS is {hours}.", hint=hint, id="config.E010")]


@register()
def receivers_are_hosts(**_: Any) -> list[CheckMessage]:
    """config.E011: hosts of webhooks and chats that may be private are named one by one."""
    return [
        Error(
            f"COUNTERSIGN_PRIVATE_RECEIVERS has {each!r}, which is no host.",
            hint="Name hosts such as hooks.internal or 10.0.0.7, without https://, port and path, separated by commas.",
            id="config.E011",
        )
        for each in settings.PRIVATE_RECEIVERS
        if not re.fullmatch(r"[a-z0-9.-]{1,253}|[0-9a-f:]{2,39}", each)
    ]


def _is_seed(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False
