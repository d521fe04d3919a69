"""Signing in, past the password: the code or key that is asked for then, and a passkey in place of both.

The addresses below `/admin/login/`. The names are those that django-allauth asks for.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm, LoginWebAuthnForm
from allauth.mfa.webauthn.views import LoginWebAuthnView
from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from access.models import User
from access.permissions import request_id, user_actor
from access.signin.factors import LockedOutError, attempt, factors_of, use_code


class CodeForm(forms.Form):
    """A code of an app, or a recovery code."""

    code = forms.CharField(
        label=_("Code"),
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "spellcheck": "false"}),
        help_text=_("The six digits that your app shows, or one of your recovery codes. Each is good once."),
    )
    locked_out = False

    def __init__(self, *args: Any, user: User, request: HttpRequest, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user, self.request = user, request

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"])
        actor = user_actor(self.user, "ui", request_id(self.request.headers))
        try:
            found = attempt(self.request, self.user, lambda: use_code(actor, self.user, code))
        except LockedOutError as error:
            self.locked_out = True
            raise forms.ValidationError(str(error)) from error
        if found is None:
            raise forms.ValidationError(
                _("This code opens nothing: it is mistyped, too old, or was used. Try the next one.")
            )
        self.authenticator: Authenticator = found
        return code

    def save(self) -> None:
        """They showed it: the session says so."""
        post_authentication(self.request, self.authenticator)


class CredentialField(forms.JSONField):
    """What a browser got from a key. Whatever else it is is no credential, and no fault of ours."""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        if found is not None and not isinstance(found, dict):
            raise forms.ValidationError(_("That is no credential."))
        return found


class KeyForm(AuthenticateWebAuthnForm):
    """A key of somebody who is known."""

    credential = CredentialField(widget=forms.HiddenInput)

    def clean_credential(self) -> Authenticator:
        return of_a_key(super().clean_credential)


class PasskeyForm(LoginWebAuthnForm):
    """A passkey, which says whose it is."""

    credential = CredentialField(widget=forms.HiddenInput)

    def clean_credential(self) -> Authenticator:
        return of_a_key(super().clean_credential)


def of_a_key(check: Any) -> Any:
    """What `check` returns. Raises ValidationError where what it reads is nothing that a key made."""
    try:
        return check()
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        # The library reads what it is given as if it were a credential.
        raise forms.ValidationError(_("That is no credential of a key.")) from error


@never_cache
def second_step(request: HttpRequest) -> HttpResponse:
    """After the password: the second factor, until then nobody is signed in."""
    answer: HttpResponse = SecondStepView.as_view()(request)
    return answer


class SecondStepView(AuthenticateView):
    """allauth's, with codes that are counted and used once, in our look."""

    webauthn_form_class = KeyForm
    template_name = "countersign/second_step.html"

    def get_form_class(self) -> Any:
        return lambda **options: CodeForm(
            *((options["data"],) if "data" in options else ()), user=options["user"], request=self.request
        )

    def get_webauthn_form_class(self) -> Any:
        return self.webauthn_form_class

    def get_context_data(self, **known: Any) -> dict[str, Any]:
        kinds = set(factors_of(self.stage.login.user).values_list("type", flat=True))
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**known),
            "title": _("Second factor"),
            "has_app": Authenticator.Type.TOTP in kinds,
            "has_key": Authenticator.Type.WEBAUTHN in kinds,
        }

    def render_to_response(self, context: dict[str, Any], **options: Any) -> HttpResponse:
        locked_out = getattr(self.auth_form, "locked_out", False)
        answer: HttpResponse = super().render_to_response(
            context, status=429 if locked_out else 200, **options
        )
        return answer


class PasskeyView(LoginWebAuthnView):
    """A passkey alone: it is something one has, and asks for a finger, a face or a number."""

    def get_form_class(self) -> Any:
        return PasskeyForm

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        messages.error(
            self.request,
            _(
                "This passkey opens no account here. Sign in with a password, and set it up under Sign-in security."
            ),
        )
        following = self.request.POST.get("next", "")
        return HttpResponseRedirect(
            reverse("admin:login") + (f"?{urlencode({'next': following})}" if following else "")
        )


urlpatterns = [
    path("factor/", second_step, name="mfa_authenticate"),
    path("passkey/", never_cache(PasskeyView.as_view()), name="mfa_login_webauthn"),
]
