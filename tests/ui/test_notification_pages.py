"""The bell, the list, the settings; webhooks and chats of a project and the log of deliveries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import Chat, Delivery, Webhook
from access.notifications import choices, delivering
from tests.cast import ON, Cast
from tests.ui.conftest import Browser
from tests.ui.pages import runs

ALL, SETTINGS = "/admin/notifications/", "/admin/notifications/settings/"
SHOP = "/admin/p/shop/"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
HOOK = {
    "name": "ours <b>",
    "url": "http://127.0.0.1:9/hook",
    "kinds": ["request.waiting"],
    "is_enabled": "on",
}


def bell(html: str) -> str:
    found = re.search(r"cs-bell.*?</a>", html, re.DOTALL)
    assert found
    count = re.search(r'cs-count">(\d+\+?)', found[0])
    return count[1] if count else ""


def test_the_bell_counts_what_is_unread_and_going_there_reads_it(cast: Cast, browser: Browser) -> None:
    cast.flag()
    request = cast.propose(title="<script>alert(1)</script>")
    client = browser("reviewer")
    html = client.get(ALL).content.decode()
    assert bell(html) == "1"
    assert runs(html) == []
    assert "&lt;script&gt;" in html
    [row] = Delivery.objects.filter(person=cast.users["reviewer"], channel="app")
    answer = client.post(ALL, {"open": row.pk})
    assert answer.headers["Location"] == f"{SHOP}requests/{request.number}/"
    assert bell(client.get(SHOP + "flags/").content.decode()) == ""
    assert "Nothing is unread" in client.get(ALL + "?which=unread").content.decode()
    assert browser("second_reviewer").post(ALL, {"open": row.pk}).status_code == 404
    assert client.post(ALL, {"read": "x"}).status_code == 404
    assert browser("viewer").get(ALL).content.decode().count("No notifications yet") == 1
    other = browser("second_reviewer")
    other.post(ALL, {"all": "1"})
    assert bell(other.get(ALL).content.decode()) == ""


@pytest.mark.parametrize("url", [ALL, SHOP + "flags/", SHOP + "deliveries/"])
def test_pages_ask_as_often_for_many_notifications_as_for_few(
    cast: Cast, browser: Browser, url: str, settings: Any
) -> None:
    settings.PRIVATE_RECEIVERS = ["127.0.0.1"]
    cast.flag()
    client = browser("administrator")
    client.post(SHOP + "new-webhook/", HOOK)

    def asked() -> int:
        client.get(url)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        return len(captured)

    cast.propose(title="first")
    before = asked()
    for number in range(12):
        cast.propose(ON, title=f"further {number}")
    assert asked() == before
    assert bell(client.get(url).content.decode()) == "14"  # and a role that changed before


def test_settings_say_what_stands_and_keep_what_is_chosen(cast: Cast, browser: Browser) -> None:
    client = browser("reviewer")
    html = client.get(SETTINGS).content.decode()
    assert 'value="request.waiting:mail"' in html
    assert "reviewer@example.com" in html
    assert "Chat needs a chat of yours" in html
    client.post(SETTINGS, {"wanted": ["request.waiting:app", "request.applied:mail"]})
    standing = choices.choices_of(cast.users["reviewer"])
    assert standing["request.waiting"] == {"app": True, "mail": False, "chat": False}
    assert standing["request.applied"] == {"app": False, "mail": True, "chat": False}


def test_a_chat_of_ones_own_is_connected_tried_and_disconnected(cast: Cast, browser: Browser) -> None:
    client = browser("reviewer")
    assert (
        client.post(SETTINGS, {"connect": "1", "name": "mine", "url": "file:///etc/passwd"}).status_code
        == 422
    )
    client.post(SETTINGS, {"connect": "1", "name": "mine", "url": SLACK})
    [chat] = Chat.objects.all()
    html = client.get(SETTINGS).content.decode()
    assert "mine" in html
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in html
    client.post(SETTINGS, {"try": chat.pk})
    assert Delivery.objects.get(chat=chat).state == "waiting"
    assert browser("viewer").post(SETTINGS, {"disconnect": chat.pk}).status_code == 404
    client.post(SETTINGS, {"disconnect": chat.pk})
    assert not Chat.objects.exists()


def test_a_webhook_shows_its_secret_once_and_its_deliveries(
    cast: Cast, browser: Browser, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PRIVATE_RECEIVERS = ["127.0.0.1"]
    cast.flag()
    client = browser("administrator")
    assert "No webhooks or chats yet" in client.get(SHOP + "webhooks/").content.decode()
    assert "Nothing was sent" in client.get(SHOP + "deliveries/").content.decode()
    assert client.post(SHOP + "new-webhook/", {**HOOK, "url": "https://10.0.0.1/"}).status_code == 422
    assert client.post(SHOP + "new-webhook/", {**HOOK, "kinds": []}).status_code == 422
    html = client.post(SHOP + "new-webhook/", HOOK).content.decode()
    assert "whsec_" in html
    assert "ours &lt;b&gt;" in html
    hook = Webhook.objects.get()
    page = f"{SHOP}webhooks/{hook.pk}/"
    assert "whsec_" not in client.get(page).content.decode()
    assert "whsec_" in client.post(page, {"rotate": "1", "overlap": "3600"}).content.decode()
    assert client.post(page, {**HOOK, "name": "late", "base": "7"}).status_code == 409
    client.post(page, {**HOOK, "name": "renamed", "base": "1"})
    monkeypatch.setattr(delivering, "MOST_ATTEMPTS", 1)
    cast.propose()
    delivering.deliver_due()
    html = client.get(SHOP + "deliveries/?state=given_up").content.decode()
    assert "renamed" in html
    assert "Connection refused" in html
    assert "1 given up" in client.get(SHOP + "webhooks/").content.decode()
    delivery = Delivery.objects.get(webhook=hook)
    client.post(SHOP + "deliveries/", {"redeliver": delivery.pk})
    delivery.refresh_from_db()
    assert delivery.state == "waiting"
    client.post(page, {"delete": "1"})
    assert not Webhook.objects.exists()


def test_a_chat_of_a_project_is_connected_by_whoever_manages_webhooks(cast: Cast, browser: Browser) -> None:
    client = browser("administrator")
    form = {"name": "#releases", "url": SLACK, "kinds": ["flag.killed"]}
    assert client.post(SHOP + "new-chat/", {**form, "url": "syslog://"}).status_code == 422
    client.post(SHOP + "new-chat/", form)
    html = client.get(SHOP + "webhooks/").content.decode()
    assert "#releases" in html
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in html
    chat = Chat.objects.get()
    client.post(SHOP + "webhooks/", {"disconnect": chat.pk})
    assert not Chat.objects.exists()
