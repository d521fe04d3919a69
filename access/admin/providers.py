"""Identity providers: connecting them, and what their groups give. For organisation administrators."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _

from access.admin.member import LimitsForm
from access.admin.organisation import ListPage, OrganisationPage
from access.admin.scoped import CODE
from access.grants import LastAdministratorError
from access.limits import Limits
from access.models import CustomRole, IdentityProvider, Team, User
from access.roles import OrganisationRole, Role
from access.signin import lockout, providers
from access.signin.factor_policy import factor_policy
from access.signin.taking_back import given_by, linked_to
from approvals.waiting import approvals_by
from flags.models import Project

# People whom the page names before it takes something from them.
MOST_SHOWN = 100


class ProviderForm(forms.Form):
    """What the organisation's provider gave when we were registered there."""

    name = forms.CharField(
        label=_("Name"), max_length=128, help_text=_("As on the button: “Sign in with …”.")
    )
    client_id = forms.CharField(label=_("Client id"), max_length=255, widget=forms.TextInput(attrs=CODE))
    secret = forms.CharField(
        label=_("Client secret"),
        required=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=_("Stored encrypted and never shown again. Empty: as it stands."),
    )
    scopes = forms.CharField(
        label=_("Scopes"),
        max_length=500,
        initial=" ".join(providers.DEFAULT_SCOPES),
        widget=forms.TextInput(attrs=CODE),
    )
    groups_claim = forms.CharField(
        label=_("Claim with the groups"),
        required=False,
        max_length=128,
        initial="groups",
        widget=forms.TextInput(attrs=CODE),
        help_text=_("Dots lead into objects, as in realm_access.roles. Empty: groups give nothing."),
    )
    second_factor = forms.CharField(
        label=_("Values of acr or amr that mean a second factor"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs=CODE),
        help_text=_(
            "Separated by spaces, such as mfa. Whoever signs in with one of them counts as having shown a second "
            "factor. Empty: the provider is not believed, and people set one up here."
        ),
    )
    creates_accounts = forms.BooleanField(
        label=_("Makes an account for somebody who signs in for the first time"), required=False, initial=True
    )

    def clean_second_factor(self) -> list[str]:
        return list(self.cleaned_data["second_factor"].split())

    def clean_scopes(self) -> list[str]:
        return list(self.cleaned_data["scopes"].split())


class NewProviderForm(ProviderForm):
    """With what cannot be changed later."""

    field_order = ("name", "key", "issuer")

    is_enabled = forms.BooleanField(label=_("Offered on the sign-in page"), required=False, initial=True)
    key = forms.CharField(
        label=_("Key"),
        max_length=64,
        widget=forms.TextInput(attrs=CODE),
        help_text=_(
            "Small letters, digits, hyphens. It stays: the provider sends people back to an address with it."
        ),
    )
    issuer = forms.CharField(
        label=_("Issuer"),
        max_length=500,
        widget=forms.URLInput(attrs={**CODE, "placeholder": "https://login.example.com/realms/acme"}),
        help_text=_("To the letter as the provider names itself. It stays: accounts are known by it."),
    )

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        if IdentityProvider.objects.filter(key=key).exists():
            raise ValidationError(_("Another provider has this key."))
        return key


class RuleForm(LimitsForm):
    """What one group gives."""

    group = forms.CharField(label=_("Group"), max_length=500, widget=forms.TextInput(attrs=CODE))
    gives = forms.ChoiceField(label=_("Gives"))
    field_order = ("group", "gives")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, project=None)
        roles = [*Role.choices, *CustomRole.objects.values_list("key", "name")]
        choices: list[Any] = [
            (
                project.name,
                [(f"project/{project.key}/{key}", f"{name} · {project.name}") for key, name in roles],
            )
            for project in Project.objects.order_by("name")
        ]
        teams = [(f"team/{team.key}", f"{_('Team')} {team.name}") for team in Team.objects.all()]
        choices += [(_("Teams"), teams)] if teams else []
        choices += [
            (_("Organisation"), [(f"organisation/{key}", name) for key, name in OrganisationRole.choices])
        ]
        self.fields["gives"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if "gives" in given and not given["gives"].startswith("project/") and self.limits.document:
            raise ValidationError(
                _("Limits are for roles in projects; take them away, or choose such a role.")
            )
        return given

    def rule(self) -> dict[str, Any]:
        kind, __, what = self.cleaned_data["gives"].partition("/")
        group, limits = self.cleaned_data["group"], self.limits.document
        if kind == "team":
            return {"group": group, "team": what}
        if kind == "organisation":
            return {"group": group, "role": what}
        project, __, role = what.partition("/")
        rule = {"group": group, "project": project, "role": role}
        return {**rule, "limits": limits} if limits else rule


class ProviderListPage(ListPage):
    """All of them; and whoever is locked out of the local door, to be let in again."""

    verb = "organisation.manage"
    template = "countersign/provider_list.html"
    title = _("Sign-in")
    columns = (_("Provider"), _("Issuer"), _("People"), _("Rules"), _("State"))
    icon = "key"
    new = ("provider-new", _("Connect a provider"))

    def get(self, request: HttpRequest) -> HttpResponse:
        rows = [
            {"provider": row, "accounts": providers.accounts_of(row)}
            for row in IdentityProvider.objects.all()
        ]
        lead = _(
            "People sign in with these. What their groups give is read again at every sign-in, given and taken at "
            "once."
        )
        return self.show_rows(
            rows, lead=lead, lockouts=lockout.lockouts(), factor_policy=factor_policy().document
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        kind, __, what = request.POST.get("unlock", "").partition("/")
        if kind == "person":
            lockout.unlock_person(self.actor, get_object_or_404(User, pseudonym=what))
        else:
            lockout.unlock_address(self.actor, what)
        self.say(_("Unlocked: they may try again now."))
        return redirect("admin:provider-list")


class ProviderFormPage(OrganisationPage):
    """What connecting and changing share."""

    verb = "organisation.manage"
    template = "countersign/provider.html"

    def save(self, form: ProviderForm, key: str) -> IdentityProvider | None:
        """The saved row; None with what is wrong at the form's fields."""
        members = {name: value for name, value in form.cleaned_data.items() if name not in ("key", "secret")}
        try:
            return providers.save_provider(
                self.actor, key, members, secret=form.cleaned_data["secret"] or None
            )
        except ValidationError as error:
            for name, reasons in error.message_dict.items():
                for reason in reasons:
                    form.add_error(name if name in form.fields else None, reason)
            return None


class NewProviderPage(ProviderFormPage):
    """Connects one."""

    title = _("Connect an identity provider")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(NewProviderForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = NewProviderForm(request.POST)
        if not form.is_valid() or not (row := self.save(form, form.cleaned_data["key"])):
            return self._show(form, 422)
        self.say(_("%s is connected. Sign in with it in another browser to try it.") % row)
        return redirect("admin:provider", row.key)

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Connect"))


class ProviderPage(ProviderFormPage):
    """Its settings and its rules."""

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        row = get_object_or_404(IdentityProvider, key=key)
        return self._show(row, ProviderForm(initial=_initial(row)), RuleForm())

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        row = get_object_or_404(IdentityProvider, key=key)
        form, rule = ProviderForm(initial=_initial(row)), RuleForm()
        if "enable" in request.POST:
            providers.save_provider(self.actor, key, {"is_enabled": True})
            self.say(_("%s is offered again. Its groups give from each person's next sign-in.") % row)
            return redirect("admin:provider", key)
        if "rule" in request.POST or "take" in request.POST:
            rule = RuleForm(request.POST) if "rule" in request.POST else rule
            if self._save_rules(row, rule):
                return redirect("admin:provider", key)
        else:
            form = ProviderForm(request.POST)
            if form.is_valid() and self.save(form, key):
                self.say(_("Saved."))
                return redirect("admin:provider", key)
        return self._show(row, form, rule, 422)

    def _save_rules(self, row: IdentityProvider, form: RuleForm) -> bool:
        """Add the rule of the form, or take away the one that `take` names by its number."""
        rules = list(row.rules)
        if form.is_bound:
            if not form.is_valid():
                return False
            rules.append(form.rule())
        else:
            taken = self.request.POST["take"]
            if not taken.isdecimal() or int(taken) >= len(rules):
                return False
            del rules[int(taken)]
        try:
            providers.save_provider(self.actor, row.key, {"rules": rules})
        except ValidationError as error:
            form.add_error(None, "; ".join(error.messages))
            return False
        self.say(_("Saved. It counts from each person's next sign-in."))
        return True

    def _show(
        self, row: IdentityProvider, form: forms.Form, rule: RuleForm, status: int = 200
    ) -> HttpResponse:
        return self.show(
            status=status,
            title=row.name,
            row=row,
            form=form,
            rule_form=rule,
            rules=[{"group": each["group"], "gives": _in_words(each)} for each in row.rules],
            callback=providers.callback_address(row),
            logged_out=providers.logged_out_address(row),
            accounts=providers.accounts_of(row),
            button=_("Save"),
        )


class ProviderTakingPage(OrganisationPage):
    """Disables a provider or takes it away; says before, in numbers, what that takes from whom."""

    verb = "organisation.manage"
    template = "countersign/provider_taking.html"
    columns = (
        _("Person"),
        _("Roles in projects"),
        _("Teams"),
        _("Roles of the organisation"),
        _("Sessions"),
    )

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        row = get_object_or_404(IdentityProvider, key=key)
        given = given_by(row)
        losers = [each for each in given.people if each.holds_something or each.is_shut_out]
        return self.show(
            title=_("Disable or take away %s") % row,
            row=row,
            numbers=given.numbers,
            linked=linked_to(row).count(),
            approvals=approvals_by(given.members),
            people=losers[:MOST_SHOWN],
            more=max(0, len(losers) - MOST_SHOWN),
            columns=self.columns,
        )

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        row = get_object_or_404(IdentityProvider, key=key)
        try:
            if "delete" in request.POST:
                providers.delete_provider(self.actor, row)
            else:
                providers.save_provider(self.actor, key, {"is_enabled": False})
        except LastAdministratorError as error:
            self.complain(error)
            return redirect("admin:provider-taking", key)
        if "delete" in request.POST:
            self.say(_("%s is no longer connected.") % row)
            return redirect("admin:provider-list")
        self.say(_("%s is disabled; what its groups gave is taken back.") % row)
        return redirect("admin:provider", key)


def _initial(row: IdentityProvider) -> dict[str, Any]:
    return {
        **row.document,
        "scopes": " ".join(row.scopes),
        "second_factor": " ".join(row.second_factor),
    }


def _in_words(rule: dict[str, Any]) -> str:
    if "team" in rule:
        return str(_("team %s") % rule["team"])
    if "project" not in rule:
        return str(OrganisationRole(rule["role"]).label)
    where = str(Limits.read(rule.get("limits", {})))
    return f"{rule['role']} · {rule['project']}" + (f" ({where})" if where else "")


# allauth's own pages would store secrets in clear, and tie anybody's account to any subject, unrecorded.
for side_door in (SocialApp, SocialAccount, SocialToken, EmailAddress, Authenticator):
    if admin.site.is_registered(side_door):
        admin.site.unregister(side_door)

urlpatterns = [
    path("sign-in/", ProviderListPage.as_view(), name="provider-list"),
    path("sign-in/new/", NewProviderPage.as_view(), name="provider-new"),
    path("sign-in/<slug:key>/", ProviderPage.as_view(), name="provider"),
    path("sign-in/<slug:key>/take-away/", ProviderTakingPage.as_view(), name="provider-taking"),
]
