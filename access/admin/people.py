"""Who has which role in a project, and giving and taking roles."""

from __future__ import annotations

from collections import defaultdict

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from access import grants
from access.admin.pages import Page
from access.models import Membership
from access.permissions import display_names, require
from access.roles import PURPOSES, Role, roles_that_may


class GrantForm(forms.Form):
    """Somebody and a role for them."""

    who = forms.CharField(
        label=_("User name or e-mail address"),
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.VIEWER)

    def clean_who(self) -> str:
        text = self.cleaned_data["who"].strip()
        try:
            self.member = grants.found(text)
        except LookupError as error:
            raise forms.ValidationError(str(error)) from error
        return text


class PeoplePage(Page):
    """Memberships of a project; administrators give and take roles."""

    template = "countersign/people.html"
    title = _("People")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show(GrantForm())

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        # Before the form looks anybody up: who has an account is nobody's business who may not give roles.
        require(self.actor, "access.manage", self.project)
        if "revoke" in request.POST:
            # An id that is no number is no membership.
            wanted = request.POST["revoke"]
            rows = Membership.objects.filter(project=self.project)
            membership = get_object_or_404(rows, pk=wanted if wanted.isdecimal() else None)
            try:
                grants.revoke(self.actor, membership)
            except ValueError as error:
                self.complain(error)
            else:
                self.say(_("Role taken away: %s.") % membership.role_name)
            return self.go("people")
        form = GrantForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        grants.grant(self.actor, self.project, form.member, form.cleaned_data["role"])
        role = Role(form.cleaned_data["role"]).label
        self.say(_("%(who)s is now %(role)s.") % {"who": form.cleaned_data["who"], "role": role})
        return self.go("people")

    def _show(self, form: GrantForm, status: int = 200) -> HttpResponse:
        held: dict[str, list[Membership]] = defaultdict(list)
        for membership in Membership.objects.filter(project=self.project).order_by("member", "role"):
            held[membership.member].append(membership)
        names = display_names(set(held))
        people = [
            {"name": names[member], "member": member, "memberships": memberships}
            for member, memberships in sorted(held.items(), key=lambda item: names[item[0]].lower())
        ]
        roles = [{"label": role.label, "purpose": PURPOSES[role]} for role in Role]
        can_manage = self.holds("access.manage")
        return self.show(
            status=status,
            people=people,
            roles=roles,
            form=form,
            can_manage=can_manage,
            administrators=[names[member] for member, rows in held.items() if self._manages(rows)],
        )

    @staticmethod
    def _manages(memberships: list[Membership]) -> bool:
        return any(membership.role in roles_that_may("access.manage") for membership in memberships)
