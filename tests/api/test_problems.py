"""What cannot be read or may not be asked: the right status, and a problem that says why."""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.db import OperationalError
from django.utils import timezone

from access import machines
from access.models import ApiToken
from audit import ledger
from audit.ledger import LedgerError
from flags.api.projects import Projects
from flags.models import FlagConfiguration
from tests.api.conftest import Answer, Api
from tests.cast import ON

PROPOSE = "change-requests"


def check(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["type"] == f"/api/problems/{slug}"
    assert answer.body["status"] == status
    assert answer.body["title"]
    assert answer.body["detail"]
    return answer.body


HOSTILE = [
    (b"{", "not JSON at character"),
    (b"", "required"),
    (b"\xff{}", "not UTF-8"),
    (b'\xef\xbb\xbf{"project":"shop"}', "not JSON"),
    (b'{"title": NaN}', "NaN is not JSON"),
    (b'{"title": -Infinity}', "-Infinity is not JSON"),
    (b'{"title": 1e999}', "beyond the range"),
    (b'{"title": 9007199254740992}', "beyond"),
    (b'{"title": ' + b"9" * 5000 + b"}", "beyond"),
    (b'{"title": "a", "title": "b"}', "stands twice"),
    (b'{"operations": [{"after": {"a": 1, "a": 2}}]}', "stands twice"),
    (b'{"title": "a\\u0000b"}', "U\\+0000"),
    (b'{"a\\u0000": 1}', "U\\+0000"),
    (b'{"title": "\\ud800"}', "surrogate"),
    (b'{"\\udfff": 1}', "surrogate"),
    (b"[" * 65 + b"]" * 65, "nested more than"),
    (b"[" * 200_000, "nested more than|not JSON"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested more than"),
    (b"[]", "must be an object"),
    (b'"text"', "must be an object"),
    (b"null", "must be an object"),
]


def test_hostile_json_is_a_clean_400(api: Api, subtests: Any) -> None:
    for raw, reason in HOSTILE:
        with subtests.test(raw[:40]):
            answer = api("author", "POST", PROPOSE, raw=raw)
            assert re.search(reason, check(answer, 400, "malformed")["detail"]), answer.body


def test_a_body_above_1_mib_is_413_on_every_way_in(api: Api) -> None:
    big = b'{"title": "' + b"x" * (1024 * 1024) + b'"}'
    check(api("author", "POST", PROPOSE, raw=big), 413, "too-large")


def test_a_chunked_body_is_read_like_any_other(api: Api) -> None:
    def send(raw: bytes) -> Any:
        headers = {"authorization": f"Bearer {api.token('root')}", "content-type": "application/json"}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/projects",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "query_string": b"",
        }
        return Projects.as_view({"post": "create"})(ASGIRequest(scope, BytesIO(raw)))

    assert send(b'{"key": "chunky", "name": "Chunky"}').status_code == 201
    assert send(b"x" * (1024 * 1024 + 1)).status_code == 413


def test_a_body_that_is_not_json_is_415(api: Api) -> None:
    text = api("author", "POST", PROPOSE, raw=b"a=b", content_type="text/plain")
    check(text, 415, "unsupported-media-type")
    form = api("author", "POST", PROPOSE, raw=b"a=b", content_type="application/x-www-form-urlencoded")
    check(form, 415, "unsupported-media-type")


def test_an_answer_that_is_not_json_is_406(api: Api) -> None:
    check(api.get("author", "flags", Accept="text/html"), 406, "not-acceptable")


def test_a_method_that_is_not_there_is_405_and_says_which_are(api: Api) -> None:
    answer = api.post("author", "flags", {}, **{"Idempotency-Key": "1"})
    check(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["Allow"]
    check(api("author", "OPTIONS", "flags"), 405, "method-not-allowed")


def test_without_a_good_token_it_is_401_with_the_scheme(api: Api, subtests: Any) -> None:
    for header in ("", "Bearer", "Bearer ", "Bearer cst_wrong", "Basic YTpi", "Bearer é"):
        for address in ("flags", "nothing"):
            with subtests.test(header, address=address):
                answer = api.get(None, address, **({"Authorization": header} if header else {}))
                check(answer, 401, "unauthenticated")
                assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_expired_a_revoked_and_an_inactive_persons_token_are_refused(api: Api) -> None:
    user = api.cast.users["author"]
    actor = api.cast.actor("author")
    _, expired = machines.issue_token(actor, user, "old", timezone.now() - timedelta(seconds=1))
    row, revoked = machines.issue_token(actor, user, "lost")
    machines.revoke_token(actor, row)
    for secret in (expired, revoked):
        check(api.get(None, "me", Authorization=f"Bearer {secret}"), 401, "unauthenticated")
    assert api.get("author", "me").status == 200
    user.is_active = False
    user.save()
    check(api.get("author", "me"), 401, "unauthenticated")


def test_an_inactive_service_accounts_token_is_refused(api: Api, pipeline: Any) -> None:
    assert api.get("pipeline", "me").status == 200
    pipeline.is_active = False
    pipeline.save()
    check(api.get("pipeline", "me"), 401, "unauthenticated")


WRONG_MEMBERS: list[tuple[dict[str, Any], str]] = [
    ({"surprise": 1}, "surprise"),
    ({"title": 5}, "title"),
    ({"title": None}, "title"),
    ({"title": "x" * 201}, "title"),
    ({"operations": []}, "operations"),
    ({"operations": {}}, "operations"),
    ({"operations": [1]}, "operations[0]"),
    ({"operations": [{"subject": "a"}]}, "operations[0].after"),
    ({"operations": [{"subject": "a", "after": []}]}, "operations[0].after"),
    ({"operations": [{"subject": "a", "after": {}, "x": 1}]}, "operations[0].x"),
    ({"base": []}, "base"),
    ({"base": {"a": "1"}}, "base.a"),
    ({"base": {"a": True}}, "base.a"),
    ({"base": {"a": -1}}, "base.a"),
    ({"scheduled_at": "tomorrow"}, "scheduled_at"),
    ({"scheduled_at": "2026-12-31T18:00:00"}, "scheduled_at"),
    ({"scheduled_at": "9999-12-31T23:59:59-14:00"}, "scheduled_at"),
    ({"not_before": 5}, "not_before"),
]


def test_a_wrong_member_is_named(api: Api, subtests: Any) -> None:
    for members, member in WRONG_MEMBERS:
        with subtests.test(str(members)[:60]):
            answer = api.post("author", PROPOSE, {**api.change(ON), **members})
            body = check(answer, 400, "malformed")
            assert body["member"] == member
            assert body["errors"][0]["reason"]


WRONG_PARAMETERS = [
    ("surprise=1", "surprise"),
    ("kind=nothing", "kind"),
    ("project=shop&project=other", "project"),
    ("limit=0", "limit"),
    ("limit=201", "limit"),
    ("limit=ten", "limit"),
    ("limit=%C2%B2", "limit"),
    ("q=%00", "q"),
    ("q=" + "x" * 129, "q"),
]


def test_a_wrong_parameter_is_named(api: Api, subtests: Any) -> None:
    for query, member in WRONG_PARAMETERS:
        with subtests.test(query[:40]):
            body = check(api.get("author", f"flags?{query}"), 400, "malformed")
            assert body["member"] == member


def test_a_cursor_of_another_list_is_told(api: Api, subtests: Any) -> None:
    for cursor in ("!!", "", "W10", "WyJhIl0", "WzFlOTldCg", "WzEsMl0", "%ff"):
        with subtests.test(cursor):
            body = check(api.get("author", f"flags?cursor={cursor}"), 422, "invalid")
            assert body["member"] == "cursor"


def test_thousands_of_parameters_are_a_400(api: Api) -> None:
    check(api.get("author", "flags?" + "&".join(f"a{i}=1" for i in range(2000))), 400, "malformed")


@pytest.mark.parametrize(
    ("after", "member"),
    [
        ({"enabled": True, "default": {"variant": "nothing"}}, "flags.banner.default.variant"),
        (
            {
                "enabled": True,
                "default": {"variant": "on"},
                "rules": [
                    {
                        "id": "r1",
                        "constraints": [],
                        "serve": {
                            "split": {
                                "by": "targetingKey",
                                "seed": "s",
                                "hash": "murmur3",
                                "weights": [["on", 0], ["off", 0]],
                            }
                        },
                    }
                ],
            },
            "flags.banner.rules[0].serve.split.weights",
        ),
        ({**ON, "regions": {"moon": False}}, "regions.moon"),
        ({**ON, "surprise": 1}, "flags.banner.surprise"),
    ],
)
def test_a_document_that_breaks_the_specification_is_422_and_names_the_member(
    api: Api, after: dict[str, Any], member: str
) -> None:
    body = check(api.post("author", PROPOSE, api.change(after)), 422, "invalid")
    assert body["member"] == member
    assert body["errors"] == [{"member": member, "reason": body["errors"][0]["reason"]}]
    assert body["detail"] == f"{member}: {body['errors'][0]['reason']}"


def test_a_ledger_that_cannot_append_stops_the_change_and_says_so(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token("author")

    def broken(pending: Any) -> None:
        raise LedgerError("The ledger is full; free some space.")

    monkeypatch.setattr(ledger, "append", broken)
    answer = api.post("author", PROPOSE, api.change(ON, environment="development"))
    assert check(answer, 503, "ledger-unavailable")["detail"] == "The ledger is full; free some space."
    assert not FlagConfiguration.objects.exists()


def test_a_database_that_does_not_answer_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(ApiToken.objects, "select_related", gone)
    answer = api.get("author", "me")
    check(answer, 503, "database-unavailable")
    assert answer.headers["Retry-After"]
    assert "locked" not in answer.body["detail"]
