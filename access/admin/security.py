"""Sign-in security: one's own second factors, and showing one anew where something asks for that."""

from __future__ import annotations

import base64
import time
from typing import Any

from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from allauth.mfa.webauthn.internal import auth as webauthn
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache

from access.admin.pages import shown
from access.admin.place import place_of
from access.admin.second_step import CodeForm, CredentialField, KeyForm, of_a_key
from access.models import IdentityProvider, User
from access.permissions import request_actor, waits_for_factor
from access.shown_factor import last_at, note_factor
from access.signin import factors
from access.signin.asking import confirm_address
from access.signin.factors import FactorError
from access.signin.lockout import explained
from access.signin.sealing import seal, unseal

# How old the proof may be with which somebody changes their own factors, in seconds.
RECENT = 15 * 60
_PENDING = "pending_app"


@method_decorator(never_cache, name="dispatch")
class SecurityPage(View):
    """A page about whoever is signed in. `guarded`: they show first, anew, that it is them."""

    template = ""
    title: Any = ""
    guarded = True
    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        assert isinstance(request.user, User)
        self.person = request.user
        if self.guarded and must_confirm(request):
            vouched = bool(self.person.vouched_by)
            return HttpResponseRedirect(confirm_address(request.get_full_path(), factor=vouched))
        return super().dispatch(request, *args, **kwargs)

    def show(self, template: str = "", *, status: int = 200, **context: Any) -> HttpResponse:
        place = place_of(self.request)
        whole = {
            "place": place,
            "project": place.project,
            "verbs": place.verbs,
            "title": self.title,
            **context,
        }
        return shown(self.request, template or self.template, whole, status=status)

    def show_codes(self, codes: list[str], done: Any) -> HttpResponse:
        """Recovery codes, now and never again; without any, back to the list."""
        if not codes:
            messages.success(self.request, str(done))
            return redirect("admin:security")
        return self.show("countersign/recovery_codes.html", title=_("Recovery codes"), codes=codes, done=done)


class FactorListPage(SecurityPage):
    """One's second factors."""

    template = "countersign/security.html"
    title = _("Sign-in security")
    guarded = False

    def get(self, request: HttpRequest) -> HttpResponse:
        rows = list(factors.factors_of(self.person))
        codes = next((each for each in rows if each.type == Authenticator.Type.RECOVERY_CODES), None)
        return self.show(
            apps=[each for each in rows if each.type == Authenticator.Type.TOTP],
            keys=[
                {"row": each, "is_passkey": bool(each.wrap().is_passwordless)}
                for each in rows
                if each.type == Authenticator.Type.WEBAUTHN
            ],
            codes_left=len(codes.wrap().get_unused_codes()) if codes else None,
            waits=waits_for_factor(request_actor(request)),
            vouched_by=IdentityProvider.objects.filter(key=self.person.vouched_by).first(),
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        if must_confirm(request):
            return HttpResponseRedirect(confirm_address(request.path))
        number = request.POST.get("remove", "")
        if number.isdecimal():
            factors.remove(request_actor(request), self.person, int(number))
            messages.success(request, _("Removed."))
        return redirect("admin:security")


class AppForm(forms.Form):
    """The code that shows that the app has the secret."""

    code = forms.CharField(
        label=_("Code that the app shows"),
        max_length=32,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"}
        ),
    )


class NewAppPage(SecurityPage):
    """Sets up an authenticator app."""

    template = "countersign/new_app.html"
    title = _("Set up an authenticator app")

    def get(self, request: HttpRequest) -> HttpResponse:
        secret = generate_totp_secret()
        request.session[_PENDING] = seal(secret)
        return self._show(AppForm(), secret)

    def post(self, request: HttpRequest) -> HttpResponse:
        if _PENDING not in request.session:
            return redirect("admin:security-app")
        secret, form = unseal(request.session[_PENDING]), AppForm(request.POST)
        if not form.is_valid():
            return self._show(form, secret, 422)
        try:
            codes = factors.add_app(
                request_actor(request),
                self.person,
                secret,
                form.cleaned_data["code"],
                session=request.session.session_key or "",
            )
        except FactorError as error:
            form.add_error("code", str(error))
            return self._show(form, secret, 422)
        del request.session[_PENDING]
        note_factor(request, self.person, Authenticator.Type.TOTP)
        return self.show_codes(codes, _("Your app is set up."))

    def _show(self, form: AppForm, secret: str, status: int = 200) -> HttpResponse:
        adapter = get_adapter()
        picture = adapter.build_totp_svg(adapter.build_totp_url(self.person, secret))
        return self.show(
            status=status,
            form=form,
            # In fours, as people read them aloud and type them.
            secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
            picture=f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}",
        )


class KeySetupForm(AddWebAuthnForm):
    """A key that a browser made for us."""

    name = forms.CharField(
        label=_("Name"), max_length=64, help_text=_("By which you know it, such as: laptop, blue key.")
    )
    credential = CredentialField(widget=forms.HiddenInput)
    passwordless = forms.BooleanField(
        label=_("Sign in with it alone, without a password"),
        required=False,
        initial=True,
        help_text=_("As a passkey: it then asks for your finger, face or number. Some security keys cannot."),
    )

    def clean(self) -> dict[str, Any]:
        return dict(of_a_key(super().clean))


class NewKeyPage(SecurityPage):
    """Sets up a passkey or security key."""

    template = "countersign/new_key.html"
    title = _("Set up a passkey or security key")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(KeySetupForm(user=self.person))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = KeySetupForm(request.POST, user=self.person)
        if not form.is_valid():
            return self._show(form, 422)
        given = form.cleaned_data
        try:
            codes = factors.add_key(
                request_actor(request),
                self.person,
                given["name"],
                given["credential"],
                session=request.session.session_key or "",
            )
        except FactorError as error:
            form.add_error(None, str(error))
            return self._show(form, 422)
        note_factor(request, self.person, Authenticator.Type.WEBAUTHN)
        return self.show_codes(codes, _("Your key is set up."))

    def _show(self, form: KeySetupForm, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, options=webauthn.begin_registration(self.person, False))


class RecoveryCodesPage(SecurityPage):
    """Makes new recovery codes; the old ones are never shown again."""

    template = "countersign/renew_codes.html"
    title = _("New recovery codes")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show()

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            codes = factors.renew_recovery_codes(request_actor(request), self.person)
        except FactorError as error:
            messages.error(request, str(error))
            return redirect("admin:security")
        return self.show_codes(codes, _("The old codes open nothing any more."))


class PasswordForm(forms.Form):
    """One's own password, again."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class ConfirmPage(SecurityPage):
    """Shows, anew, that it is them; then back to what they were doing."""

    template = "countersign/confirm_it_is_you.html"
    title = _("Confirm that it is you")
    guarded = False

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show()

    def post(self, request: HttpRequest) -> HttpResponse:
        form: forms.Form
        if "credential" in request.POST:
            form = KeyForm(request.POST, user=self.person)
            if form.is_valid():
                note_factor(request, self.person, Authenticator.Type.WEBAUTHN)
                return self._back()
            messages.error(request, _("This key is none of yours, or it took too long. Try again."))
            return self._show(status=422)
        if "code" in request.POST:
            form = code = CodeForm(request.POST, user=self.person, request=request)
            if code.is_valid():
                code.save()
                return self._back()
            return self._show(code_form=code, status=429 if code.locked_out else 422)
        form = PasswordForm(request.POST)
        if form.is_valid():
            known = authenticate(
                request, username=self.person.username, password=form.cleaned_data["password"]
            )
            if known == self.person:
                reauthenticate_by_password(request)
                return self._back()
            locked_out = getattr(request, "axes_locked_out", False)
            form.add_error(
                "password",
                explained(request, self.person.username) if locked_out else _("This is not your password."),
            )
            return self._show(password_form=form, status=429 if locked_out else 422)
        return self._show(password_form=form, status=422)

    def _back(self) -> HttpResponse:
        wanted = self.request.GET.get("next", "")
        safe = url_has_allowed_host_and_scheme(wanted, {self.request.get_host()}, self.request.is_secure())
        return HttpResponseRedirect(wanted if safe else reverse("admin:security"))

    def _show(self, status: int = 200, **forms: Any) -> HttpResponse:
        needs_factor = "factor" in self.request.GET
        kinds = set(factors.factors_of(self.person).values_list("type", flat=True))
        has_own = bool(kinds)
        known = SocialAccount.objects.filter(user=self.person).values("provider")
        providers = IdentityProvider.objects.filter(is_enabled=True, key__in=known)
        if needs_factor or has_own:
            providers = providers.exclude(second_factor=[])
        has_key = Authenticator.Type.WEBAUTHN in kinds
        offered: dict[str, Any] = {
            "has_app": Authenticator.Type.TOTP in kinds,
            "code_form": CodeForm(user=self.person, request=self.request) if has_own else None,
            "key_options": webauthn.begin_authentication(self.person) if has_key else None,
            "password_form": PasswordForm()
            if not has_own and not needs_factor and self.person.has_usable_password()
            else None,
            "providers": providers,
        }
        whole = {**offered, **forms}
        ways = [whole["code_form"], whole["key_options"], whole["password_form"], list(providers)]
        return self.show(
            status=status,
            needs_factor=needs_factor,
            no_way=not any(ways),
            following=self.request.GET.get("next", ""),
            **whole,
        )


def must_confirm(request: HttpRequest) -> bool:
    """Whether whoever changes their own factors shows first, anew, that it is them: with one, if they have one.

    Also one that their provider vouched for; an administrator who resets their factors lets them do without.
    """
    assert isinstance(request.user, User)
    own = factors.has_own_factor(request.user) or bool(request.user.vouched_by)
    at = last_at(request, "mfa") if own else last_at(request, "mfa", "password", "socialaccount")
    return at is None or at < time.time() - RECENT


urlpatterns = [
    path("security/", FactorListPage.as_view(), name="security"),
    path("security/app/", NewAppPage.as_view(), name="security-app"),
    path("security/key/", NewKeyPage.as_view(), name="security-key"),
    path("security/recovery-codes/", RecoveryCodesPage.as_view(), name="security-codes"),
    path("security/confirm/", ConfirmPage.as_view(), name="confirm"),
]
