"""Telling people: an outbox row in the transaction that causes it. Delivering is a task's, and holds up nothing.

`KINDS` (`access.notifications.kinds`) says who is told what.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.utils import timezone

from access.holders import eligible, people_who_may
from access.limits import Touched
from access.models import Chat, Delivery, Notification, User, Webhook
from access.notifications.choices import wanted_by
from access.notifications.kinds import KINDS, Channel
from audit.recording import Recording


def tell(
    record: Recording,
    kind: str,
    project: Any | None,
    *,
    about: Mapping[str, str] | None = None,
    link: str = "",
    touched: Iterable[Touched] = (),
    to: Collection[str] = (),
    without: Collection[str] = (),
) -> set[str]:
    """Tell those it concerns that something happened; returns the pseudonyms of the people.

    Within the recording that does it: told if it happens, and only then. `project` None: of the installation.
    `about`: what the sentences of the kind name, people by pseudonym. `link`: the path of the page to look at.
    `touched`: what whoever holds the kind's verb must reach. `to`: those concerned, of whom active people who see
    the project are told. `without`: who is not told; nor is the actor, unless the kind says so. Raises KeyError for
    an unknown kind.
    """
    declared = KINDS[kind]
    apart = {*without, *(() if declared.is_told_to_actor else (record.actor.id,))}
    people = [
        person
        for person in (people_who_may(declared.verb, project, touched) if declared.verb else ())
        if person.pseudonym not in apart
    ]
    rests_on = {person.pseudonym: declared.verb for person in people}
    if named := set(to) - apart - set(rests_on):
        if project is not None:
            named = eligible(named, "project.view", project)
        people += User.objects.filter(pseudonym__in=named, is_active=True)
        rests_on.update(dict.fromkeys(named, "project.view" if project is not None else ""))
    if not people and (project is None or not declared.is_for_receivers):
        return set()
    now = timezone.now()
    told: list[dict[str, Any]] = []
    for person, channel in wanted_by(people, kind):
        to_them = {"person": person, "rests_on": rests_on[person.pseudonym], "channel": channel}
        if channel == Channel.CHAT:
            told += [{**to_them, "chat": chat} for chat in person.chats.all()]
        elif channel == Channel.APP:
            told.append({**to_them, "state": Delivery.State.DELIVERED, "finished_at": now})
        elif person.email:
            told.append(to_them)
    if project is not None and declared.is_for_receivers:
        told += [
            {"webhook": row, "channel": Channel.WEBHOOK}
            for row in Webhook.objects.filter(project=project, is_enabled=True)
            if kind in row.kinds
        ]
        told += [
            {"chat": row, "channel": Channel.CHAT}
            for row in Chat.objects.filter(project=project)
            if kind in row.kinds
        ]
    if told:
        notification = Notification.objects.create(
            kind=kind, project=project, by=record.actor.id, about=dict(about or {}), link=link
        )
        Delivery.objects.bulk_create(Delivery(notification=notification, due_at=now, **each) for each in told)
    return {person.pseudonym for person in people}


def settle(kind: str, link: str) -> None:
    """Nobody waits for this any more: what told of it counts as read, and what has not left stays.

    Within the recording that settles it. `link`: as it was told.
    """
    now = timezone.now()
    rows = Delivery.objects.filter(notification__kind=kind, notification__link=link, person__isnull=False)
    rows.filter(channel=Channel.APP, read_at=None).update(read_at=now)
    rows.filter(state=Delivery.State.WAITING).update(state=Delivery.State.DROPPED, finished_at=now)
