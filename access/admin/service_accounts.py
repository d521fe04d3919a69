"""Service accounts: who answers for each, and its tokens."""

from __future__ import annotations

from django import forms
from django.db.models import Count, F, Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _

from access import machines, workload
from access.admin.organisation import ListPage, OrganisationPage
from access.admin.tokens import revoke_named, tokens_in_order
from access.machines import NameTakenError, answered_for
from access.models import Membership, ServiceAccount, Team
from access.permissions import display_names


class ServiceAccountForm(forms.Form):
    """A service account's name, and the team that answers for it."""

    name = forms.CharField(label=_("Name"), max_length=128, help_text=_("Which program it is."))
    team = forms.ModelChoiceField(
        label=_("Team"),
        queryset=Team.objects.all(),
        required=False,
        empty_label=_("none: the organisation's administrators"),
        help_text=_("Its people make and revoke the account's tokens."),
    )


class ServiceAccountListPage(ListPage):
    """The service accounts that one answers for: all of them, or those of one's teams."""

    template = "countersign/service_account_list.html"
    title = _("Service accounts")
    columns = (_("Service account"), _("Team"), _("Tokens"), _("Trust rules"), _("Last use"))
    icon = "smart_toy"
    new = ("service-account-new", _("New service account"))

    def may_see(self) -> bool:
        return self.may_make() or answered_for(self.actor).exists()

    def may_make(self) -> bool:
        return "service_account.manage" in self.place.verbs

    def get(self, request: HttpRequest) -> HttpResponse:
        rows = answered_for(self.actor).select_related("team").order_by("name")
        accounts = rows.annotate(
            tokens=Count("api_tokens", filter=Q(api_tokens__revoked_at=None), distinct=True),
            rules=Count("trust_rules", filter=Q(trust_rules__revoked_at=None), distinct=True),
            by_token=Max("api_tokens__last_used_at"),
            by_rule=Max("trust_rules__last_used_at"),
        )
        return self.show_rows(
            [
                {"account": each, "used": max(filter(None, (each.by_token, each.by_rule)), default=None)}
                for each in accounts
            ]
        )


class NewServiceAccountPage(OrganisationPage):
    """Makes a service account."""

    verb = "service_account.manage"
    template = "countersign/organisation_form.html"
    title = _("New service account")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(ServiceAccountForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = ServiceAccountForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        try:
            made = machines.create_service_account(self.actor, **form.cleaned_data)
        except NameTakenError as error:
            form.add_error("name", str(error))
            return self._show(form, 409)
        self.say(_("Service account %s made. Next: a role for it, on the People page of a project.") % made)
        return redirect("admin:service-account", made.pk)

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(
            status=status, form=form, button=_("Make service account"), back="admin:service-account-list"
        )


class ServiceAccountPage(OrganisationPage):
    """One service account: its roles in projects that one sees, and its tokens."""

    template = "countersign/service_account.html"

    def may_see(self) -> bool:
        return self._accounts().exists()

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        account = get_object_or_404(self._accounts())
        tokens = tokens_in_order(account.api_tokens.all())
        rules = list(account.trust_rules.order_by(F("revoked_at").asc(nulls_first=True), "-pk"))
        held = Membership.objects.filter(member=account.pseudonym, project__in=self.place.projects)
        return self.show(
            title=account.name,
            account=account,
            tokens=tokens,
            rules=rules,
            names=display_names({token.issued_by for token in tokens} | {rule.made_by for rule in rules}),
            roles=held.select_related("project").order_by("project__name", "role"),
        )

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        account = get_object_or_404(self._accounts())
        if "distrust" in request.POST:
            wanted = request.POST["distrust"]
            rule = get_object_or_404(account.trust_rules, pk=wanted if wanted.isdecimal() else None)
            workload.distrust(self.actor, rule)
            self.say(_("Trust rule %s taken back; its pipelines are refused from now on.") % rule.name)
        else:
            revoke_named(self, account.api_tokens.all())
        return redirect("admin:service-account", account.pk)

    def _accounts(self) -> QuerySet[ServiceAccount]:
        return answered_for(self.actor).filter(pk=self.kwargs["number"])
