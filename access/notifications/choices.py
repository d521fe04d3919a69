"""What each person wants to be told of, and by which channels: the table's defaults, and where they differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import prefetch_related_objects

from access.models import Choice, User
from access.notifications.kinds import KINDS, PERSONAL, Channel

Choices = dict[str, dict[str, bool]]
"""By kind, then by channel."""


def choices_of(person: User) -> Choices:
    """Every kind and channel, as it stands for this person."""
    standing: Choices = {
        name: {channel.value: channel in kind.defaults for channel in PERSONAL}
        for name, kind in KINDS.items()
    }
    for row in person.notification_choices.all():
        if row.channel in standing.get(row.kind, ()):
            standing[row.kind][row.channel] = row.wanted
    return standing


def choose(person: User, wanted: Mapping[str, Mapping[str, bool]]) -> Choices:
    """Set the choices that are given; others stay. Not in the ledger: nobody else is concerned.

    Raises ValidationError naming an unknown kind or channel, and then changes nothing.
    """
    for kind, channels in wanted.items():
        if kind not in KINDS:
            raise ValidationError({kind: f"is no kind of notification; known are: {', '.join(KINDS)}"})
        for channel in channels:
            if channel not in PERSONAL:
                known = ", ".join(each.value for each in PERSONAL)
                raise ValidationError({f"{kind}.{channel}": f"is no channel of people; known are: {known}"})
    with transaction.atomic():
        for kind, channels in wanted.items():
            for channel, is_wanted in channels.items():
                row: dict[str, Any] = {"person": person, "kind": kind, "channel": channel}
                if is_wanted is (Channel(channel) in KINDS[kind].defaults):
                    Choice.objects.filter(**row).delete()  # so that a better default reaches them
                else:
                    Choice.objects.update_or_create(**row, defaults={"wanted": is_wanted})
    return choices_of(User.objects.get(pk=person.pk))


def wanted_by(people: Collection[User], kind: str) -> Iterator[tuple[User, Channel]]:
    """Who of these wants to be told of a kind by which channel, in as many queries for many as for one."""
    prefetch_related_objects([*people], "chats")
    rows = Choice.objects.filter(person__in=people, kind=kind)
    chosen = {(row.person_id, row.channel): row.wanted for row in rows}
    for person in people:
        for channel in PERSONAL:
            if chosen.get((person.pk, channel), channel in KINDS[kind].defaults):
                yield person, channel
