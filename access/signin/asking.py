"""Where second factors are asked for on pages: a role that needs one, and a verb that needs a fresh one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import urlencode

from access.models import User
from access.permissions import request_actor, waits_for_factor
from access.shown_factor import StaleFactorError
from access.signin.factors import has_own_factor

Callback = Callable[..., HttpResponseBase]
# Where somebody sets up or shows what is missing, and where they end what they opened.
_OPEN = frozenset({"security", "security-app", "security-key", "security-codes", "confirm", "sessions"})


def asking_for_factors(callback: Callback, name: str | None) -> Callback:
    """A page that sends people who lack a second factor to where they show or set up one."""

    @wraps(callback)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        here = request.get_full_path()
        if name not in _OPEN and waits_for_factor(request_actor(request)):
            assert isinstance(request.user, User)
            own = has_own_factor(request.user)
            return _to(request, confirm_address(here, factor=True) if own else reverse("admin:security"))
        try:
            return callback(request, *args, **kwargs)
        except StaleFactorError:
            return _to(request, confirm_address(here, factor=True))

    return page


def confirm_address(following: str, *, factor: bool = False) -> str:
    """The page that asks who it is, and goes back to `following`. `factor`: a password is not enough."""
    return (
        f"{reverse('admin:confirm')}?{urlencode({'next': following, **({'factor': '1'} if factor else {})})}"
    )


def _to(request: HttpRequest, address: str) -> HttpResponse:
    """Go there; our dialog is told by a header, and keeps what was typed."""
    if request.headers.get("X-Requested-With") == "countersign":
        return HttpResponse(status=204, headers={"X-Location": address, "X-Keep-Draft": "1"})
    return HttpResponseRedirect(address)
