"""Notifications, settings, webhooks, chats and deliveries over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from access.models import Chat, Delivery, Webhook
from access.notifications import delivering
from access.notifications.kinds import KINDS
from audit.models import Event
from tests.api.conftest import Api

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
HOOK = {"project": "shop", "name": "ours", "url": "http://127.0.0.1:9/hook", "kinds": ["request.waiting"]}


@pytest.fixture
def api(api: Api, settings: Any) -> Api:
    settings.PRIVATE_RECEIVERS = ["127.0.0.1"]
    return api


def test_what_one_was_told_is_listed_and_marked_as_read(api: Api) -> None:
    api.cast.propose()
    [told] = api("reviewer", "GET", "notifications?unread=true").body["results"]
    assert told["kind"] == "request.waiting"
    assert told["subject"].endswith("waits for your review: Change banner in production")
    assert told["link"].endswith("/")
    other = api("second_reviewer", "GET", "notifications").body["results"][0]["id"]
    assert api("reviewer", "POST", "notifications/read", {"ids": [other]}).body == {"marked": 0}
    assert api("reviewer", "POST", "notifications/read").body == {"marked": 1}
    assert api("reviewer", "GET", "notifications?unread=true").body["results"] == []
    assert api("reviewer", "GET", "notifications").body["results"][0]["read_at"]
    assert api("viewer", "GET", "notifications").body["results"] == []


def test_settings_are_the_table_and_what_one_chose(api: Api) -> None:
    kinds = api("viewer", "GET", "notification-settings").body["kinds"]
    assert [each["kind"] for each in kinds] == list(KINDS)
    chosen = {"kinds": {"request.waiting": {"mail": False}}}
    after = api("viewer", "PATCH", "notification-settings", chosen).body["kinds"]
    assert after[0]["channels"] == {"app": True, "mail": False, "chat": True}
    for wrong, member in (
        ({"kinds": {"nothing": {"mail": True}}}, "nothing"),
        ({"kinds": {"request.waiting": {"webhook": True}}}, "request.waiting.webhook"),
        ({"kinds": {"request.waiting": {"mail": 1}}}, "kinds.request.waiting"),
    ):
        answer = api("viewer", "PATCH", "notification-settings", wrong)
        assert answer.status in (400, 422)
        assert answer.body["errors"][0]["member"] == member


def test_a_webhook_is_connected_changed_rotated_and_taken_away(api: Api) -> None:
    made = api("administrator", "POST", "webhooks", HOOK)
    assert made.status == 201
    secret, address = made.body["secret"], f"webhooks/{made.body['id']}"
    assert secret.startswith("whsec_")
    assert "secret" not in api("administrator", "GET", address).body
    answer = api("administrator", "PATCH", address, {"name": "new"})
    assert (answer.status, answer.body["expected"], answer.body["found"]) == (409, None, 1)
    assert api("administrator", "PATCH", address, {"name": "new", "base": 1}).body["version"] == 2
    rotated = api("administrator", "POST", f"{address}/rotate", {"overlap": 60})
    assert rotated.body["secret"] != secret
    assert rotated.body["former_until"]
    assert api("administrator", "POST", f"{address}/rotate", {"overlap": 8 * 86_400}).status == 400
    assert api("administrator", "DELETE", address).status == 204
    assert not Webhook.objects.exists()
    assert Event.objects.filter(type="access.v1.webhook.changed").count() == 4


@pytest.mark.parametrize(
    ("wrong", "member"),
    [
        ({"url": "https://169.254.169.254/"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"kinds": ["account.signed_in_locally"]}, "kinds"),
        ({"name": " "}, "name"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_by_member(api: Api, wrong: dict[str, Any], member: str) -> None:
    answer = api("administrator", "POST", "webhooks", {**HOOK, **wrong})
    assert answer.status in (400, 422)
    assert answer.body["errors"][0]["member"].startswith(member)
    assert not Webhook.objects.exists()


def test_deliveries_have_their_log_and_are_sent_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = api("administrator", "POST", "webhooks", HOOK).body["id"]
    monkeypatch.setattr(delivering, "MOST_ATTEMPTS", 1)
    api.cast.propose()
    delivering.deliver_due()
    [row] = api("administrator", "GET", f"deliveries?webhook={hook}&state=given_up").body["results"]
    [attempt] = row["attempts"]
    assert "Connection refused" in attempt["problem"]
    assert row["message"].startswith("msg_")
    assert api("reviewer", "GET", "deliveries").body["results"] == []
    assert api("administrator", "POST", f"deliveries/{row['id']}/redeliver").status == 204
    again = api("administrator", "POST", f"deliveries/{row['id']}/redeliver")
    assert (again.status, again.body["type"]) == (409, "/api/problems/wrong-state")
    assert Delivery.objects.get(pk=row["id"]).attempts == 0


def test_an_address_of_a_chat_goes_in_and_never_comes_out(api: Api) -> None:
    own = api("reviewer", "POST", "chats", {"name": "mine", "url": SLACK})
    theirs = api(
        "administrator",
        "POST",
        "chats",
        {"project": "shop", "name": "ours", "url": SLACK, "kinds": ["flag.killed"]},
    )
    assert (own.status, theirs.status) == (201, 201)
    for name in ("reviewer", "administrator"):
        answer = api(name, "GET", "chats")
        assert len(answer.body["results"]) == 1
        assert "TIiajkdnlazkcOXrIdevi7FQ" not in str(answer.body)
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in str(list(Chat.objects.values()))
    assert api("administrator", "DELETE", f"chats/{own.body['id']}").status == 404
    assert api("reviewer", "DELETE", f"chats/{theirs.body['id']}").status == 403
    assert api("reviewer", "DELETE", f"chats/{own.body['id']}").status == 204
    assert api("reviewer", "POST", "chats", {"name": "x", "url": "json://127.0.0.1/"}).status == 422
