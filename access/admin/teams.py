"""Teams: who is in them, and what they hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _

from access import teams
from access.admin.based import BasedForm
from access.admin.member import People
from access.admin.organisation import ListPage, OrganisationPage
from access.grants import LastAdministratorError
from access.models import Membership, OrganisationMembership, ServiceAccount, Team, User, validate_key
from access.teams import InUseError
from audit.history import OutdatedBaseError, version_of


class TeamForm(BasedForm):
    """A team's name and people."""

    name = forms.CharField(label=_("Name"), max_length=128)
    members = People(label=_("People in it"))

    def clean_members(self) -> list[User]:
        return list(self.cleaned_data["members"])


class NewTeamForm(TeamForm):
    """The same with the key."""

    key = forms.CharField(
        label=_("Key"),
        max_length=128,
        validators=[validate_key],
        help_text=_("For policies and the API, such as payments; for good."),
    )
    field_order = ("key", "name")

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        if Team.objects.filter(key=key).exists():
            raise forms.ValidationError(_("There is a team with this key already; choose another one."))
        return key


class TeamListPage(ListPage):
    """All teams, with how much each holds."""

    verb = "team.manage"
    template = "countersign/team_list.html"
    title = _("Teams")
    columns = (_("Team"), _("People"), _("Roles in projects"), _("Service accounts"))
    icon = "groups_2"
    new = ("team-new", _("New team"))

    def get(self, request: HttpRequest) -> HttpResponse:
        roles: dict[str, int] = dict(
            Membership.objects.order_by().values_list("member").annotate(Count("pk"))
        )
        return self.show_rows(
            [
                {
                    "team": team,
                    "people": team.people,
                    "accounts": team.accounts,
                    "roles": roles.get(team.pseudonym, 0),
                }
                for team in Team.objects.annotate(
                    people=Count("members", distinct=True),
                    accounts=Count("service_accounts", distinct=True),
                )
            ]
        )


class NewTeamPage(OrganisationPage):
    """Makes a team."""

    verb = "team.manage"
    template = "countersign/organisation_form.html"
    title = _("New team")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(NewTeamForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = NewTeamForm(request.POST)
        try:
            if not form.is_valid() or not _saved(self, form, form.cleaned_data["key"], 0):
                return self._show(form, 422)
        except OutdatedBaseError:
            form.add_error("key", _("Somebody took this key meanwhile; choose another one."))
            return self._show(form, 409)
        self.say(
            _("Team %s made. Next: a role for it, on the People page of a project.")
            % form.cleaned_data["name"]
        )
        return redirect("admin:team", form.cleaned_data["key"])

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Make team"), back="admin:team-list")


class TeamPage(OrganisationPage):
    """A team: its people, its roles and service accounts; changing and deleting it."""

    verb = "team.manage"
    template = "countersign/team.html"

    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        team = get_object_or_404(Team, key=key)
        base = version_of(team)
        team.refresh_from_db()
        return self._show(team, TeamForm(initial={**_members(team), "base": base}))

    def post(self, request: HttpRequest, key: str) -> HttpResponse:
        team = get_object_or_404(Team, key=key)
        if "delete" in request.POST:
            try:
                teams.delete_team(self.actor, team)
            except InUseError as error:
                self.complain(error)
                return redirect("admin:team", key)
            self.say(_("Team %s deleted.") % team)
            return redirect("admin:team-list")
        form = TeamForm(request.POST)
        try:
            if not form.is_valid() or not _saved(self, form, key, form.cleaned_data["base"]):
                return self._show(team, form, 422)
        except OutdatedBaseError as error:
            team.refresh_from_db()
            return self._show(team, form.again(error, _members(team)), 409)
        self.say(_("Team %s saved.") % form.cleaned_data["name"])
        return redirect("admin:team", key)

    def _show(self, team: Team, form: forms.Form, status: int = 200) -> HttpResponse:
        held = Membership.objects.filter(member=team.pseudonym).select_related("project")
        return self.show(
            status=status,
            title=team.name,
            team=team,
            form=form,
            people=team.members.count(),
            roles=held.order_by("project__name", "role"),
            appointed=OrganisationMembership.objects.filter(member=team.pseudonym),
            accounts=ServiceAccount.objects.filter(team=team).order_by("name"),
            uses=teams.uses_of(team),
        )


def _members(team: Team) -> dict[str, Any]:
    """What the form shows of a team."""
    inside = User.objects.filter(pseudonym__in=team.members.values("member"), is_active=True)
    return {"name": team.name, "members": list(inside.order_by("first_name", "last_name", "username"))}


def _saved(page: OrganisationPage, form: TeamForm, key: str, base: int) -> bool:
    given = form.cleaned_data
    members = [user.pseudonym for user in given["members"]]
    try:
        teams.save_team(page.actor, key, name=given["name"], members=members, base={key: base})
    except ValidationError as error:
        form.add_error(None, error)
        return False
    except LastAdministratorError as error:
        form.add_error("members", str(error))
        return False
    return True
