"""`Idempotency-Key`: sent twice, done once."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from access.models import ApiToken, StoredAnswer
from approvals.models import ChangeRequest
from distribution.models import SdkKey
from tests.api.conftest import Api
from tests.cast import ON, split

KEY = {"Idempotency-Key": "try-1"}


def test_the_same_key_and_body_are_answered_with_the_first_answer(api: Api) -> None:
    body = api.change(ON, environment="development")
    first = api.post("author", "change-requests", body, **KEY)
    again = api.post("author", "change-requests", body, **KEY)
    assert first.status == again.status == 201
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"
    assert ChangeRequest.objects.filter(environments__key="development").count() == 1


def test_the_same_key_with_another_body_is_422(api: Api) -> None:
    api.post("author", "change-requests", api.change(ON), **KEY)
    other = api.post("author", "change-requests", api.change(split(5)), **KEY)
    assert other.status == 422
    assert other.body["type"] == "/api/problems/idempotency-key-reused"


def test_a_key_is_ones_own_and_of_one_address(api: Api) -> None:
    body = {"name": "laptop"}
    assert api.signed_in("author", "tokens", body, **KEY).status == 201
    assert "Idempotency-Replayed" not in api.signed_in("reviewer", "tokens", body, **KEY).headers
    assert api.post("author", "service-accounts", body, **KEY).status == 403


def test_a_refused_write_leaves_its_key_free(api: Api) -> None:
    body = api.change(ON, base=5)
    assert api.post("author", "change-requests", body, **KEY).status == 409
    assert api.post("author", "change-requests", api.change(ON), **KEY).status == 201


def test_an_unanswered_first_request_is_a_409(api: Api) -> None:
    body = api.change(ON)
    api.post("author", "change-requests", body, **KEY)
    StoredAnswer.objects.update(status=None)
    answer = api.post("author", "change-requests", body, **KEY)
    assert answer.status == 409
    assert answer.body["type"] == "/api/problems/idempotency-key-unfinished"


def test_after_a_day_the_key_is_new_again(api: Api) -> None:
    body = {"name": "laptop"}
    api.signed_in("author", "tokens", body, **KEY)
    StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert "Idempotency-Replayed" not in api.signed_in("author", "tokens", body, **KEY).headers


def test_secrets_are_never_stored_with_an_answer(api: Api) -> None:
    token = api.signed_in("author", "tokens", {"name": "laptop"}, **KEY)
    body = {"project": "shop", "environment": "development", "name": "web", "side": "server"}
    key = api.post("administrator", "sdk-keys", body, **KEY)
    stored = "".join(StoredAnswer.objects.values_list("body", flat=True))
    assert token.body["token"] not in stored
    assert key.body["key"] not in stored
    again = api.post("administrator", "sdk-keys", body, **KEY).body
    assert (again["key"], again["dsn"], again["id"]) == (None, None, key.body["id"])
    assert SdkKey.objects.count() == 1
    assert ApiToken.objects.filter(name="laptop").count() == 1


def test_a_key_that_is_no_key_is_a_400(api: Api) -> None:
    for key in ("", "x" * 256, "é"):
        answer = api.signed_in("author", "tokens", {"name": "laptop"}, **{"Idempotency-Key": key})
        assert answer.status == 400
        assert answer.body["member"] == "Idempotency-Key"


def test_an_endless_address_is_a_404(api: Api) -> None:
    address = f"configurations/shop/development/{'x' * 5000}/kill"
    assert api.post("on_call", address, **KEY).status == 404
    assert api.post("on_call", address).status == 404
