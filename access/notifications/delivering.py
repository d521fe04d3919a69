"""Delivering: claim a row, try, and write down what came of it. At least once; a message's id tells it is the same.

A worker that is killed leaves a claim that runs out. What cannot be delivered is tried again, ever later, and
given up after `MOST_ATTEMPTS`, which those who look after it are told.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from access import notify
from access.models import Attempt, Delivery, Notification
from access.notifications.inbox import may_be_told
from access.notifications.kinds import Channel, kind_of
from access.notifications.notifiers import Notifier, Outcome
from access.notifications.notifiers.chat import ChatNotifier
from access.notifications.notifiers.mail import MailNotifier
from access.notifications.notifiers.webhook import WebhookNotifier
from access.notifications.wording import worded
from access.permissions import require, system_actor
from audit.actor import Actor
from audit.recording import Recording, recording

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
"""How long a claim holds; longer than any try takes."""
FIRST_PAUSE, GROWTH, MOST_ATTEMPTS = timedelta(seconds=10), 4, 8
"""10 s, 40 s, 160 s … nearly 12 h: given up after about 15 hours."""
KEPT = timedelta(days=90)
"""How long notifications stay, read or not."""
THREADS = 4
"""Of one process at most, so that a receiver who hangs holds up neither others nor the worker's other tasks."""

State = Delivery.State
NOTIFIERS: Mapping[str, Notifier] = {
    Channel.MAIL: MailNotifier(),
    Channel.CHAT: ChatNotifier(),
    Channel.WEBHOOK: WebhookNotifier(),
}
_free = threading.BoundedSemaphore(THREADS)
_chance = random.SystemRandom()


class RedeliveryError(ValueError):
    """A delivery that cannot be sent again now; the text says why."""


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many tries: exponential, and by chance up to half of it less."""
    whole: timedelta = FIRST_PAUSE * GROWTH ** (attempts - 1)
    return whole * _chance.uniform(0.5, 1.0)


def hand_over() -> None:
    """Have what is due delivered by threads beside this one, which goes on at once."""
    waiting = due(timezone.now())[:THREADS].count()
    while waiting and _free.acquire(blocking=False):
        waiting -= 1
        threading.Thread(target=_run, name="notifications", daemon=True).start()


def deliver_due() -> int:
    """Deliver one after the other until nothing is due; returns how many were tried."""
    done = 0
    while (delivery := claim(timezone.now())) is not None:
        deliver(delivery)
        done += 1
    return done


def due(now: datetime) -> QuerySet[Delivery]:
    """What is to be delivered and in nobody's hands; of one webhook or chat, one at a time."""
    busy = Delivery.objects.filter(state=State.WAITING, claimed_until__gt=now)
    return Delivery.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lte=now),
        ~Exists(busy.filter(webhook=OuterRef("webhook"))),
        ~Exists(busy.filter(chat=OuterRef("chat"))),
        state=State.WAITING,
        due_at__lte=now,
    ).order_by("due_at", "pk")


def claim(now: datetime) -> Delivery | None:
    """Take what has waited longest, by a conditional UPDATE: of several workers one gets it."""
    for number, attempts in due(now).values_list("pk", "attempts")[:20]:
        mine = Delivery.objects.filter(
            Q(claimed_until=None) | Q(claimed_until__lte=now),
            pk=number,
            attempts=attempts,
            state=State.WAITING,
        )
        if mine.update(attempts=F("attempts") + 1, claimed_until=now + LEASE):
            return _whole(Delivery.objects.all()).get(pk=number)
    return None


def deliver(delivery: Delivery) -> None:
    """Try a claimed delivery once, and write down what came of it."""
    if not _may_go(delivery):
        _finish(delivery, State.DROPPED)
        return
    at, started = timezone.now(), time.monotonic()
    try:
        [message] = worded([delivery.notification])
        outcome = NOTIFIERS[delivery.channel].send(delivery, message)
    except Exception:  # a backend may raise anything
        logger.exception("Delivery %s failed", delivery.pk)
        outcome = Outcome(False, problem="failed unforeseen; the server's log says more")
    attempt = Attempt(
        delivery=delivery,
        at=at,
        milliseconds=int((time.monotonic() - started) * 1000),
        status=outcome.status,
        problem=outcome.problem[:300],
        answer="".join(each for each in outcome.answer if each.isprintable())[:500],
    )
    if outcome.is_delivered:
        _finish(delivery, State.DELIVERED, attempt)
    elif outcome.is_final or delivery.attempts >= MOST_ATTEMPTS:
        _finish(delivery, State.GIVEN_UP, attempt)
    else:
        _finish(delivery, State.WAITING, attempt)


def redeliver(actor: Actor, delivery: Delivery) -> None:
    """Send once more, with the same id, what went to a webhook or chat of a project.

    Raises `ForbiddenError`, or `RedeliveryError` where it is waiting still or its webhook is disabled.
    """
    with recording(actor) as record:
        delivery = _whole(Delivery.objects.all()).get(pk=delivery.pk)
        project = delivery.notification.project
        if delivery.receiver is None or delivery.person is not None or project is None:
            raise RedeliveryError("Only what went to a webhook or chat of a project is sent again.")
        require(actor, "webhook.manage", project)
        if delivery.webhook is not None and not delivery.webhook.is_enabled:
            raise RedeliveryError(f"{delivery.webhook} is disabled; enable it first.")
        rows = Delivery.objects.filter(pk=delivery.pk).exclude(state=State.WAITING)
        if not rows.update(
            state=State.WAITING, attempts=0, due_at=timezone.now(), claimed_until=None, finished_at=None
        ):
            raise RedeliveryError("It is waiting to be delivered already.")
        record.event(
            "access.v1.delivery.repeated",
            delivery.receiver.ledger_subject,
            {"message": str(delivery.notification_id)},
        )


def to_receivers_of(projects: Any) -> QuerySet[Delivery]:
    """What went to webhooks and chats of these projects; what went to people is theirs."""
    rows = Delivery.objects.filter(Q(webhook__project__in=projects) | Q(chat__project__in=projects))
    return _whole(rows)


def _whole(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """With all that delivering one asks for."""
    return rows.select_related("notification__project", "person", "chat__project", "webhook__project")


def forget_old() -> int:
    """Delete notifications older than `KEPT`, a thousand at a time; returns how many."""
    old = Notification.objects.filter(created_at__lt=timezone.now() - KEPT).order_by("created_at")
    numbers = list(old.values_list("pk", flat=True)[:1000])
    Notification.objects.filter(pk__in=numbers).delete()
    return len(numbers)


def _run() -> None:
    try:
        deliver_due()
    except Exception:
        logger.exception("Delivering stopped; what is left is tried again")
    finally:
        connection.close()
        _free.release()


def _may_go(delivery: Delivery) -> bool:
    if kind_of(delivery.notification.kind) is None:
        return False
    if delivery.person is not None and not may_be_told(delivery.person, delivery):
        return False
    return delivery.webhook is None or delivery.webhook.is_enabled


def _finish(delivery: Delivery, state: State, attempt: Attempt | None = None) -> None:
    """Write down what became of a claim, unless it ran out and somebody else has taken it since."""
    now = timezone.now()
    mine = Delivery.objects.filter(pk=delivery.pk, state=State.WAITING, claimed_until=delivery.claimed_until)
    members: dict[str, object] = {"state": state, "claimed_until": None}
    if state == State.WAITING:
        members["due_at"] = now + pause_after(delivery.attempts)
    else:
        members["finished_at"] = now
    with recording(system_actor("notifications")) as record:
        if attempt is not None and Delivery.objects.filter(pk=delivery.pk).exists():
            attempt.save()
        if mine.update(**members) and state == State.GIVEN_UP:
            _say_so(record, delivery, attempt)


def _say_so(record: Recording, delivery: Delivery, attempt: Attempt | None) -> None:
    """Tell those who look after a webhook or chat of a project that it was given up."""
    project = delivery.notification.project
    if project is None or delivery.receiver is None or delivery.person is not None:
        return
    [message] = worded([delivery.notification])
    notify.tell(
        record,
        "delivery.given_up",
        project,
        about={"receiver": str(delivery.receiver), "said": message.subject, "problem": str(attempt or "")},
        link=reverse("admin:delivery-list", args=[project.key]),
    )
