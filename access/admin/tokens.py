"""API tokens: one's own, and those of a service account. The clear text is on the answer to a POST alone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access import machines
from access.admin.organisation import OrganisationPage
from access.admin.overlap import OverlapForm
from access.admin.scoped import CODE, ScopeForm
from access.admin.sent_once import SentOnce
from access.limits import LimitsError
from access.models import ApiToken, ServiceAccount, User

USUAL_LIFE = timedelta(days=90)


class TokenForm(ScopeForm):
    """A token to make."""

    name = forms.CharField(label=_("What it is for"), max_length=128, help_text=_("Such as: laptop."))
    ends = forms.DateField(
        label=_("Last day"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    addresses = forms.CharField(
        label=_("Only from these addresses"),
        required=False,
        max_length=5_000,
        widget=forms.TextInput(attrs=CODE),
        help_text=_("Ranges such as 192.0.2.0/24, separated by spaces. Empty: from everywhere."),
    )
    field_order = ("name", "ends")

    def __init__(self, *args: Any, holder: User | ServiceAccount, **options: Any) -> None:
        super().__init__(*args, **options)
        ends = self.fields["ends"]
        ends.initial = (timezone.now() + USUAL_LIFE).date()
        ends.help_text = _("In UTC. Empty: as late as the settings of this installation allow.")

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [*super().limit_fields, self["addresses"]]

    @property
    def expires_at(self) -> datetime | None:
        """The end of the last day."""
        day = self.cleaned_data["ends"]
        return datetime.combine(day + timedelta(days=1), time(), UTC) if day else None

    def clean_ends(self) -> Any:
        day = self.cleaned_data["ends"]
        if day is not None and not timezone.now().date() <= day < datetime(2200, 1, 1).date():
            raise forms.ValidationError(_("That is over; choose a day to come."))
        return day

    def clean_addresses(self) -> list[str]:
        return str(self.cleaned_data["addresses"]).replace(",", " ").split()


class TokensPage(OrganisationPage):
    """One's own tokens, and where those of service accounts are."""

    template = "countersign/tokens.html"
    title = _("Your API tokens")

    def may_see(self) -> bool:
        return True

    def get(self, request: HttpRequest) -> HttpResponse:
        tokens = tokens_in_order(ApiToken.objects.filter(user__pseudonym=self.actor.id))
        programs = machines.answered_for(self.actor).order_by("name")
        return self.show(tokens=tokens, names={}, programs=programs)

    def post(self, request: HttpRequest) -> HttpResponse:
        revoke_named(self, ApiToken.objects.filter(user__pseudonym=self.actor.id))
        return redirect("admin:tokens")


class NewTokenPage(SentOnce, OrganisationPage):
    """Makes a token of one's own, or of a service account that one answers for."""

    template = "countersign/scoped_form.html"

    def may_see(self) -> bool:
        return "number" not in self.kwargs or self._accounts().exists()

    def get(self, request: HttpRequest, number: int = 0) -> HttpResponse:
        return self._show(TokenForm(place=self.place, holder=self._holder()))

    def post(self, request: HttpRequest, number: int = 0) -> HttpResponse:
        holder = self._holder()
        form = TokenForm(request.POST, place=self.place, holder=holder)
        if not form.is_valid():
            return self._show(form, 422)
        try:
            token, secret = machines.issue_token(
                self.actor,
                holder,
                form.cleaned_data["name"],
                form.expires_at,
                scope=form.scope,
                addresses=form.cleaned_data["addresses"],
            )
        except LimitsError as error:
            form.refuse(error, expires_at="ends")
            return self._show(form, 422)
        return shown_once(self, token, secret)

    def _accounts(self) -> QuerySet[ServiceAccount]:
        return machines.answered_for(self.actor).filter(pk=self.kwargs["number"])

    def _holder(self) -> User | ServiceAccount:
        if "number" in self.kwargs:
            return get_object_or_404(self._accounts())
        return User.objects.get(pseudonym=self.actor.id)

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        holder = self._holder()
        return self.show(
            status=status,
            title=_("New API token") if isinstance(holder, User) else _("New API token of %s") % holder,
            intro=_("It is shown once. Whatever has it acts as you, as far as it reaches.")
            if isinstance(holder, User)
            else _(
                "It is shown once. Whoever makes one may have kept it, so they do not review what the account "
                "proposes."
            ),
            limits_label=_("Limit what it may do, and from where"),
            form=form,
            button=_("Make token"),
            back=_page_of(holder),
        )


class RotateTokenPage(SentOnce, OrganisationPage):
    """Makes a token that takes the place of another, and shows it once."""

    template = "countersign/organisation_form.html"

    def may_see(self) -> bool:
        return self._tokens().exists()

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        return self._show(get_object_or_404(self._tokens()), OverlapForm(longest=machines.LONGEST_OVERLAP))

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        token = get_object_or_404(self._tokens())
        form = OverlapForm(request.POST, longest=machines.LONGEST_OVERLAP)
        if not form.is_valid():
            return self._show(token, form, 422)
        try:
            made, secret = machines.rotate_token(self.actor, token, form.overlap)
        except LimitsError as error:
            form.add_error(None, str(error))
            return self._show(token, form, 422)
        return shown_once(self, made, secret)

    def _tokens(self) -> QuerySet[ApiToken]:
        return machines.tokens_seen(self.actor).filter(pk=self.kwargs["number"])

    def _show(self, token: ApiToken, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            title=_("Replace %s") % token.name,
            intro=_(
                "A new token with the same name, scope and addresses is shown once. The old one (%(hint)s…, "
                "%(use)s) works on meanwhile and then ends by itself."
            )
            % {
                "hint": token.hint,
                "use": _("last used on %s") % f"{token.last_used_at:%Y-%m-%d}"
                if token.last_used_at
                else _("never used"),
            },
            form=form,
            button=_("Make the new token"),
            back=_page_of(token.holder),
        )


def tokens_in_order(tokens: QuerySet[ApiToken]) -> list[ApiToken]:
    """Those that work first, the newest of each first."""
    return list(tokens.order_by(F("revoked_at").asc(nulls_first=True), "-pk"))


def revoke_named(page: OrganisationPage, tokens: QuerySet[ApiToken]) -> None:
    """Revoke the token that a form names, if it is among these."""
    wanted = page.request.POST.get("revoke", "")
    token = get_object_or_404(tokens, pk=wanted if wanted.isdecimal() else None)
    machines.revoke_token(page.actor, token)
    page.say(_("Token %s… revoked; whoever used it is refused from now on.") % token.hint)


def shown_once(page: OrganisationPage, token: ApiToken, secret: str) -> HttpResponse:
    """The page with a new token's clear text, which no cache keeps."""
    answer = page.show(
        "countersign/token.html",
        title=_("API token %s") % token.name,
        token=token,
        secret=secret,
        api=f"{settings.BASE_URL}/api/v1/me",
        back=_page_of(token.holder),
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _page_of(holder: User | ServiceAccount) -> str:
    if isinstance(holder, User):
        return reverse("admin:tokens")
    return reverse("admin:service-account", args=[holder.pk])


urlpatterns = [
    path("tokens/", TokensPage.as_view(), name="tokens"),
    path("new-token/", NewTokenPage.as_view(), name="token-new"),
    path("tokens/<int:number>/replace/", RotateTokenPage.as_view(), name="token-rotate"),
    path("service-accounts/<int:number>/new-token/", NewTokenPage.as_view(), name="service-token-new"),
]
