"""Forms whose answer shows a secret: sent again, as a reload of the answer does, they make no second one."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views import View

_SENT = "sent_once"
MOST_REMEMBERED = 20


class SentOnce(View):
    """Stands before the page's own class. The answer cannot be a redirect: the secret is nowhere but on it.

    A form is known by its CSRF token, which is another in every form that is shown.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        token = request.POST.get("csrfmiddlewaretoken", "") if request.method == "POST" else ""
        mark = sha256(token.encode()).hexdigest()[:32]
        sent = request.session.get(_SENT, [])
        if token and mark in sent:
            messages.error(
                request,
                _("That form was sent before, and what it made was shown then. Nothing was made again."),
            )
            return redirect(request.path)
        answer = super().dispatch(request, *args, **kwargs)
        if token and answer.status_code == 200:
            request.session[_SENT] = [*sent, mark][-MOST_REMEMBERED:]
        return answer
