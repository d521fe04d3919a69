"""Delivering: at least once, ever later, bounded, one claim at a time; the log of it, and sending again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from access.models import Attempt, Delivery, Notification, Webhook
from access.notifications import delivering, webhooks
from access.notifications.delivering import MOST_ATTEMPTS, RedeliveryError
from access.permissions import ForbiddenError
from audit.models import Event
from tests.access.receivers import HttpReceiver
from tests.cast import Cast

State = Delivery.State
Clock = Callable[[timedelta], Any]


@pytest.fixture
def receiver(settings: Any) -> Iterator[HttpReceiver]:
    settings.PRIVATE_RECEIVERS = ["127.0.0.1"]
    made = HttpReceiver()
    yield made
    made.stop()


def connected(cast: Cast, receiver: HttpReceiver, name: str = "ours") -> Webhook:
    members = {"name": name, "url": receiver.url, "kinds": ["request.waiting"]}
    return webhooks.create_webhook(cast.actor("administrator"), cast.project, members)[0]


def waiting(cast: Cast, hook: Webhook) -> Delivery:
    """A proposal that the webhook is told of; nobody else is."""
    cast.propose()
    Delivery.objects.exclude(webhook=hook).delete()
    return Delivery.objects.get(webhook=hook, state=State.WAITING)


@pytest.fixture
def hook(cast: Cast, banner: None, receiver: HttpReceiver) -> Webhook:
    return connected(cast, receiver)


def test_a_webhook_is_told_what_it_asked_for_and_the_log_says_how(
    cast: Cast, hook: Webhook, receiver: HttpReceiver
) -> None:
    receiver.status, receiver.answer = 201, b"thanks\x00\x1b[31m"
    delivery = waiting(cast, hook)
    delivering.deliver_due()
    assert json.loads(receiver.received[0].body)["type"] == "request.waiting"
    delivery.refresh_from_db()
    assert delivery.state == State.DELIVERED
    [attempt] = delivery.log.all()
    assert (attempt.status, attempt.problem, attempt.answer) == (201, "", "thanks[31m")
    assert len(receiver.received) == 1


def test_what_fails_is_tried_ever_later_given_up_and_told(
    cast: Cast, hook: Webhook, receiver: HttpReceiver, later: Clock, mailoutbox: Any
) -> None:
    receiver.status = 503
    delivery = waiting(cast, hook)
    pauses = []
    for _ in range(MOST_ATTEMPTS):
        assert delivering.deliver_due() >= 1  # the last time, those who are told of it too
        assert delivering.deliver_due() == 0
        delivery.refresh_from_db()
        if delivery.state == State.WAITING:
            pauses.append(delivery.due_at - timezone.now())
            later(delivery.due_at - timezone.now())
    assert delivery.state == State.GIVEN_UP
    whole = [delivering.FIRST_PAUSE * delivering.GROWTH**n for n in range(MOST_ATTEMPTS - 1)]
    for pause, most in zip(pauses, whole, strict=True):
        assert most / 2 - timedelta(seconds=2) <= pause <= most
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    assert len({each.body for each in receiver.received}) == 1
    [said] = Notification.objects.filter(kind="delivery.given_up")
    assert said.about["receiver"] == "ours"
    assert said.about["problem"] == "503 it did not answer 2xx"
    later(timedelta(days=2))
    delivering.deliver_due()
    assert len(receiver.received) == MOST_ATTEMPTS
    assert {mail.to[0] for mail in mailoutbox} == {"administrator@example.com", "root@example.com"}


def test_a_worker_killed_after_sending_sends_again_with_the_same_id(
    cast: Cast, hook: Webhook, receiver: HttpReceiver, later: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = waiting(cast, hook)

    class KilledError(BaseException):
        pass

    def die(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(delivering, "_finish", die)
        with pytest.raises(KilledError):
            delivering.deliver_due()
    assert delivering.deliver_due() == 0  # somebody may be at it
    later(delivering.LEASE + timedelta(seconds=1))
    assert delivering.deliver_due() == 1
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 2)


def test_whoever_comes_late_does_not_overwrite_what_another_did(
    cast: Cast, hook: Webhook, receiver: HttpReceiver, later: Clock
) -> None:
    delivery = waiting(cast, hook)
    slow = delivering.claim(timezone.now())
    assert slow is not None
    later(delivering.LEASE + timedelta(seconds=1))
    assert delivering.deliver_due() == 1
    receiver.status = 500
    delivering.deliver(slow)
    delivery.refresh_from_db()
    assert delivery.state == State.DELIVERED
    assert delivery.log.count() == 2


def test_a_receiver_who_hangs_holds_up_no_other(cast: Cast, hook: Webhook, receiver: HttpReceiver) -> None:
    other = connected(cast, receiver, "another")
    cast.propose()
    cast.propose(title="Second")
    Delivery.objects.exclude(webhook__in=[hook, other]).delete()
    now = timezone.now()
    claimed = [delivering.claim(now) for _ in range(3)]
    assert [each and each.webhook for each in claimed] in ([hook, other, None], [other, hook, None])


def test_a_webhook_that_was_disabled_meanwhile_gets_nothing(
    cast: Cast, hook: Webhook, receiver: HttpReceiver
) -> None:
    delivery = waiting(cast, hook)
    root = cast.actor("administrator")
    webhooks.change_webhook(root, hook, {"is_enabled": False})
    delivering.deliver_due()
    delivery.refresh_from_db()
    assert delivery.state == State.DROPPED
    assert receiver.received == []
    with pytest.raises(RedeliveryError, match="disabled"):
        delivering.redeliver(root, delivery)
    webhooks.change_webhook(root, hook, {"is_enabled": True})
    delivering.redeliver(root, delivery)
    with pytest.raises(RedeliveryError, match="waiting"):
        delivering.redeliver(root, delivery)
    with pytest.raises(ForbiddenError):
        delivering.redeliver(cast.actor("reviewer"), delivery)
    delivering.deliver_due()
    assert len(receiver.received) == 1


def test_settings_of_webhooks_are_events_that_hold_neither_secret_nor_path(
    cast: Cast, hook: Webhook, receiver: HttpReceiver
) -> None:
    root = cast.actor("administrator")
    webhooks.change_webhook(root, hook, {"url": receiver.url + "/elsewhere"})
    webhooks.change_webhook(root, hook, {"url": receiver.url + "/elsewhere"})
    secret = webhooks.rotate_secret(root, hook, timedelta(hours=1))
    webhooks.delete_webhook(root, hook)
    lines = list(Event.objects.filter(type="access.v1.webhook.changed").values_list("line", flat=True))
    assert len(lines) == 4
    for line in lines:
        assert secret not in line
        assert "secret-path" not in line
    for verb in (
        lambda: webhooks.create_webhook(cast.actor("reviewer"), cast.project, {}),
        lambda: webhooks.change_webhook(cast.actor("reviewer"), hook, {}),
    ):
        with pytest.raises(ForbiddenError):
            verb()


def test_old_notifications_go(cast: Cast, hook: Webhook, later: Clock) -> None:
    waiting(cast, hook)
    delivering.deliver_due()
    later(delivering.KEPT + timedelta(days=1))
    assert delivering.forget_old() > 0
    assert not Notification.objects.exists()
    assert not Attempt.objects.exists()


def test_several_workers_at_once_send_each_message_once(committed_cast: Cast, receiver: HttpReceiver) -> None:
    cast = committed_cast
    cast.flag()
    hooks = [connected(cast, receiver, f"hook {number}") for number in range(6)]
    cast.propose()
    Delivery.objects.exclude(webhook__in=hooks).delete()
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        try:
            delivering.deliver_due()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Delivery.objects.filter(state=State.DELIVERED).count() == 6
    assert len(receiver.received) == 6


def test_the_task_hands_over_and_goes_on(committed_cast: Cast, receiver: HttpReceiver) -> None:
    cast = committed_cast
    cast.flag()
    delivery = waiting(cast, connected(cast, receiver))
    receiver.hangs = 0.3
    delivering.hand_over()
    assert Delivery.objects.get(pk=delivery.pk).state == State.WAITING
    for thread in threading.enumerate():
        if thread.name == "notifications":
            thread.join(10)
    assert Delivery.objects.get(pk=delivery.pk).state == State.DELIVERED
