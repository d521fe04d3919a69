"""What django-allauth asks of us: who a sign-in is, what they get, and what is said when it fails."""

from __future__ import annotations

import logging
import re
from typing import Any, NoReturn
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from requests import RequestException

from access.models import User
from access.permissions import request_id, system_actor, user_actor
from access.shown_factor import note_factor
from access.signin import linking, local_door
from access.signin.known_browsers import remember
from access.signin.lockout import address_of
from access.signin.models import IdentityProvider
from access.signin.openid import BEGUN, CONFIRMS, FACTOR_AT, Provider, Session, signed_in_since
from access.signin.rules import groups_in, settle
from access.signin.sealing import seal, unseal
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

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request)

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> NoReturn:
        refuse(request, _("Your account is not active. Ask an organisation administrator."))

    def login(self, request: HttpRequest, user: Any) -> None:
        """The last step of every sign-in, by whichever door: what was asked for has been shown."""
        if not came_by_provider(request, user):
            local_door.used(user, request_id(request.headers))
        super().login(request, user)

    def post_login(self, request: HttpRequest, user: Any, **known: Any) -> HttpResponse:
        social = (known.get("signal_kwargs") or {}).get("sociallogin")
        if social is not None and FACTOR_AT in social.state:
            note_factor(request, user, "provider", social.state[FACTOR_AT])
        answer: HttpResponse = super().post_login(request, user, **known)
        remember(request, answer, user)
        return answer

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
        if CONFIRMS in sociallogin.state:
            _refuse_another(request, sociallogin)
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
            told = sociallogin.provider.extract_common_fields(sociallogin.claims)
            if linking.belongs_to_somebody(row, sociallogin.account.uid, (told.get("email") or "").strip()):
                logger.warning("%s: somebody who seems to have an account that is not linked", row.key)
                refuse(
                    request,
                    _(
                        "This address has an account here, or this identity at %(provider)s was linked to one. Sign "
                        'in to that account and link it under "How you sign in", or ask an organisation administrator.'
                    )
                    % {"provider": row},
                )
            return
        if not person.is_active:
            logger.warning("%s: the account %s is not active", row.key, person.pseudonym)
            refuse(request, _("Your account is not active. Ask an organisation administrator."))
        _tell(person, sociallogin.provider.extract_common_fields(sociallogin.claims))
        # A sign-in without a factor takes nothing back: else a stolen password would be enough to set up another.
        if FACTOR_AT in sociallogin.state:
            person.vouched_by = row.key
        person.save()
        self._settle(request, sociallogin)
        if CONFIRMS in sociallogin.state:
            self._confirm(request, sociallogin)

    def _confirm(self, request: HttpRequest, sociallogin: SocialLogin) -> NoReturn:
        """Whoever is signed in showed at the provider, anew, who they are: nobody signs in by that."""
        person, row = sociallogin.user, sociallogin.provider.row
        record_authentication(request, person, "socialaccount", provider=row.key)
        if FACTOR_AT in sociallogin.state:
            note_factor(request, person, "provider", sociallogin.state[FACTOR_AT])
        elif row.second_factor:
            messages.warning(
                request, _("%(provider)s did not say that you showed a second factor.") % {"provider": row}
            )
        raise ImmediateHttpResponse(
            HttpResponseRedirect(sociallogin.get_redirect_url(request) or reverse("admin:security"))
        )

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """The first sign-in of somebody: an account without a password."""
        person: User = sociallogin.user
        told = sociallogin.provider.extract_common_fields(sociallogin.claims)
        with recording(system_actor("sign-in", "ui")) as record:
            person.username = _free_name(told.get("username") or (told.get("email") or "").partition("@")[0])
            _tell(person, told)
            person.vouched_by = sociallogin.provider.row.key if FACTOR_AT in sociallogin.state else ""
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
        elif not signed_in_since(sociallogin.claims, sociallogin.state[BEGUN]):
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


class FactorAdapter(DefaultMFAAdapter):
    """Second factors are sealed at rest, and known to authenticator apps and devices by our name and the user's."""

    def encrypt(self, text: str) -> str:
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text)

    def get_totp_issuer(self) -> str:
        return "Countersign"

    def _get_site_name(self) -> str:
        return "Countersign"

    def _get_user_identifier(self, user: Any) -> str:
        return str(user.username)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Of the address that people type, whatever a request's `Host` says."""
        return {"id": urlsplit(settings.BASE_URL).hostname or "", "name": "Countersign"}

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        return _("My key")


def came_by_provider(request: HttpRequest, person: User) -> bool:
    """Whether this sign-in began at an identity provider, not with a local password or passkey."""
    began = [
        each["method"]
        for each in get_authentication_records(request, person)
        if each["method"] != "mfa" or each.get("passwordless")
    ]
    return began[-1:] == ["socialaccount"]


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


def _refuse_another(request: HttpRequest, sociallogin: SocialLogin) -> None:
    """Raises ImmediateHttpResponse unless who signed in at the provider is who is signed in here."""
    if not sociallogin.state[CONFIRMS] == str(request.user.pk) == str(sociallogin.user.pk):
        messages.error(
            request,
            _("At %(provider)s somebody else signed in than here, so nothing was confirmed.")
            % {"provider": sociallogin.provider.row},
        )
        raise ImmediateHttpResponse(HttpResponseRedirect(reverse("admin:security")))


def refuse(request: HttpRequest, sentence: str) -> NoReturn:
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
