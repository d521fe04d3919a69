"""Sessions: how long they last, where somebody is signed in, and ending them.

A session ends when nobody used it for `SESSION_IDLE`, and after `SESSION_LONGEST` whoever uses it. The times are kept
in the session, so that a page asks for nothing more; where it is listed is written once a minute at most.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from access.models import User
from access.permissions import require_in_organisation
from access.signin.lockout import address_of
from access.signin.models import SignedInSession
from audit.actor import Actor
from audit.recording import recording

_STARTED, _SEEN, _LISTED = "signed_in_at", "seen_at", "listed_as"
# How stale the list of sessions may be, in seconds.
_WRITE_EVERY = 60
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@receiver(user_logged_in)
def list_session(request: HttpRequest, user: Any, **_ignored: Any) -> None:
    """Somebody signed in, by whichever door: their session's clock starts, and it is listed."""
    key = request.session.session_key
    if key is None or not isinstance(user, User):
        return
    now = time.time()
    request.session[_STARTED] = request.session[_SEEN] = now
    request.session[_LISTED] = key
    moment = datetime.fromtimestamp(now, UTC)
    ended = set(user.signed_in_sessions.values_list("session_key", flat=True))
    ended -= set(Session.objects.filter(pk__in=ended).values_list("pk", flat=True))
    user.signed_in_sessions.filter(session_key__in=ended).delete()
    SignedInSession.objects.create(
        user=user,
        session_key=key,
        address=address_of(request)[:45],
        device=_device(request.META.get("HTTP_USER_AGENT", "")),
        started_at=moment,
        seen_at=moment,
    )


def session_limits(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that ends sessions that are too old, and notes when one was used."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if "_auth_user_id" in request.session:
            _check(request)
        return get_response(request)

    return middleware


def _check(request: HttpRequest) -> None:
    session, now = request.session, time.time()
    started = session.get(_STARTED, now)
    if now - started > settings.SESSION_LONGEST or now - session.get(_SEEN, now) > settings.SESSION_IDLE:
        logout(request)
        messages.info(request, _("You were signed out, because the session was too old. Sign in again."))
        return
    listed, key = session.get(_LISTED), session.session_key
    if now - session.get(_SEEN, 0) > _WRITE_EVERY or listed != key:
        session.update({_STARTED: started, _SEEN: now, _LISTED: key})
        # A new password gives the session a new key.
        SignedInSession.objects.filter(session_key=listed or key).update(
            session_key=key, seen_at=datetime.fromtimestamp(now, UTC), address=address_of(request)[:45]
        )


def is_fresh(request: HttpRequest, seconds: int) -> bool:
    """Whether whoever is in this session signed in within so many seconds."""
    started = request.session.get(_STARTED)
    return isinstance(started, float) and time.time() - started <= seconds


def sessions_of(person: User) -> QuerySet[SignedInSession]:
    """Where somebody is signed in now, the last used first."""
    keys = person.signed_in_sessions.values("session_key")
    going_on = Session.objects.filter(pk__in=keys, expire_date__gt=datetime.now(UTC)).values("pk")
    idle = datetime.fromtimestamp(time.time() - settings.SESSION_IDLE - _WRITE_EVERY, UTC)
    rows = SignedInSession.objects.filter(user=person, session_key__in=going_on, seen_at__gt=idle)
    return rows.order_by("-seen_at")


def end_sessions(actor: Actor, person: User, *, only: int | None = None, but: str = "") -> int:
    """End the sessions of somebody at once; returns how many. Their own, or as an organisation administrator.

    `only`: the one with this number. `but`: the key of one that goes on. Raises `ForbiddenError`.
    """
    with recording(actor) as record:
        if actor.id != person.pseudonym:
            require_in_organisation(actor, "organisation.manage")
        rows = person.signed_in_sessions.exclude(session_key=but)
        if only is not None:
            rows = rows.filter(pk=only)
        keys = list(rows.values_list("session_key", flat=True))
        ended, _each = Session.objects.filter(pk__in=keys).delete()
        rows.delete()
        if ended:
            record.event("access.v1.session.ended", f"access/{person.pseudonym}", {"sessions": ended})
    return ended


def _device(user_agent: str) -> str:
    """A browser and a system, for people to recognise; empty where they are not known ones."""
    if not re.search("Mozilla|Opera", user_agent):
        return ""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if browser and system else browser or system
