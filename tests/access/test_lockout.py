"""Wrong passwords: counted per name and per address, said alike for everybody, and forgotten by an administrator."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from access import accounts
from access.permissions import ForbiddenError
from access.signin import lockout
from audit.models import Event
from tests.cast import PASSWORD, Cast


@pytest.fixture(autouse=True)
def three(settings: Any) -> None:
    """Fewer attempts than in the product: each hashes a password."""
    settings.AXES_FAILURE_LIMIT = 3


WRONG = PASSWORD[::-1]


def attempt(name: str, password: str = WRONG, address: str = "192.0.2.1", **headers: str) -> HttpResponse:
    client = Client(headers={"Host": "localhost", **headers}, REMOTE_ADDR=address)
    return client.post("/admin/login/", {"username": name, "password": password})


def test_after_too_many_wrong_passwords_the_right_one_does_not_open_either(cast: Cast) -> None:
    answers = [attempt("viewer", address=f"192.0.2.{n}") for n in range(3)]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    locked = attempt("viewer", PASSWORD, "192.0.2.9")
    assert locked.status_code == 429
    page = locked.content.decode()
    assert "Try again in 15 minutes" in page
    assert "ask an organisation administrator" in page
    assert attempt("reviewer", PASSWORD, "192.0.2.9").status_code == 302


def test_an_address_that_tries_many_names_is_locked_out_alone(cast: Cast) -> None:
    for name in ("viewer", "reviewer", "nobody"):
        attempt(name)
    assert attempt("author", PASSWORD).status_code == 429
    assert attempt("author", PASSWORD, "192.0.2.2").status_code == 302


def test_a_line_with_ipv6_is_one_address(cast: Cast) -> None:
    for number, name in enumerate(("viewer", "reviewer", "nobody")):
        attempt(name, address=f"2001:db8:0:1::{number}")
    assert attempt("author", PASSWORD, "2001:db8:0:1:ffff::9").status_code == 429
    assert attempt("author", PASSWORD, "2001:db8:0:2::9").status_code == 302


def test_a_success_forgets_nothing(cast: Cast) -> None:
    attempt("viewer")
    attempt("viewer")
    assert attempt("outsider", PASSWORD).status_code == 302
    attempt("viewer")
    assert attempt("viewer", PASSWORD).status_code == 429


def known_browser(name: str) -> Client:
    """A browser in which somebody has signed in, and out."""
    browser = Client(headers={"Host": "localhost"}, REMOTE_ADDR="203.0.113.5")
    assert browser.post("/admin/login/", {"username": name, "password": PASSWORD}).status_code == 302
    browser.post("/admin/logout/")
    return browser


def sign_in(browser: Client, name: str, password: str = PASSWORD, address: str = "203.0.113.5") -> int:
    form = {"username": name, "password": password}
    return browser.post("/admin/login/", form, REMOTE_ADDR=address).status_code


def test_strangers_do_not_shut_out_the_browser_in_which_somebody_signed_in_before(cast: Cast) -> None:
    browser = known_browser("root")
    for n in range(12):
        attempt("root", address=f"192.0.2.{n}")
    for name in ("nobody", "viewer", "reviewer"):
        attempt(name, address="203.0.113.5")
    assert attempt("root", PASSWORD, "198.51.100.1").status_code == 429
    assert sign_in(browser, "root") == 302
    # It is known for that account alone, wherever it is.
    assert sign_in(browser, "author") == 429
    browser.post("/admin/logout/")
    assert sign_in(browser, "root", address="198.51.100.2") == 302


def test_guesses_from_a_known_browser_are_bounded_too_and_shut_out_nobody_else(cast: Cast) -> None:
    browser = known_browser("viewer")
    for n in range(3):
        sign_in(browser, "viewer", WRONG, f"203.0.113.{n}")
    assert sign_in(browser, "viewer") == 429
    assert attempt("viewer", PASSWORD, "192.0.2.9").status_code == 302
    lockout.unlock_person(cast.actor("root"), cast.users["viewer"])
    assert sign_in(browser, "viewer") == 302


def test_a_browser_stays_the_same_one_however_often_somebody_signs_in(cast: Cast) -> None:
    browser = known_browser("viewer")
    for _ in range(3):
        sign_in(browser, "viewer", WRONG)
        if sign_in(browser, "viewer") == 302:
            browser.post("/admin/logout/")
    assert sign_in(browser, "viewer") == 429


def test_no_browser_is_known_by_a_cookie_of_another_account_or_password(cast: Cast) -> None:
    browser = known_browser("viewer")
    mine, hers = (f"known_{cast.users[name].pseudonym.removeprefix('user:')}" for name in ("viewer", "root"))
    browser.cookies[hers] = browser.cookies[mine].value
    for n in range(3):
        attempt("root", address=f"192.0.2.{n}")
        attempt("viewer", address=f"198.51.100.{n}")
    assert sign_in(browser, "root") == 429
    accounts.set_password(cast.actor("root"), cast.users["viewer"], f"{PASSWORD}-anew")
    assert sign_in(browser, "viewer", f"{PASSWORD}-anew") == 429


def test_nobody_is_counted_as_a_known_browser_by_the_name_they_type(cast: Cast) -> None:
    for n in range(3):
        attempt("viewer guessed", address=f"192.0.2.{n}")
    assert [each.person for each in lockout.lockouts()] == []


def test_it_ends_by_itself(cast: Cast) -> None:
    for _ in range(3):
        attempt("viewer")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert attempt("viewer", PASSWORD).status_code == 302


def test_a_name_that_nobody_has_is_answered_alike(cast: Cast) -> None:
    def story(name: str, network: str) -> list[tuple[int, str]]:
        answers = [attempt(name, address=f"{network}.{n}") for n in range(5)]
        return [(answer.status_code, _visible(answer, name)) for answer in answers]

    assert story("viewer", "192.0.2") == story("nobody", "198.51.100")


def _visible(answer: HttpResponse, name: str) -> str:
    text = re.sub(r"\d\d:\d\d UTC", "TIME", answer.content.decode().replace(name, "NAME"))
    return "\n".join(line for line in text.splitlines() if "csrf" not in line)


def test_a_forwarded_address_counts_only_behind_a_proxy(cast: Cast, settings: Any) -> None:
    settings.BEHIND_TLS_PROXY = False
    for n in range(3):
        attempt("nobody", **{"X-Forwarded-For": f"203.0.113.{n}"})
    assert attempt("author", PASSWORD, **{"X-Forwarded-For": "203.0.113.77"}).status_code == 429
    settings.BEHIND_TLS_PROXY = True
    assert attempt("author", PASSWORD, **{"X-Forwarded-For": "192.0.2.1, 203.0.113.77"}).status_code == 302


def test_organisation_administrators_unlock_and_it_is_recorded(cast: Cast) -> None:
    for n in range(3):
        attempt("viewer", address=f"192.0.2.{n}")
    for name in ("administrator", "viewer"):
        with pytest.raises(ForbiddenError):
            lockout.unlock_person(cast.actor(name), cast.users["viewer"])
        with pytest.raises(ForbiddenError):
            lockout.unlock_address(cast.actor(name), "192.0.2.1")
    root = Client(headers={"Host": "localhost"})
    root.force_login(cast.users["root"])
    assert "Locked out of local sign-in" in root.get("/admin/sign-in/").content.decode()
    root.post("/admin/sign-in/", {"unlock": f"person/{cast.users['viewer'].pseudonym}"})
    assert attempt("viewer", PASSWORD).status_code == 302
    event = Event.objects.get(type="access.v1.account.unlocked")
    assert event.subject == f"access/{cast.users['viewer'].pseudonym}"
    for _ in range(3):
        attempt("nobody", address="192.0.2.50")
    page = root.get("/admin/sign-in/").content.decode()
    assert "192.0.2.50" in page
    assert "nobody" not in page
    root.post("/admin/sign-in/", {"unlock": "address/192.0.2.50"})
    assert attempt("author", PASSWORD, "192.0.2.50").status_code == 302
    unlocked = Event.objects.get(type="access.v1.address.unlocked")
    assert "192.0.2.50" not in unlocked.line


def test_no_code_stands_in_the_rows_of_wrong_attempts(cast: Cast) -> None:
    form = {"username": "viewer", "password": WRONG, "code": "123456", "credential": "{key}"}
    Client(headers={"Host": "localhost"}).post("/admin/login/", form)
    kept = AccessAttempt.objects.get().post_data
    assert "123456" not in kept
    assert "key}" not in kept
