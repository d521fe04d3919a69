"""SDK keys: a new one, shown once with its DSN, and revoking one."""

from __future__ import annotations

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.translation import gettext_lazy as _

from access.admin.overlap import OverlapForm
from access.admin.pages import Page
from access.admin.sent_once import SentOnce
from countersign.members import DocumentError
from distribution import keys
from distribution.connecting import snippets
from distribution.models import SdkKey
from flags.models import Environment


class OriginsForm(forms.Form):
    """Whose pages may use a client-side key."""

    origins = forms.CharField(
        label=_("Allowed origins"),
        required=False,
        max_length=30_000,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "cs-code"}),
        help_text=_(
            "Whose pages may use a client-side key from a browser: one a line, such as "
            "https://app.example.com, or * for all. Without any, no page of another origin can."
        ),
    )

    def clean_origins(self) -> list[str]:
        return list(self.cleaned_data["origins"].split())


class KeyForm(OriginsForm):
    """Who will use the key, on which side, and from which pages."""

    field_order = ("name", "side", "origins")

    name = forms.CharField(
        label=_("Used by"), max_length=128, help_text=_("The service or app, such as checkout-api.")
    )
    side = forms.ChoiceField(
        label=_("Side"),
        choices=SdkKey.Side.choices,
        widget=forms.RadioSelect,
        initial=SdkKey.Side.SERVER,
        help_text=_("Server-side keys read all rules; client-side keys get answers only."),
    )


def _in_words(error: DocumentError) -> str:
    """The reason as a sentence: one origin is named in it, of all of them it speaks without naming them."""
    return f"{_('Origins')} {error.reason}." if error.member == "origins" else f"{error.reason}."


def shown_once(page: Page, key: SdkKey, secret: str) -> HttpResponse:
    """The page with a new key's clear text, which no cache keeps."""
    answer = page.show(
        "countersign/sdk_key.html",
        title=_("SDK key for %s") % key.environment.name,
        here=key.environment,
        key=key,
        secret=secret,
        dsn=keys.dsn(key.environment, secret),
        snippets=snippets(key, secret),
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


class NewKeyPage(SentOnce, Page):
    """Makes an SDK key. Its clear text is on the answer to the POST and nowhere else."""

    verb = "sdk_key.manage"
    template = "countersign/form.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        return self._show(self._environment(key), KeyForm())

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        environment = self._environment(key)
        form = KeyForm(request.POST)
        if not form.is_valid():
            return self._show(environment, form, 422)
        try:
            made, secret = keys.issue(self.actor, environment, **form.cleaned_data)
        except DocumentError as error:
            form.add_error("origins", _in_words(error))
            return self._show(environment, form, 422)
        except ValueError as error:
            form.add_error(None, str(error))
            return self._show(environment, form, 422)
        return shown_once(self, made, secret)

    def _environment(self, key: str) -> Environment:
        rows = Environment.objects.select_related("project").filter(project=self.project)
        return get_object_or_404(rows, key=key)

    def _show(self, environment: Environment, form: KeyForm, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            title=_("New SDK key for %s") % environment.name,
            intro=_("The key is shown once, with the DSN that configures a client whole."),
            form=form,
            button=_("Make key"),
            back_name="environment-list",
        )


class KeyPage(Page):
    """About one key."""

    verb = "sdk_key.manage"

    def keys(self) -> QuerySet[SdkKey]:
        """Those that the page is for."""
        rows = SdkKey.objects.filter(environment__project=self.project)
        return rows.select_related("environment__project")

    def _find(self, number: int) -> SdkKey:
        return get_object_or_404(self.keys(), pk=number)


class OriginsPage(KeyPage):
    """Says whose pages may use a client-side key."""

    template = "countersign/form.html"

    def keys(self) -> QuerySet[SdkKey]:
        return super().keys().filter(side=SdkKey.Side.CLIENT, revoked_at=None)

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        key = self._find(number)
        return self._show(key, OriginsForm(initial={"origins": "\n".join(key.origins)}))

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        key = self._find(number)
        form = OriginsForm(request.POST)
        if not form.is_valid():
            return self._show(key, form, 422)
        try:
            keys.allow_origins(self.actor, key, form.cleaned_data["origins"])
        except DocumentError as error:
            form.add_error("origins", _in_words(error))
            return self._show(key, form, 422)
        self.say(
            _("Key %(name)s: %(origins)s.")
            % {"name": key.name, "origins": ", ".join(key.origins) or _("no origin is allowed")}
        )
        return self.go("environment-list")

    def _show(self, key: SdkKey, form: OriginsForm, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            title=_("Origins of %s") % key.name,
            intro=_(
                "Pages of these origins may read what %(environment)s answers to this client-side key. "
                "A change takes about a second, and up to ten minutes in pages that are open."
            )
            % {"environment": key.environment.name},
            form=form,
            button=_("Save origins"),
            back_name="environment-list",
        )


class RotateKeyPage(SentOnce, KeyPage):
    """Makes a key that takes the place of another, and shows it once."""

    template = "countersign/form.html"

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        return self._show(self._find(number), OverlapForm(longest=keys.LONGEST_OVERLAP))

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        key = self._find(number)
        form = OverlapForm(request.POST, longest=keys.LONGEST_OVERLAP)
        if not form.is_valid():
            return self._show(key, form, 422)
        try:
            made, secret = keys.rotate(self.actor, key, form.overlap)
        except DocumentError as error:
            form.add_error(None, str(error))
            return self._show(key, form, 422)
        return shown_once(self, made, secret)

    def _show(self, key: SdkKey, form: OverlapForm, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            title=_("Replace %s") % key.name,
            intro=_(
                "A new key for %(environment)s is shown once. The old one (%(hint)s…, %(use)s) works on meanwhile "
                "and is then revoked by itself."
            )
            % {
                "environment": key.environment.name,
                "hint": key.hint,
                "use": _("last used on %s") % key.last_used_on if key.last_used_on else _("not used yet"),
            },
            form=form,
            button=_("Make the new key"),
            back_name="environment-list",
        )


class RevokeKeyPage(KeyPage):
    """Asks in words, then makes a key useless."""

    template = "countersign/confirm.html"

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        key = self._find(number)
        return self.show(
            title=_("Revoke %s") % key.name,
            text=_(
                "Services that use %(name)s (%(hint)s…) in %(environment)s get no new snapshots "
                "from a second later on. They keep serving what they have. This cannot be undone."
            )
            % {"name": key.name, "hint": key.hint, "environment": key.environment.name},
            button=_("Revoke key"),
            back_name="environment-list",
        )

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        key = self._find(number)
        keys.revoke(self.actor, key)
        self.say(_("Key %s revoked.") % key.name)
        return self.go("environment-list")


urlpatterns = [
    path("p/<str:project>/environments/<str:key>/new-key/", NewKeyPage.as_view(), name="sdk-key-new"),
    path("p/<str:project>/sdk-keys/<int:number>/origins/", OriginsPage.as_view(), name="sdk-key-origins"),
    path("p/<str:project>/sdk-keys/<int:number>/replace/", RotateKeyPage.as_view(), name="sdk-key-rotate"),
    path("p/<str:project>/sdk-keys/<int:number>/revoke/", RevokeKeyPage.as_view(), name="sdk-key-revoke"),
]
