"""Service accounts: who answers for each, and its tokens."""

from __future__ import annotations

from django import forms
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _

from access import machines
from access.admin.organisation import OrganisationPage
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


class ServiceAccountListPage(OrganisationPage):
    """The service accounts that one answers for: all of them, or those of one's teams."""

    template = "countersign/service_account_list.html"
    title = _("Service accounts")

    def may_see(self) -> bool:
        return "service_account.manage" in self.place.verbs or answered_for(self.actor).exists()

    def get(self, request: HttpRequest) -> HttpResponse:
        usable = Count("api_tokens", filter=Q(api_tokens__revoked_at=None))
        rows = answered_for(self.actor).select_related("team").order_by("name")
        return self.show(
            rows=rows.annotate(tokens=usable, used=Max("api_tokens__last_used_at")),
            can_make="service_account.manage" in self.place.verbs,
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
        tokens = list(account.api_tokens.order_by("revoked_at", "-pk"))
        held = Membership.objects.filter(member=account.pseudonym, project__in=self.place.projects)
        return self.show(
            title=account.name,
            account=account,
            tokens=tokens,
            names=display_names({token.issued_by for token in tokens if token.issued_by}),
            roles=held.select_related("project").order_by("project__name", "role"),
        )

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        account = get_object_or_404(self._accounts())
        wanted = request.POST.get("revoke", "")
        token = get_object_or_404(account.api_tokens, pk=wanted if wanted.isdecimal() else None)
        machines.revoke_token(self.actor, token)
        self.say(_("Token %s… revoked; whoever used it is refused from now on.") % token.hint)
        return redirect("admin:service-account", account.pk)

    def _accounts(self) -> QuerySet[ServiceAccount]:
        return answered_for(self.actor).filter(pk=self.kwargs["number"])
