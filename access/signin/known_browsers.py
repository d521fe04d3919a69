"""Browsers in which somebody signed in before: what strangers try does not shut them out (OWASP's device cookies).

Such a browser has a cookie that is signed for one account and password. Wrong passwords from it are counted for it
alone; all other browsers share one count per name and one per address. So guesses at an account stay bounded, and
outsiders use up the strangers' count only.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from access.models import User

_KEPT = 365 * 24 * 3600
"""Seconds for which a browser is known without a further sign-in."""
# None of a user name's characters, and in no name that a stranger's attempts are counted by.
_BETWEEN = " "


def remember(request: HttpRequest, answer: HttpResponse, person: User) -> None:
    """Somebody signed in wholly: their browser is known from now on, until their password changes."""
    answer.set_signed_cookie(
        _cookie(person),
        _known(request, person) or secrets.token_urlsafe(16),
        salt=person.get_session_auth_hash(),
        max_age=_KEPT,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def counted_as(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The name under which django-axes counts wrong passwords: of a known browser, one of its own."""
    name = str((credentials or request.POST).get("username") or "")
    person = User.objects.filter(username=name).first() if name else None
    browser = _known(request, person) if person else ""
    return f"{name}{_BETWEEN}{browser}" if browser else name.replace(_BETWEEN, "_")


def counted_by(request: HttpRequest, credentials: dict[str, Any] | None = None) -> list[str]:
    """What django-axes locks out: a known browser for itself, whatever others do at its address."""
    is_known = _BETWEEN in counted_as(request, credentials)
    return ["username"] if is_known else ["username", "ip_address"]


def counts_of(username: str) -> tuple[str, str]:
    """The name under which strangers' attempts are counted, and how those of known browsers begin."""
    return username, username + _BETWEEN


def owner_of(counted: str) -> str:
    """The user name that attempts were for, from the name that they are counted under."""
    return counted.partition(_BETWEEN)[0]


def _known(request: HttpRequest, person: User) -> str:
    """The browser's own name at this account; empty for a browser that is not known there."""
    salt = person.get_session_auth_hash()
    return request.get_signed_cookie(_cookie(person), default="", salt=salt, max_age=_KEPT) or ""


def _cookie(person: User) -> str:
    # One for each account: who has several does not lose the one for emergencies by using another.
    return f"known_{person.pseudonym.rpartition(':')[2]}"
