"""Second factors of local accounts: set up, asked for at every sign-in, each code once, and told to whose they are."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from access.models import User
from access.notifications import delivering
from audit.models import Event
from tests.access.authenticator import App, set_up_app, signed_in
from tests.cast import PASSWORD, Cast


def is_in(client: Client) -> bool:
    return client.get("/api/v1/me").status_code == 200


def kinds(person: User) -> list[tuple[str, str]]:
    """What the ledger says of somebody's second factors."""
    rows = Event.objects.filter(subject=f"access/{person.pseudonym}", type__startswith="access.v1.factor.")
    return [(row.type.rpartition(".")[2], row.actor) for row in rows.order_by("index")]


def test_an_app_is_set_up_and_a_password_alone_no_longer_opens(cast: Cast, app: App, mailoutbox: Any) -> None:
    person = cast.users["reviewer"]
    other, client = signed_in("reviewer"), signed_in("reviewer")
    page = client.get("/admin/security/app/").content.decode()
    assert "data:image/svg+xml;base64," in page
    app.scan(page)
    answer = client.post("/admin/security/app/", {"code": app.code()})
    codes = re.search(r"readonly>([\d\s]+)<", answer.content.decode())[1].split()  # type: ignore[index]
    assert len(codes) == 10
    assert codes[0] not in client.get("/admin/security/").content.decode()
    assert is_in(client)
    assert not is_in(other), "a session that was opened without it ended"
    assert kinds(person) == [("added", person.pseudonym)] * 2
    delivering.deliver_due()
    assert [mail.to for mail in mailoutbox] == [["reviewer@example.com"]]

    again = signed_in("reviewer")
    assert not is_in(again)
    for door in ("/admin/p/shop/flags/", "/admin/security/", "/admin/password_change/"):
        assert again.get(door)["Location"].startswith("/admin/login/")
    app.wait()
    assert again.post("/admin/login/factor/", {"code": app.code()}).status_code == 302
    assert is_in(again)


def test_a_code_opens_once(cast: Cast, app: App) -> None:
    set_up_app("reviewer", app)
    first, second = signed_in("reviewer"), signed_in("reviewer")
    assert first.post("/admin/login/factor/", {"code": app.code()}).status_code == 200, "used to set it up"
    app.wait()
    code = app.code()
    first.post("/admin/login/factor/", {"code": code})
    assert is_in(first)
    answer = second.post("/admin/login/factor/", {"code": code})
    assert "This code opens nothing" in answer.content.decode()
    assert not is_in(second)


def test_a_recovery_code_opens_once_and_is_recorded_and_told(cast: Cast, app: App, mailoutbox: Any) -> None:
    _, codes = set_up_app("reviewer", app)
    person = cast.users["reviewer"]
    delivering.deliver_due()
    mailoutbox.clear()
    client = signed_in("reviewer")
    client.post("/admin/login/factor/", {"code": codes[3]})
    assert is_in(client)
    assert kinds(person)[-1] == ("recovery_code_used", person.pseudonym)
    delivering.deliver_due()
    assert "9 are left" in mailoutbox[0].subject
    again = signed_in("reviewer")
    again.post("/admin/login/factor/", {"code": codes[3]})
    assert not is_in(again)


def test_wrong_codes_lock_out_as_wrong_passwords_do(
    cast: Cast, app: App, settings: Any, mailoutbox: Any
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    set_up_app("reviewer", app)
    app.wait()
    delivering.deliver_due()
    mailoutbox.clear()
    client = signed_in("reviewer")
    answers = [client.post("/admin/login/factor/", {"code": f"00000{n}"}) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "Try again in 15 minutes" in answers[2].content.decode()
    delivering.deliver_due()
    assert "many wrong codes" in mailoutbox[0].subject
    assert client.post("/admin/login/factor/", {"code": app.code()}).status_code == 429
    assert not is_in(client)
    assert signed_in("reviewer", PASSWORD).get("/admin/login/factor/").status_code == 302, (
        "the password neither"
    )


def test_secrets_are_sealed_and_sealed_anew_when_the_key_rotates(
    cast: Cast, app: App, settings: Any, capsys: Any
) -> None:
    from django.core.management import call_command

    set_up_app("reviewer", app)
    stored = {row.type: row.data for row in Authenticator.objects.all()}
    assert app.secret not in str(stored)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a" * 50
    call_command("reseal_secrets")
    settings.SECRET_KEY_FALLBACKS = []
    client = signed_in("reviewer")
    app.wait()
    client.post("/admin/login/factor/", {"code": app.code()})
    assert is_in(client)


def test_changing_ones_factors_asks_who_it_is(cast: Cast, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    client, codes = set_up_app("reviewer", app)
    row = Authenticator.objects.get(type="totp")
    later = time.time() + 16 * 60
    monkeypatch.setattr(time, "time", lambda: later)
    for door in ("/admin/security/key/", "/admin/security/recovery-codes/"):
        assert client.get(door)["Location"].startswith("/admin/security/confirm/?next=")
    answer = client.post("/admin/security/", {"remove": row.pk})
    assert answer["Location"].startswith("/admin/security/confirm/")
    assert Authenticator.objects.filter(type="totp").exists()
    client.post(answer["Location"], {"password": PASSWORD})
    door = client.get("/admin/security/key/")["Location"]
    assert door.startswith("/admin/security/confirm/"), "with a factor, the password is not enough"
    answer = client.post("/admin/security/confirm/?next=/admin/security/", {"code": codes[0]})
    assert answer["Location"] == "/admin/security/"
    client.post("/admin/security/", {"remove": row.pk})
    assert not Authenticator.objects.filter(user=cast.users["reviewer"]).exists(), (
        "the codes go with the last"
    )
    assert is_in(signed_in("reviewer"))


@pytest.mark.parametrize(
    "credential", ["", "{", "[]", "{}", '"x"', "null", '{"id": 1, "response": {"userHandle": 7}}']
)
def test_what_no_key_made_opens_nothing_and_breaks_nothing(cast: Cast, app: App, credential: str) -> None:
    client, _ = set_up_app("reviewer", app)
    for door in ("/admin/security/key/", "/admin/security/confirm/"):
        client.get("/admin/security/key/")
        assert client.post(door, {"name": "x", "credential": credential}).status_code == 422
    stranger = Client(headers={"Host": "localhost"})
    stranger.get("/admin/login/passkey/", headers={"Accept": "application/json"})
    answer = stranger.post("/admin/login/passkey/", {"credential": credential, "next": "/admin/home/"})
    assert answer["Location"] == "/admin/login/?next=%2Fadmin%2Fhome%2F"
    assert not is_in(stranger)
    half_way = signed_in("reviewer")
    assert half_way.post("/admin/login/factor/", {"credential": credential}).status_code == 200
    assert not is_in(half_way)
