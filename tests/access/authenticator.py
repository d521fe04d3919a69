"""An authenticator app, and the flows in which people use one."""

from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.test import Client

from tests.cast import PASSWORD


class App:
    """What shows a new code every half minute; the clock stands but for `wait`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.secret = ""
        # The middle of a half minute: a test does not cross into the next one by being slow.
        self._now = time.time() // 30 * 30 + 15
        monkeypatch.setattr(time, "time", lambda: self._now)

    def scan(self, page: str) -> None:
        """Take the secret from the page that shows it."""
        found = re.search(r'class="cs-secret">([A-Z2-7 ]+)<', page)
        assert found
        self.secret = found[1].replace(" ", "")

    def code(self) -> str:
        return format_hotp_value(hotp_value(self.secret, int(time.time()) // 30))

    def wait(self, seconds: float = 30) -> None:
        self._now += seconds


def signed_in(name: str, password: str = PASSWORD) -> Client:
    """A browser in which somebody typed their password; signed in, where nothing more is asked for."""
    client = Client(headers={"Host": "localhost"})
    client.post("/admin/login/", {"username": name, "password": password})
    return client


def set_up_app(name: str, app: App) -> tuple[Client, list[str]]:
    """Sign in and set up the app; the browser, and the recovery codes."""
    client = signed_in(name)
    app.scan(client.get("/admin/security/app/").content.decode())
    answer = client.post("/admin/security/app/", {"code": app.code()})
    found = re.search(r"readonly>([\d\s]+)<", answer.content.decode())
    assert found, answer.content.decode()
    return client, found[1].split()
