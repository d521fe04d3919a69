"""What every notifier does alike, against real receivers; and what only one of them does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook as Verifier

from access import outgoing
from access.models import Delivery, Notification
from access.notifications import addresses, chats, delivering, webhooks
from access.notifications.notifiers import Notifier, Outcome
from access.notifications.notifiers.chat import ChatNotifier
from access.notifications.notifiers.mail import MailNotifier
from access.notifications.notifiers.webhook import WebhookNotifier
from access.notifications.wording import Message, worded
from access.signin.sealing import seal
from tests.access.receivers import HttpReceiver, MailServer
from tests.cast import Cast

TOKEN = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of localhost, signed by itself."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        [x509.NameAttribute(NameOID.COMMON_NAME, "localhost")],
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(name))
        .issuer_name(x509.Name(name))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


class World:
    """A notifier, a delivery for it, and the receiver on loopback."""

    def __init__(
        self,
        channel: str,
        cast: Cast,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
        certificate: Path,
    ) -> None:
        settings.PRIVATE_RECEIVERS = ["127.0.0.1", "localhost"]
        self.channel, self.cast, self.notifier = channel, cast, NOTIFIERS[channel]
        self.mail = MailServer() if channel == "mail" else None
        self.http = HttpReceiver(certificate if channel == "chat" else None) if channel != "mail" else None
        notification = Notification.objects.create(
            kind="request.failed",
            project=cast.project,
            by=cast.users["reviewer"].pseudonym,
            about={"change": "CR-7", "title": "Schöne\nGrüße", "problem": "It is at version 2."},
            link="/admin/p/shop/requests/7/",
        )
        self.delivery = Delivery(notification=notification, channel=channel, due_at=notification.created_at)
        if self.mail:
            settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
            settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", self.mail.port
            self.delivery.person = cast.users["author"]
        elif channel == "chat":
            assert self.http
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
            self.secret = TOKEN
            url = f"mmosts://localhost:{self.http.port}/{TOKEN}"
            self.delivery.chat = chats.connect_of_project(
                cast.actor("administrator"), cast.project, "talk", url, []
            )
        else:
            assert self.http
            self.delivery.webhook, self.secret = webhooks.create_webhook(
                cast.actor("administrator"), cast.project, {"name": "ours", "url": self.http.url}
            )
        self.delivery.save()

    @property
    def message(self) -> Message:
        return worded([self.delivery.notification])[0]

    def send(self) -> Outcome:
        return self.notifier.send(self.delivery, self.message)

    def received(self) -> list[str]:
        """The body of each message, as text."""
        return self.mail.received if self.mail else [each.body.decode() for each in self.http.received]

    def refuse(self) -> None:
        if self.mail:
            self.mail.refusal = "550 no such person as author@example.com"
        else:
            self.http.status, self.http.answer = 503, b"not now"

    def stop(self) -> None:
        (self.mail or self.http).stop()


NOTIFIERS: dict[str, Notifier] = {
    "mail": MailNotifier(),
    "chat": ChatNotifier(),
    "webhook": WebhookNotifier(),
}


def test_every_notifier_is_in_the_shared_suite() -> None:
    assert {name: type(each) for name, each in delivering.NOTIFIERS.items()} == {
        name: type(each) for name, each in NOTIFIERS.items()
    }


@pytest.fixture
def world(
    channel: str, cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> Iterator[World]:
    made = World(channel, cast, settings, monkeypatch, certificate)
    yield made
    made.stop()


every = pytest.mark.parametrize("channel", NOTIFIERS)


@every
def test_what_was_taken_is_delivered_and_the_same_message_keeps_its_id(world: World) -> None:
    ids = {world.message.id for _ in range(2)}
    assert [world.send().is_delivered for _ in range(2)] == [True, True]
    assert len(ids) == 1
    assert len(world.received()) == 2
    assert all("CR-7" in each for each in world.received())


@every
def test_refused_hanging_and_absent_receivers_are_outcomes_without_secrets(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    world.refuse()
    refused = world.send()
    monkeypatch.setattr(outgoing, "STEP", 0.2)
    monkeypatch.setattr(outgoing, "LONGEST", 0.4)
    settings.EMAIL_TIMEOUT = 0.2
    if world.http:
        world.http.status, world.http.hangs = 204, 3
        assert not world.send().is_delivered
    world.stop()
    absent = world.send()
    for outcome in (refused, absent):
        assert not outcome.is_delivered
        assert outcome.problem or outcome.status
        said = f"{outcome.problem} {outcome.answer}"
        assert "author@example.com" not in said
        assert "secret" not in said
        assert getattr(world, "secret", "none such") not in said
    assert not absent.is_final


@pytest.mark.parametrize("channel", ["mail"])
def test_a_mail_says_why_it_came_where_to_choose_and_who_without_breaking_lines(world: World) -> None:
    world.send()
    [mail] = world.mail.received
    read = message_from_string(mail, policy=policy.default)
    assert read["Subject"].strip() == "[Shop] CR-7 could not be applied: Schöne Grüße"
    assert read["Message-ID"] == f"<{world.message.id}.{world.delivery.pk}@localhost>"
    assert read["List-Unsubscribe"].startswith("<http://localhost:")
    assert "notifications/settings/" in read.get_content()
    world.refuse()
    assert world.send().is_final


@pytest.mark.parametrize("channel", ["webhook"])
def test_a_webhook_is_signed_as_the_standard_says_and_while_it_rotates_by_both_secrets(
    world: World, settings: Any, later: Any
) -> None:
    root, hook, first = world.cast.actor("administrator"), world.delivery.webhook, world.secret
    second = webhooks.rotate_secret(root, hook, timedelta(days=1))
    hook.refresh_from_db()
    assert world.send().is_delivered
    [got] = world.http.received
    for secret in (first, second):
        document = Verifier(secret).verify(got.body, got.headers)
        assert document["type"] == "request.failed"
        assert document["data"]["by"] == world.cast.users["reviewer"].pseudonym
        assert "Reviewer" not in got.body.decode()
        assert document["data"]["link"] == f"{settings.BASE_URL}/admin/p/shop/requests/7/"
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(first).verify(got.body + b" ", got.headers)
    later(timedelta(days=2))
    world.send()
    assert world.http.received[1].headers["webhook-signature"].count("v1,") == 1
    assert json.loads(world.http.received[1].body) == json.loads(got.body)


@pytest.mark.parametrize("channel", ["webhook"])
def test_a_webhook_follows_no_redirect_reads_no_long_answer_and_takes_gone_for_an_answer(
    world: World,
) -> None:
    world.http.status, world.http.answer_headers = 302, {"Location": world.http.url}
    assert world.send() == Outcome(False, 302, "redirects are not followed")
    assert len(world.http.received) == 1
    world.http.status, world.http.answer = 200, b"x" * 1_000_000
    assert len(world.send().answer) < 20_000
    world.http.status = 410
    assert world.send().is_final


@pytest.mark.parametrize("channel", ["webhook", "chat"])
def test_a_receiver_whose_name_leads_to_a_private_address_by_now_is_not_asked(
    world: World, settings: Any
) -> None:
    settings.PRIVATE_RECEIVERS = []
    outcome = world.send()
    assert not outcome.is_delivered
    assert "not public" in outcome.problem
    assert world.received() == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/hooks", "https://"),
        ("https://user:word@example.com/", "without user"),
        ("https://127.0.0.1/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://169.254.169.254/latest", "not public"),
        ("https://localhost/", "not public"),
        ("https://2130706433/", "not public"),
        ("https:///nowhere", "must be an address"),
        ("https://example.com:99999/", "is no address"),
        ("https://exa\nmple.com/", "plain characters"),
    ],
)
def test_a_webhook_goes_to_public_hosts_over_https_only(url: str, reason: str) -> None:
    with pytest.raises(addresses.AddressError, match=reason):
        addresses.checked_webhook(url)


@pytest.mark.parametrize(
    "url",
    [
        "syslog://",
        "json://127.0.0.1/",
        "jsons://127.0.0.1/",
        "mailto://user:word@example.com",
        "mmost://127.0.0.1/abcdefghijklmnopqrstuvwxyz",
        f"mmosts://127.0.0.1/{TOKEN}",
        f"mmosts://localhost/{TOKEN}?verify=no",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?redirect=yes",
        "https://example.com/",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?verify=no",
        "file:///etc/passwd",
        "",
        "slack",
    ],
)
def test_chats_are_services_that_are_known_over_https_only(url: str) -> None:
    with pytest.raises(addresses.AddressError):
        addresses.chat_service(url)


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str) -> None:
    shown = addresses.masked(addresses.chat_service(url))
    assert shown
    for secret in ("TIiajkdnlazkcOXrIdevi7FQ", "JHMHI8qBe7bk2ZwO5U711o3dV_js", "abcdefg_hijklmnop"):
        assert secret not in shown


def test_a_secret_that_cannot_be_opened_is_an_outcome(cast: Cast, settings: Any) -> None:
    settings.PRIVATE_RECEIVERS = ["127.0.0.1"]
    hook, _ = webhooks.create_webhook(
        cast.actor("administrator"), cast.project, {"name": "ours", "url": "http://127.0.0.1:9/"}
    )
    settings.SECRET_KEY = "another"
    delivery = webhooks.try_out(cast.actor("administrator"), hook)
    outcome = WebhookNotifier().send(delivery, worded([delivery.notification])[0])
    assert "enter the secret again" in outcome.problem
    assert seal("x")
