"""Who has which role in a project, and giving, limiting and taking roles."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from access.admin.member import LimitsForm, Who
from access.admin.pages import Page, holders
from access.grants import LastAdministratorError
from access.models import CustomRole, Membership, ServiceAccount, Team
from access.permissions import display_names, require
from access.roles import PURPOSES, Role, label_of
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.policies import Rules
from approvals.workflow import GateError


def role_names() -> dict[str, str]:
    """The roles that one can hold in a project, by key: those of the table and the organisation's own."""
    return {role: label_of(role) for role in Role} | dict(CustomRole.objects.values_list("key", "name"))


class GrantForm(LimitsForm):
    """Somebody, a role for them, and where it holds."""

    who = Who(label=_("Person, team or service account"))
    role = forms.ChoiceField(label=_("Role"), initial=Role.VIEWER)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(role_names().items())


class PeoplePage(Page):
    """Memberships of a project; administrators give and take roles."""

    template = "countersign/people.html"
    title = _("People")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show(GrantForm(project=self.project))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        # Before the form looks anybody up: who has an account is nobody's business who may not give roles.
        require(self.actor, "access.manage", self.project)
        if "revoke" in request.POST:
            # An id that is no number is no membership.
            wanted = request.POST["revoke"]
            membership = _membership(self.project, wanted if wanted.isdecimal() else None)
            try:
                made = workflow.take_role(self.actor, membership, **self._why())
            except (LastAdministratorError, GateError) as error:
                self.complain(error)
                return self.go("people")
            if made is not None and made.is_open:
                return self._asked(made)
            self.say(_("Role taken away: %s.") % role_names().get(membership.role, membership.role))
            return self.go("people")
        form = GrantForm(request.POST, project=self.project)
        if not form.is_valid():
            return self._show(form, 422)
        given = form.cleaned_data
        try:
            made = workflow.give_role(
                self.actor, self.project, given["who"], given["role"], form.limits, **self._why()
            )
        except (LastAdministratorError, GateError) as error:
            form.add_error(None, str(error))
            return self._show(form, 409)
        if made is not None and made.is_open:
            return self._asked(made)
        words = {
            "who": display_names({given["who"]})[given["who"]],
            "role": role_names()[given["role"]],
            "limits": f" ({form.limits})" if form.limits.document else "",
        }
        self.say(_("%(who)s is now %(role)s%(limits)s.") % words)
        return self.go("people")

    def _why(self) -> dict[str, str]:
        """The reasons that stand beside whatever button was pressed."""
        posted = self.request.POST
        return {"rationale": posted.get("rationale", ""), "ticket": posted.get("ticket", "")}

    def _asked(self, made: ChangeRequest) -> HttpResponse:
        self.say(_("%s asks for review: until it is approved, nobody's roles change.") % made.change_id)
        return self.go("request", made.number)

    def _show(self, form: GrantForm, status: int = 200) -> HttpResponse:
        rows = list(Membership.objects.filter(project=self.project).order_by("member", "role"))
        by_holder: dict[str, list[Membership]] = {}
        for row in rows:
            by_holder.setdefault(row.member, []).append(row)
        teams = {
            team.pseudonym: [each.member for each in team.members.all()]
            for team in Team.objects.filter(pseudonym__in=by_holder).prefetch_related("members")
        }
        programs = set(
            ServiceAccount.objects.filter(pseudonym__in=by_holder).values_list("pseudonym", flat=True)
        )
        names = display_names({*by_holder, *(member for members in teams.values() for member in members)})
        roles = role_names()
        custom = list(CustomRole.objects.all())
        return self.show(
            status=status,
            form=form,
            people=[
                {
                    "name": names[holder],
                    "member": holder,
                    "kind": _("team")
                    if holder in teams
                    else _("service account")
                    if holder in programs
                    else "",
                    "is_team": holder in teams,
                    "count": len(teams.get(holder, ())),
                    "through": [
                        {"name": names[member], "member": member}
                        for member in sorted(teams.get(holder, ()), key=lambda each: names[each].lower())
                    ],
                    "memberships": [
                        {
                            "pk": row.pk,
                            "role_name": roles.get(row.role, row.role),
                            "limits": str(row.reach) if row.limits else "",
                        }
                        for row in held
                    ],
                }
                for holder, held in sorted(by_holder.items(), key=lambda item: names[item[0]].lower())
            ],
            roles=[
                *({"label": role.label, "purpose": PURPOSES[role]} for role in Role),
                *({"label": role.name, "purpose": role.purpose} for role in custom),
            ],
            can_manage=self.holds("access.manage"),
            needs=Rules(self.project).ask_for_access() if workflow.access_is_reviewed(self.project) else None,
            administrators=holders(self.project, "access.manage"),
        )


class SetLimitsForm(LimitsForm):
    """Where a role holds, and why, for projects whose policies ask."""

    why = forms.CharField(
        label=_("Why"),
        required=False,
        max_length=4_000,
        help_text=_("Where a policy covers access, reviewers read it. It stays for good: no names."),
    )


class LimitsPage(Page):
    """Says where a role that somebody has holds."""

    verb = "access.manage"
    template = "countersign/form.html"

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = _membership(self.project, number)
        return self._show(row, SetLimitsForm(initial=LimitsForm.of(row.reach), project=self.project))

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = _membership(self.project, number)
        form = SetLimitsForm(request.POST, project=self.project)
        if not form.is_valid():
            return self._show(row, form, 422)
        try:
            made = workflow.give_role(
                self.actor,
                self.project,
                row.member,
                row.role,
                form.limits,
                rationale=form.cleaned_data["why"],
            )
        except (LastAdministratorError, GateError) as error:
            form.add_error(None, str(error))
            return self._show(row, form, 409)
        if made is not None and made.is_open:
            self.say(_("%s asks for review: until it is approved, nobody's roles change.") % made.change_id)
            return self.go("request", made.number)
        where = form.limits if form.limits.document else _("everywhere in the project")
        self.say(_("The role holds %s.") % where)
        return self.go("people")

    def _show(self, row: Membership, form: LimitsForm, status: int = 200) -> HttpResponse:
        words = {
            "who": display_names({row.member})[row.member],
            "role": role_names().get(row.role, row.role),
        }
        return self.show(
            status=status,
            title=_("Where %(who)s is %(role)s") % words,
            intro=_(
                "Nothing chosen: everywhere. A limit narrows what one may do, not what one may see; a limited "
                "role neither gives roles nor changes policies, environments or keys."
            ),
            form=form,
            button=_("Set the limits"),
            back_name="people",
        )


def _membership(project: Any, number: Any) -> Membership:
    rows = Membership.objects.filter(project=project).select_related("project")
    return get_object_or_404(rows, pk=number)
