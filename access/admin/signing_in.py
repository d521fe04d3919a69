"""Signing in through an identity provider: out to it, and back. The addresses below `/sign-in/`."""

from __future__ import annotations

from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2LoginView
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from django.views.generic import RedirectView
from requests import RequestException

from access.signin.adapters import explained, logger
from access.signin.logging_out import LogoutError, log_out
from access.signin.models import IdentityProvider
from access.signin.openid import Callback, Exchange


@never_cache
@require_POST
def begin(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Out to the provider.

    By a page that goes there, not by a redirect: `form-action 'self'` forbids a form that ends elsewhere, and a
    link that starts a sign-in could be set by another site.
    """
    row = _row(provider_id)
    try:
        answer = OAuth2LoginView.adapter_view(Exchange(request, provider_id))(request)
    except (OAuth2Error, RequestException) as error:
        logger.warning("Sign-in by %s failed: %s", row.key, error)
        messages.error(request, explained(row, None, error))
        return HttpResponseRedirect(_sign_in_page(request))
    return gone_to(request, row, answer)


def gone_to(request: HttpRequest, row: IdentityProvider, answer: HttpResponse) -> HttpResponse:
    """The page that goes where an answer of allauth redirects to; another answer as it is."""
    if "Location" not in answer.headers:
        return answer
    return render(request, "countersign/signing_in.html", {"provider": row, "address": answer["Location"]})


@never_cache
@require_GET
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Back from the provider."""
    row = _row(provider_id)
    try:
        return Callback.adapter_view(Exchange(request, provider_id))(request)
    except SocialApp.DoesNotExist as error:
        raise Http404 from error
    except OAuth2Error as error:  # before allauth's own handling: a secret that cannot be opened
        logger.warning("Sign-in by %s failed: %s", row.key, error)
        messages.error(request, explained(row, None, error))
        return HttpResponseRedirect(reverse("admin:login"))


@never_cache
@csrf_exempt
@require_POST
def logged_out(request: HttpRequest, provider_id: str) -> HttpResponse:
    """A provider, not a browser, says that somebody is signed out there: its signature is what counts."""
    row = _row(provider_id)
    try:
        log_out(row, request.POST.get("logout_token", ""))
    except LogoutError as error:
        logger.warning("A logout token for %s was refused: %s", row.key, error)
        return JsonResponse({"error": "invalid_request"}, status=400)
    return HttpResponse()


def _row(key: str) -> IdentityProvider:
    row = IdentityProvider.objects.filter(key=key, is_enabled=True).first()
    if row is None:
        raise Http404
    return row


def _sign_in_page(request: HttpRequest) -> str:
    following = request.POST.get("next", "")
    return reverse("admin:login") + (f"?{urlencode({'next': following})}" if following else "")


urlpatterns = [
    # The names are those that allauth asks for.
    path("", RedirectView.as_view(pattern_name="admin:login", query_string=True), name="account_login"),
    path("<slug:provider_id>/", begin, name="openid_connect_login"),
    path("<slug:provider_id>/logged-out/", logged_out, name="openid_connect_logged_out"),
    path("<slug:provider_id>/callback/", callback, name="openid_connect_callback"),
]
