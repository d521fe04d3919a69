"""What django-allauth asks of us: who a sign-in is, what they get, and what is said when it fails."""

from __future__ import annotations

import logging
import re
from typing import Any, NoReturn

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from requests import RequestException

from access.models import User
from access.permissions import system_actor, user_actor
from access.signin import linking
from access.signin.models import IdentityProvider
from access.signin.openid import Provider, Session, signed_in_since
from access.signin.rules import groups_in, settle
from access.signin.sessions import is_fresh
from audit.recording import recording

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by administrators, or by a provider that may; nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        return url_has_allowed_host_and_scheme(
            url, {self.request.get_host()}, require_https=self.request.is_secure()
        )

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """allauth's own words; ours are said where the thing happens."""

    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        """None of its mails: who may change an account is told by the ledger."""


class ProviderAdapter(DefaultSocialAccountAdapter):
    """Providers are our rows, one by its key; an account is known by provider and subject, never by an address."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Provider:
        row = IdentityProvider.objects.filter(is_enabled=True, key=provider).first()
        if row is None:
            raise SocialApp.DoesNotExist
        return Provider(request, row)

    def get_requests_session(self) -> Session:
        return Session()

    def can_authenticate_by_email(self, login: SocialLogin, email: str) -> bool:
        return False

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return bool(sociallogin.provider.row.creates_accounts)

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Settle what the groups give before anything else: losing them counts even if the rest fails."""
        person, row = sociallogin.user, sociallogin.provider.row
        if member := sociallogin.state.get("links"):
            self._link(request, sociallogin, member)
        if person.pk is None:
            if not row.creates_accounts:
                logger.warning("%s: somebody without an account", row.key)
                refuse(
                    request,
                    _(
                        "%(provider)s knows you, but you have no account here, and it may not make one. "
                        "Ask an organisation administrator."
                    )
                    % {"provider": row},
                )
            return
        if not person.is_active:
            logger.warning("%s: the account %s is not active", row.key, person.pseudonym)
            refuse(request, _("Your account is not active. Ask an organisation administrator."))
        _tell(person, sociallogin.provider.extract_common_fields(sociallogin.claims))
        person.save()
        self._settle(request, sociallogin)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """The first sign-in of somebody: an account without a password."""
        person: User = sociallogin.user
        told = sociallogin.provider.extract_common_fields(sociallogin.claims)
        with recording(system_actor("sign-in", "ui")) as record:
            person.username = _free_name(told.get("username") or (told.get("email") or "").partition("@")[0])
            _tell(person, told)
            person.set_unusable_password()
            person.save()
            sociallogin.account.user = person
            sociallogin.account.save()
            record.event(
                "access.v1.account.created",
                f"access/{person.pseudonym}",
                {"provider": sociallogin.provider.row.key},
            )
            self._settle(request, sociallogin)
        return person

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True

    def _link(self, request: HttpRequest, sociallogin: SocialLogin, member: str) -> NoReturn:
        """Link the identity to the account of whoever began it, instead of signing in. Back to their page."""
        row, person = sociallogin.provider.row, request.user
        if not isinstance(person, User) or person.pseudonym != member or not is_fresh(request, linking.FRESH):
            sentence = _("Nothing was linked: you are no longer signed in as whoever began it. Start again.")
        elif not signed_in_since(sociallogin.claims, sociallogin.state["begun"]):
            sentence = _(
                "Nothing was linked: %(provider)s does not say that you signed in there just now (auth_time)."
            ) % {"provider": row}
        else:
            try:
                linking.link(user_actor(person, "ui"), person, row, sociallogin.account.uid)
            except linking.LinkError as error:
                sentence = str(error)
            else:
                sociallogin.user = person
                self._settle(request, sociallogin)
                messages.success(request, _("Linked: you sign in with %(provider)s too.") % {"provider": row})
                sentence = ""
        if sentence:
            messages.error(request, sentence)
        raise ImmediateHttpResponse(HttpResponseRedirect(reverse("admin:identities")))

    def _settle(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        row = sociallogin.provider.row
        groups = groups_in(sociallogin.claims, row.groups_claim) if row.groups_claim else set()
        for sentence in settle(row, sociallogin.user, groups):
            messages.warning(request, sentence)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Back to the sign-in page with a sentence; the reason is for the log."""
        logger.warning("Sign-in by %s failed: %s", provider.row.key, exception or error)
        refuse(request, explained(provider.row, error, exception))


def explained(provider: IdentityProvider, error: Any, exception: Exception | None) -> str:
    """What to tell somebody whose sign-in failed; what it was stands in the log."""
    if error == AuthError.CANCELLED:
        return _("You cancelled the sign-in at %(provider)s.") % {"provider": provider}
    if isinstance(exception, RequestException):
        return _(
            "%(provider)s does not answer as it should. Try again in a minute. Whoever is signed in stays so, and "
            "local accounts work."
        ) % {"provider": provider}
    if exception is not None:
        return _(
            "What %(provider)s sent cannot be trusted, so nobody was signed in. If it happens again, tell an "
            "organisation administrator: the server's log says why."
        ) % {"provider": provider}
    return _("The sign-in took too long or began in another window. Start again.")


def refuse(request: HttpRequest, sentence: str) -> None:
    """Raises ImmediateHttpResponse: back to the sign-in page, with the sentence."""
    messages.error(request, sentence)
    raise ImmediateHttpResponse(HttpResponseRedirect(reverse("admin:login")))


def _tell(person: User, told: dict[str, Any]) -> None:
    """Name and address as the provider has them now; what it does not say stays."""
    name = (told.get("name") or "").partition(" ")
    person.first_name = (told.get("first_name") or name[0] or person.first_name)[:150]
    person.last_name = (told.get("last_name") or name[2] or person.last_name)[:150]
    email = told.get("email") or ""
    if "@" in email and len(email) <= 254:
        person.email = email


def _free_name(wanted: str) -> str:
    """A user name that nobody has: somebody else's is never taken over."""
    base = re.sub(r"[^\w.@+-]", "", wanted)[:140] or "person"
    name, number = base, 2
    while User.objects.filter(username__iexact=name).exists():
        name, number = f"{base}-{number}", number + 1
    return name
