"""Identity providers: connecting them, and what their groups give. For organisation administrators."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _

from access.admin.pages import shown
from access.admin.place import place_of
from access.limits import Limits
from access.models import CustomRole, IdentityProvider, Team, User
from access.permissions import ForbiddenError, request_actor, require_in_organisation
from access.roles import OrganisationRole, Role
from access.signin import lockout, providers
from access.signin.factor_policy import factor_policy
from access.teams import InUseError
from audit.actor import Actor
from flags.models import Project

_CODE = {"spellcheck": "false", "autocomplete": "off"}


class ProviderForm(forms.Form):
    """What the organisation's provider gave when we were registered there."""

    name = forms.CharField(
        label=_("Name"), max_length=128, help_text=_("As on the button: “Sign in with …”.")
    )
    client_id = forms.CharField(label=_("Client id"), max_length=255, widget=forms.TextInput(attrs=_CODE))
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
        widget=forms.TextInput(attrs=_CODE),
    )
    groups_claim = forms.CharField(
        label=_("Claim with the groups"),
        required=False,
        max_length=128,
        initial="groups",
        widget=forms.TextInput(attrs=_CODE),
        help_text=_("Dots lead into objects, as in realm_access.roles. Empty: groups give nothing."),
    )
    second_factor = forms.CharField(
        label=_("Values of acr or amr that mean a second factor"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs=_CODE),
        help_text=_(
            "Separated by spaces, such as mfa. Whoever signs in with one of them counts as having shown a second "
            "factor. Empty: the provider is not believed, and people set one up here."
        ),
    )
    creates_accounts = forms.BooleanField(
        label=_("Makes an account for somebody who signs in for the first time"), required=False, initial=True
    )
    is_enabled = forms.BooleanField(label=_("Offered on the sign-in page"), required=False, initial=True)

    def clean_second_factor(self) -> list[str]:
        return list(self.cleaned_data["second_factor"].split())

    def clean_scopes(self) -> list[str]:
        return list(self.cleaned_data["scopes"].split())


class NewProviderForm(ProviderForm):
    """With what cannot be changed later."""

    field_order = ("name", "key", "issuer")

    key = forms.CharField(
        label=_("Key"),
        max_length=64,
        widget=forms.TextInput(attrs=_CODE),
        help_text=_(
            "Small letters, digits, hyphens. It stays: the provider sends people back to an address with it."
        ),
    )
    issuer = forms.CharField(
        label=_("Issuer"),
        max_length=500,
        widget=forms.URLInput(attrs={**_CODE, "placeholder": "https://login.example.com/realms/acme"}),
        help_text=_("To the letter as the provider names itself. It stays: accounts are known by it."),
    )

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        if IdentityProvider.objects.filter(key=key).exists():
            raise ValidationError(_("Another provider has this key."))
        return key


class RuleForm(forms.Form):
    """What one group gives."""

    group = forms.CharField(label=_("Group"), max_length=500, widget=forms.TextInput(attrs=_CODE))
    gives = forms.ChoiceField(label=_("Gives"))
    environments = forms.CharField(
        label=_("Only in environments"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs=_CODE),
        help_text=_(
            "Keys, separated by spaces, for a role in a project. Empty: everywhere. Other limits: by the API."
        ),
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
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

    def rule(self) -> dict[str, Any]:
        kind, __, what = self.cleaned_data["gives"].partition("/")
        group, limited = self.cleaned_data["group"], self.cleaned_data["environments"].split()
        if kind == "team":
            return {"group": group, "team": what}
        if kind == "organisation":
            return {"group": group, "role": what}
        project, __, role = what.partition("/")
        rule = {"group": group, "project": project, "role": role}
        return {**rule, "limits": {"environments": limited}} if limited else rule


def provider_list(request: HttpRequest) -> HttpResponse:
    """All of them; and whoever is locked out of the local door, to be let in again."""
    actor = _administrator(request)
    if "unlock" in request.POST:
        kind, __, what = request.POST["unlock"].partition("/")
        if kind == "person":
            lockout.unlock_person(actor, get_object_or_404(User, pseudonym=what))
        else:
            lockout.unlock_address(actor, what)
        messages.success(request, _("Unlocked: they may try again now."))
        return redirect("admin:provider-list")
    rows = [{"row": row, "accounts": providers.accounts_of(row)} for row in IdentityProvider.objects.all()]
    return _shown(
        request,
        "countersign/provider_list.html",
        title=_("Sign-in"),
        rows=rows,
        lockouts=lockout.lockouts(),
        factor_policy=factor_policy().document,
    )


def new_provider(request: HttpRequest) -> HttpResponse:
    """Connect one."""
    actor = _administrator(request)
    form = NewProviderForm(*((request.POST,) if request.method == "POST" else ()))
    if form.is_valid() and (row := _saved(actor, form, form.cleaned_data["key"])):
        messages.success(request, _("%s is connected. Sign in with it in another browser to try it.") % row)
        return redirect("admin:provider", row.key)
    return _shown(
        request,
        "countersign/provider.html",
        422 if form.is_bound else 200,
        title=_("Connect an identity provider"),
        form=form,
        button=_("Connect"),
    )


def provider(request: HttpRequest, key: str) -> HttpResponse:
    """Its settings, its rules, and taking it away."""
    actor = _administrator(request)
    row = get_object_or_404(IdentityProvider, key=key)
    form, rule = ProviderForm(initial=_initial(row)), RuleForm()
    if request.method == "POST":
        if "delete" in request.POST:
            try:
                providers.delete_provider(actor, row)
            except InUseError as error:
                messages.error(request, str(error))
                return redirect("admin:provider", key)
            messages.success(request, _("%s is no longer connected.") % row)
            return redirect("admin:provider-list")
        if "rule" in request.POST or "take" in request.POST:
            rule = RuleForm(request.POST) if "rule" in request.POST else RuleForm()
            if _rules_saved(actor, row, request, rule):
                return redirect("admin:provider", key)
        else:
            form = ProviderForm(request.POST)
            if form.is_valid() and _saved(actor, form, key):
                messages.success(request, _("Saved."))
                return redirect("admin:provider", key)
    return _shown(
        request,
        "countersign/provider.html",
        422 if request.method == "POST" else 200,
        title=row.name,
        row=row,
        form=form,
        rule_form=rule,
        rules=[{"group": each["group"], "gives": _in_words(each)} for each in row.rules],
        callback=providers.callback_address(row),
        accounts=providers.accounts_of(row),
        button=_("Save"),
    )


def _administrator(request: HttpRequest) -> Actor:
    actor = request_actor(request)
    try:
        require_in_organisation(actor, "organisation.manage", reading=True)
    except ForbiddenError as error:
        raise PermissionDenied(str(error)) from error
    return actor


def _saved(actor: Actor, form: ProviderForm, key: str) -> IdentityProvider | None:
    members = {name: value for name, value in form.cleaned_data.items() if name not in ("key", "secret")}
    try:
        return providers.save_provider(actor, key, members, secret=form.cleaned_data["secret"] or None)
    except ValidationError as error:
        for name, reasons in error.message_dict.items():
            for reason in reasons:
                form.add_error(name if name in form.fields else None, reason)
        return None


def _rules_saved(actor: Actor, row: IdentityProvider, request: HttpRequest, form: RuleForm) -> bool:
    """Add the rule of the form, or take away the one that `take` names by its number."""
    rules = list(row.rules)
    if form.is_bound:
        if not form.is_valid():
            return False
        rules.append(form.rule())
    else:
        taken = request.POST["take"]
        if not taken.isdecimal() or int(taken) >= len(rules):
            return False
        del rules[int(taken)]
    try:
        providers.save_provider(actor, row.key, {"rules": rules})
    except ValidationError as error:
        form.add_error(None, "; ".join(error.messages))
        return False
    messages.success(request, _("Saved. It counts from each person's next sign-in."))
    return True


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


def _shown(request: HttpRequest, template: str, status: int = 200, **context: Any) -> HttpResponse:
    place = place_of(request)
    return shown(request, template, {"place": place, "project": place.project, **context}, status=status)


# allauth's own pages would store secrets in clear, and tie anybody's account to any subject, unrecorded.
for side_door in (SocialApp, SocialAccount, SocialToken, EmailAddress, Authenticator):
    if admin.site.is_registered(side_door):
        admin.site.unregister(side_door)

urlpatterns = [
    path("sign-in/", provider_list, name="provider-list"),
    path("sign-in/new/", new_provider, name="provider-new"),
    path("sign-in/<slug:key>/", provider, name="provider"),
]
