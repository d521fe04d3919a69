"""How long sessions last, where one is signed in, and ending that."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from access.permissions import ForbiddenError
from access.signin.sessions import end_sessions, sessions_of
from audit.models import Event
from tests.cast import PASSWORD, Cast

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HOUR = 3600


def enter(cast: Cast, name: str = "viewer", **headers: str) -> Client:
    client = Client(headers={"Host": "localhost", **headers})
    client.force_login(cast.users[name])
    return client


def is_in(client: Client) -> bool:
    return client.get("/api/v1/me").status_code == 200


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`later(hours)`: so much later the sessions are looked at again."""
    import time

    start, passed = time.time(), [0.0]
    monkeypatch.setattr("access.signin.sessions.time.time", lambda: start + passed[0])

    def forward(hours: float) -> None:
        passed[0] += hours * HOUR

    return forward


def test_a_session_that_nobody_uses_ends(cast: Cast, later: Any) -> None:
    client = enter(cast)
    later(7.9)
    assert is_in(client)
    later(7.9)
    assert is_in(client)
    later(8.1)
    assert not is_in(client)


def test_every_session_ends_after_the_longest_time(cast: Cast, later: Any) -> None:
    client = enter(cast)
    for _ in range(10):
        later(7.1)
        assert is_in(client)
    later(2)
    page = client.get("/admin/home/", follow=True)
    assert page.request["PATH_INFO"] == "/admin/login/"
    assert "You were signed out" in page.content.decode()


def test_one_sees_where_one_is_signed_in_and_ends_another_session(cast: Cast) -> None:
    here, there = (
        enter(cast),
        Client(headers={"Host": "localhost", "User-Agent": FIREFOX}, REMOTE_ADDR="192.0.2.7"),
    )
    there.post("/admin/login/", {"username": "viewer", "password": PASSWORD})
    page = here.get("/admin/sessions/").content.decode()
    assert "Firefox on Linux" in page
    assert "192.0.2.7" in page
    [row] = [each for each in sessions_of(cast.users["viewer"]) if each.address == "192.0.2.7"]
    here.post("/admin/sessions/", {"end": str(row.pk)})
    assert not is_in(there)
    assert is_in(here)


def test_ending_all_others_leaves_this_one_and_is_recorded(cast: Cast) -> None:
    here, others = enter(cast), [enter(cast), enter(cast)]
    here.post("/admin/sessions/", {"end": "all"})
    assert [is_in(client) for client in (here, *others)] == [True, False, False]
    event = Event.objects.get(type="access.v1.session.ended")
    assert event.actor == cast.users["viewer"].pseudonym
    assert '"sessions":2' in event.line


def test_nobody_ends_sessions_of_others_but_organisation_administrators(cast: Cast) -> None:
    client, viewer = enter(cast), cast.users["viewer"]
    number = sessions_of(viewer)[0].pk
    for name in ("administrator", "outsider"):
        with pytest.raises(ForbiddenError):
            end_sessions(cast.actor(name), viewer)
        other = enter(cast, name)
        assert other.get("/admin/sessions/?who=viewer").status_code == 403
        other.post("/admin/sessions/", {"end": str(number)})
    assert is_in(client)
    root = enter(cast, "root")
    assert "Sessions of Viewer" in root.get("/admin/sessions/?who=viewer").content.decode()
    root.post("/admin/sessions/?who=viewer", {"end": "all"})
    assert not is_in(client)
    assert root.get("/admin/sessions/?who=nobody-at-all").status_code == 422


def test_a_new_password_keeps_this_session_in_the_list(cast: Cast) -> None:
    client = enter(cast)
    form = {"old_password": PASSWORD, "new_password1": PASSWORD[::-1], "new_password2": PASSWORD[::-1]}
    assert client.post("/admin/password_change/", form).status_code == 302
    assert "this one" in client.get("/admin/sessions/").content.decode()


def test_signing_out_ends_the_session_in_the_list(cast: Cast) -> None:
    client = enter(cast)
    client.post("/admin/logout/")
    assert not sessions_of(cast.users["viewer"])
