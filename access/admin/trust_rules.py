"""Whose identity tokens count as a service account's: making a rule, and trying a token against the rules."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _

from access import workload
from access.admin.organisation import OrganisationPage
from access.admin.scoped import CODE, ScopeForm
from access.limits import LimitsError
from access.machines import answered_for
from access.models import ServiceAccount


class TrustRuleForm(ScopeForm):
    """Which tokens are meant, and what they may be used for."""

    name = forms.CharField(label=_("Which pipeline it is"), max_length=128)
    issuer = forms.CharField(
        label=_("Issuer"),
        max_length=500,
        widget=forms.TextInput(attrs={**CODE, "placeholder": "https://token.actions.githubusercontent.com"}),
        help_text=_("As iss of its tokens has it, character by character."),
    )
    audience = forms.CharField(
        label=_("Audience"),
        max_length=500,
        widget=forms.TextInput(attrs=CODE),
        help_text=_(
            "What the pipeline asks its token for, as aud has it; the address of this installation is a good one."
        ),
    )
    field_order = ("name", "issuer", "audience")


class ClaimForm(forms.Form):
    """What one claim must be."""

    claim = forms.CharField(
        label=_("Claim"),
        max_length=workload.LONGEST_CLAIM,
        required=False,
        widget=forms.TextInput(attrs={**CODE, "placeholder": "repository"}),
    )
    kind = forms.ChoiceField(
        label=_("must"), required=False, choices=[("equals", _("be")), ("starts_with", _("start with"))]
    )
    text = forms.CharField(
        label=_("Text"),
        max_length=workload.LONGEST_CLAIM,
        required=False,
        widget=forms.TextInput(attrs={**CODE, "placeholder": "acme/shop"}),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if bool(given.get("claim")) != bool(given.get("text")):
            raise forms.ValidationError(_("Name the claim and its text, or neither."))
        return given


ClaimForms = forms.formset_factory(
    ClaimForm, extra=4, max_num=workload.MOST_CLAIMS, absolute_max=workload.MOST_CLAIMS
)


class TrialForm(forms.Form):
    """A token to try."""

    token = forms.CharField(
        label=_("A token of the pipeline, or its claims as JSON"),
        max_length=workload.LONGEST_TOKEN,
        widget=forms.Textarea(attrs={**CODE, "rows": 8}),
        help_text=_(
            "A whole token is checked whole, as if it came to the API; of claims, what the rules ask for."
        ),
    )

    def clean_token(self) -> dict[str, Any]:
        """The claims; `whole` keeps the token, where it is one."""
        text = str(self.cleaned_data["token"]).strip()
        self.whole = text if workload.looks_like_one(text) else ""
        try:
            claims = workload.claims_of(text) if self.whole else json.loads(text)
        except (workload.UntrustedError, ValueError, RecursionError) as error:
            raise forms.ValidationError(
                _("That is neither a JSON Web Token nor an object of claims.")
            ) from error
        if not isinstance(claims, dict):
            raise forms.ValidationError(_('Claims are one object, such as {"repository": "acme/shop"}.'))
        return claims


class TrustPage(OrganisationPage):
    """About the rules of one service account, for whoever answers for it."""

    def may_see(self) -> bool:
        return self._accounts().exists()

    @property
    def account(self) -> ServiceAccount:
        return get_object_or_404(self._accounts())

    def _accounts(self) -> QuerySet[ServiceAccount]:
        return answered_for(self.actor).filter(pk=self.kwargs["number"])


class NewTrustRulePage(TrustPage):
    """Lets a pipeline's identity tokens act as the account."""

    template = "countersign/trust_rule_form.html"

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        return self._show(TrustRuleForm(place=self.place), ClaimForms(prefix="claims"))

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        form, claims = (
            TrustRuleForm(request.POST, place=self.place),
            ClaimForms(request.POST, prefix="claims"),
        )
        if not form.is_valid() or not claims.is_valid():
            return self._show(form, claims, 422)
        given = form.cleaned_data
        wanted = {
            row["claim"]: {row["kind"] or "equals": row["text"]}
            for row in claims.cleaned_data
            if row.get("claim")
        }
        try:
            rule = workload.trust(
                self.actor,
                self.account,
                given["name"],
                issuer=given["issuer"],
                audience=given["audience"],
                claims=wanted,
                scope=form.scope,
            )
        except LimitsError as error:
            form.refuse(error)
            return self._show(form, claims, 422)
        self.say(_("Trust rule %s made. Next: try a token of the pipeline against it.") % rule.name)
        return redirect("admin:trust-trial", number)

    def _show(self, form: forms.Form, claims: Any, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            title=_("New trust rule of %s") % self.account,
            intro=_(
                "A pipeline then acts as this account with the token that its own platform signed: no secret is "
                "stored. Whoever makes the rule does not review what the account proposes."
            ),
            limits_label=_("Limit what it may do"),
            form=form,
            claims=claims,
            button=_("Make trust rule"),
            back=reverse("admin:service-account", args=[self.kwargs["number"]]),
        )


class TrialPage(TrustPage):
    """Says what the rules make of a token, which is stored nowhere."""

    template = "countersign/trust_trial.html"

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        return self._show(TrialForm())

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        form = TrialForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        claims: dict[str, Any] = form.cleaned_data["token"]
        verdict: dict[str, Any] = {}
        if form.whole:
            try:
                rule, ends = workload.recognise(form.whole)
            except workload.UntrustedError as error:
                verdict = {"refused": str(error)}
            else:
                is_ours = rule.service_account_id == self.account.pk
                verdict = {"rule": rule.name if is_ours else "", "ends": ends}
        rules = self.account.trust_rules.filter(revoked_at=None).order_by("pk")
        compared = [{"rule": rule, "members": workload.compared(rule, claims)} for rule in rules]
        return self._show(form, compared=compared, verdict=verdict, tried=True)

    def _show(self, form: forms.Form, status: int = 200, **found: Any) -> HttpResponse:
        account = self.account
        answer = self.show(
            status=status,
            title=_("Try a token for %s") % account,
            account=account,
            has_rules=account.trust_rules.filter(revoked_at=None).exists(),
            form=form,
            **found,
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer


urlpatterns = [
    path("service-accounts/<int:number>/new-trust-rule/", NewTrustRulePage.as_view(), name="trust-rule-new"),
    path("service-accounts/<int:number>/try-a-token/", TrialPage.as_view(), name="trust-trial"),
]
