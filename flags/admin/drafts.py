"""From what somebody chose in a form to the document that would stand there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flags.documents import Document
from flags.models import Environment, Flag

# A split's weights add up to this, so that 0.001 % can be said (evaluation specification, section 4).
TOTAL = 100_000
_OFF_NAMES = ("off", "control", "none", "disabled", "false")


def off_variant(flag: Flag) -> str | None:
    """The variant that people would call off: by value, by name, else the last one."""
    for name, value in flag.variants.items():
        if value is False:
            return str(name)
    for name in flag.variants:
        if name.lower() in _OFF_NAMES:
            return str(name)
    return str(list(flag.variants)[-1]) if flag.variants else None


def on_variant(flag: Flag) -> str:
    """The variant that people would call on."""
    for name, value in flag.variants.items():
        if value is True:
            return str(name)
    off = off_variant(flag)
    return next((str(name) for name in flag.variants if name != off), str(off))


def starting_document(flag: Flag) -> Document:
    """What a form starts from where a flag is not configured yet: off, and everyone on once it is on."""
    off = off_variant(flag)
    document: Document = {"enabled": False, "default": {"variant": on_variant(flag)}}
    if off is not None:
        document["off"] = off
    return document


def switched(document: Document, is_on: bool) -> Document:
    """The document turned on or off. Turning on lifts a kill as well, or nothing would be on."""
    after = {**document, "enabled": is_on}
    if is_on:
        after.pop("killed", None)
    return after


def serving(document: Document, variant: str) -> Document:
    """The document whose default gives everyone one variant."""
    return {**document, "default": {"variant": variant}}


def splitting(
    document: Document, flag: Flag, environment: Environment, variant: str, percent: Decimal, rest: str
) -> Document:
    """The document whose default gives `percent` of everyone `variant` and the others `rest`.

    Seed, attribute and hash of a split that stands there are kept: growing a share moves nobody out of it.
    """
    weight = int(percent * TOTAL / 100)
    old: dict[str, Any] = document.get("default", {}).get("split") or {}
    split = {
        "by": old.get("by", "targetingKey"),
        "seed": old.get("seed", flag.key),
        "hash": old.get("hash", str(environment.bucketing)),
        "weights": [[variant, weight], [rest, TOTAL - weight]],
    }
    return {**document, "default": {"split": split}}
