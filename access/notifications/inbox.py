"""What a person finds in the app, and whether somebody may be told at all."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from access.held import Held
from access.models import Delivery, User
from access.notifications.kinds import KINDS, Channel
from access.permissions import may, may_in_organisation, projects_where, user_actor
from access.roles import VERBS
from audit.actor import Actor

_RESTS_ON = sorted({"project.view", *(kind.verb for kind in KINDS.values() if kind.verb)})


def inbox(
    actor: Actor, rests_on: Collection[str] = _RESTS_ON, held: Held | None = None
) -> QuerySet[Delivery]:
    """What the actor was told in the app and may still see: a role that is gone takes it along.

    Of that, what rests on these verbs or on none. `held`: as for `projects_where`.
    """
    seen = Q(rests_on="", notification__project=None)
    held = held or Held(actor)
    for verb in rests_on:
        if VERBS[verb].is_of_project:
            seen |= Q(rests_on=verb, notification__project__in=projects_where(actor, verb, held))
        elif may_in_organisation(actor, verb, held):
            seen |= Q(rests_on=verb)
    return _told(actor).filter(seen)


def _told(actor: Actor) -> QuerySet[Delivery]:
    return Delivery.objects.filter(person__pseudonym=actor.id, channel=Channel.APP)


def unread(actor: Actor, most: int = 100, held: Held | None = None) -> int:
    """How many of them were not read, at most `most`. `held`: as for `projects_where`.

    Every page asks, mostly for nothing new: the conditions of all verbs at once take longer than the rest of it.
    """
    unread_rest_on = (
        _told(actor).filter(read_at=None).order_by().values_list("rests_on", flat=True).distinct()
    )
    verbs = set(unread_rest_on)
    if not verbs:
        return 0
    return inbox(actor, verbs & set(_RESTS_ON), held).filter(read_at=None).order_by()[:most].count()


def mark_read(actor: Actor, only: Collection[int] | None = None) -> int:
    """Mark as read what the actor was told: all of it, or the deliveries of these ids. Returns how many were not."""
    rows = inbox(actor).filter(read_at=None)
    if only is not None:
        rows = rows.filter(pk__in=only)
    # By their ids: an UPDATE that joins what it asks about would hold that too.
    return Delivery.objects.filter(pk__in=list(rows.values_list("pk", flat=True)), read_at=None).update(
        read_at=timezone.now()
    )


def may_be_told(person: User, delivery: Delivery) -> bool:
    """Whether somebody may still be told, asked at the moment of delivery."""
    if not person.is_active:
        return False
    verb, project = delivery.rests_on, delivery.notification.project
    if not verb:
        return True
    actor = user_actor(person, "task")
    return may(actor, verb, project) if project is not None else may_in_organisation(actor, verb)


def forget(person: User) -> None:
    """Take away what a person was told, chose and connected: they are erased."""
    rows: tuple[QuerySet[Any], ...] = (
        Delivery.objects.filter(person=person),
        person.notification_choices.all(),
        person.chats.all(),
    )
    for each in rows:
        each.delete()
