"""Custom roles: sets of the verbs of projects that an organisation names."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _

from access import teams
from access.admin.based import BasedForm
from access.admin.organisation import ListPage, OrganisationPage
from access.models import CustomRole, Membership, validate_key
from access.roles import VERBS
from access.teams import InUseError
from audit.history import OutdatedBaseError, version_of


class CustomRoleForm(BasedForm):
    """A role's name and verbs."""

    name = forms.CharField(label=_("Name"), max_length=128)
    purpose = forms.CharField(
        label=_("What it is for"),
        max_length=200,
        required=False,
        help_text=_("In the words of the people who have it, such as: turns flags off at night."),
    )
    verbs = forms.MultipleChoiceField(
        label=_("What it lets one do"),
        widget=forms.CheckboxSelectMultiple,
        choices=[
            (name, f"{name}: {verb.purpose}")
            for name, verb in VERBS.items()
            if verb.is_of_project and name != "project.view"
        ],
        help_text=_("Whoever may do anything in a project sees the project."),
    )

    def clean_verbs(self) -> list[str]:
        return sorted(self.cleaned_data["verbs"])


class NewCustomRoleForm(CustomRoleForm):
    """The same with the key."""

    key = forms.CharField(label=_("Key"), max_length=32, validators=[validate_key], help_text=_("For good."))
    field_order = ("key", "name")

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        if CustomRole.objects.filter(key=key).exists():
            raise forms.ValidationError(_("There is a role with this key already; choose another one."))
        return key


class NewCustomRolePage(OrganisationPage):
    """Defines a role."""

    verb = "organisation.manage"
    template = "countersign/organisation_form.html"
    title = _("New role")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(NewCustomRoleForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = NewCustomRoleForm(request.POST)
        try:
            if not form.is_valid() or not _saved(self, form, form.cleaned_data["key"], 0):
                return self._show(form, 422)
        except OutdatedBaseError:
            form.add_error("key", _("Somebody took this key meanwhile; choose another one."))
            return self._show(form, 409)
        self.say(
            _("Role %s defined. Next: give it to somebody, on the People page of a project.")
            % form.cleaned_data["name"]
        )
        return redirect("admin:role-list")

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Define role"), back="admin:role-list")


class CustomRoleListPage(ListPage):
    """The organisation's own roles, and how many hold each."""

    verb = "organisation.manage"
    template = "countersign/role_list.html"
    title = _("Custom roles")
    columns = (_("Role"), _("Verbs"), _("Held"))
    icon = "badge"
    new = ("role-new", _("New role"))

    def get(self, request: HttpRequest) -> HttpResponse:
        held = list(Membership.objects.order_by().values_list("role", flat=True))
        return self.show_rows(
            [
                {
                    "role": role,
                    "verbs": [each.verb for each in role.verbs.all()],
                    "held": held.count(role.key),
                }
                for role in CustomRole.objects.prefetch_related("verbs")
            ]
        )


class CustomRolePage(OrganisationPage):
    """Changes or deletes a role."""

    verb = "organisation.manage"
    template = "countersign/custom_role.html"

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        role = get_object_or_404(CustomRole, key=key)
        base = version_of(role)
        role.refresh_from_db()
        return self._show(role, CustomRoleForm(initial={**_members(role), "base": base}))

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        role = get_object_or_404(CustomRole, key=key)
        if "delete" in request.POST:
            try:
                teams.delete_custom_role(self.actor, role)
            except InUseError as error:
                self.complain(error)
                return redirect("admin:custom-role", key)
            self.say(_("Role %s deleted.") % role)
            return redirect("admin:role-list")
        form = CustomRoleForm(request.POST)
        try:
            if not form.is_valid() or not _saved(self, form, key, form.cleaned_data["base"]):
                return self._show(role, form, 422)
        except OutdatedBaseError as error:
            role.refresh_from_db()
            return self._show(role, form.again(error, _members(role)), 409)
        self.say(_("Role %s saved; whoever holds it holds the new set at once.") % form.cleaned_data["name"])
        return redirect("admin:role-list")

    def _show(self, role: CustomRole, form: forms.Form, status: int = 200) -> HttpResponse:
        held = Membership.objects.filter(role=role.key).select_related("project")
        return self.show(
            status=status,
            title=role.name,
            role=role,
            form=form,
            held=held.count(),
            projects=sorted({row.project.name for row in held}),
        )


def _members(role: CustomRole) -> dict[str, Any]:
    """What the form shows of a role: all but what every role has."""
    shown = role.document
    return {**shown, "verbs": [verb for verb in shown["verbs"] if verb != "project.view"]}


def _saved(page: OrganisationPage, form: CustomRoleForm, key: str, base: int) -> bool:
    given = form.cleaned_data
    members = {name: given[name] for name in ("name", "purpose", "verbs")}
    try:
        teams.save_custom_role(page.actor, key, **members, base={key: base})
    except ValidationError as error:
        form.add_error(None, error)
        return False
    return True
