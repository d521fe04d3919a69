"""Teams, custom roles and roles of the organisation."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import ValidationError

from access import grants, machines, teams
from access.holders import who_may
from access.models import OrganisationMembership, Team
from access.permissions import ForbiddenError, may, projects_where, service_actor
from access.roles import OrganisationRole, Role
from access.signin.factor_policy import set_factor_policy
from approvals import workflow
from approvals.models import ChangeRequest
from audit.models import Event
from tests.cast import Cast


def team(cast: Cast, *names: str) -> Team:
    members = [cast.users[name].pseudonym for name in names]
    return teams.save_team(cast.actor("root"), "payments", name="Payments", members=members)


def test_whoever_is_in_a_team_holds_its_roles_and_loses_them_with_it(cast: Cast) -> None:
    cast.flag()
    payments = team(cast, "outsider")
    grants.grant(cast.actor("administrator"), cast.project, payments.pseudonym, Role.REVIEWER)
    outsider = cast.actor("outsider")
    assert may(outsider, "change.approve", cast.project)
    request = cast.propose(scheduled_at=None)
    cast.approve(request, by="outsider")
    team(cast, "viewer")
    assert not may(outsider, "change.approve", cast.project)
    request.refresh_from_db()
    with pytest.raises(workflow.StateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("administrator"), request)


def test_a_team_is_one_document_in_the_ledger(cast: Cast) -> None:
    payments = team(cast, "author")
    team(cast, "author", "reviewer")
    events = [
        json.loads(e.line)["data"]
        for e in Event.objects.filter(type="access.v1.team.changed").order_by("index")
    ]
    assert [event["before"] and len(event["before"]["members"]) for event in events] == [None, 1]
    assert events[-1]["after"] == payments.document
    team(cast, "reviewer", "author")
    assert Event.objects.filter(type="access.v1.team.changed").count() == 2


def test_a_team_has_active_people_in_it_and_nothing_else(cast: Cast) -> None:
    account = machines.create_service_account(cast.actor("root"), "pipeline")
    for stranger in (account.pseudonym, "user:nobody"):
        with pytest.raises(ValidationError, match="no active person"):
            teams.save_team(cast.actor("root"), "payments", name="Payments", members=[stranger])


def test_a_team_that_something_depends_on_stays(cast: Cast) -> None:
    payments = team(cast, "author")
    grants.grant(cast.actor("administrator"), cast.project, payments.pseudonym, Role.EDITOR)
    machines.create_service_account(cast.actor("root"), "pipeline", payments)
    with pytest.raises(teams.InUseError, match=r"editor|Editor in shop, the service account pipeline"):
        teams.delete_team(cast.actor("root"), payments)


def test_a_team_or_role_that_a_rule_names_stays(cast: Cast) -> None:
    root, payments = cast.actor("root"), team(cast, "author")
    night = teams.save_custom_role(root, "night", name="Night", verbs=["change.approve"])
    cast.policy(approvals=2, **{"from": [{"count": 1, "team": "payments"}, {"count": 1, "role": "night"}]})
    with pytest.raises(teams.InUseError, match="the policy Production in shop"):
        teams.delete_team(root, payments)
    with pytest.raises(teams.InUseError, match="the policy Production in shop"):
        teams.delete_custom_role(root, night)
    other = teams.save_custom_role(root, "day", name="Day", verbs=["change.approve"])
    set_factor_policy(root, {"roles": ["day"]})
    with pytest.raises(teams.InUseError, match="second factor"):
        teams.delete_custom_role(root, other)


def test_its_team_makes_the_tokens_of_a_service_account(cast: Cast) -> None:
    account = machines.create_service_account(cast.actor("root"), "pipeline", team(cast, "author"))
    token, _ = machines.issue_token(cast.actor("author"), account, "deploy")
    with pytest.raises(ForbiddenError, match="its team"):
        machines.issue_token(cast.actor("reviewer"), account, "deploy")
    with pytest.raises(ForbiddenError):
        machines.revoke_token(cast.actor("reviewer"), token)
    machines.revoke_token(cast.actor("author"), token)


def test_whoever_made_a_token_of_a_service_account_does_not_review_what_it_proposes(cast: Cast) -> None:
    cast.flag()
    account = machines.create_service_account(cast.actor("root"), "pipeline", team(cast, "reviewer"))
    grants.grant(cast.actor("administrator"), cast.project, account.pseudonym, Role.EDITOR)
    machines.issue_token(cast.actor("reviewer"), account, "deploy")
    operations = [{"subject": cast.subject(), "after": {"enabled": False, "default": {"variant": "on"}}}]
    request = workflow.propose(
        service_actor(account), cast.project, operations, title="t", rationale="r", scheduled_at=None
    )
    with pytest.raises(workflow.StateError, match="whose token you made"):
        cast.approve(request)
    cast.approve(request, by="second_reviewer")
    assert ChangeRequest.objects.get(pk=request.pk).state == ChangeRequest.State.APPROVED


def test_a_custom_role_holds_the_verbs_it_was_given_and_no_others(cast: Cast) -> None:
    root = cast.actor("root")
    teams.save_custom_role(root, "killer", name="Killer", verbs=["flag.kill"])
    grants.grant(cast.actor("administrator"), cast.project, cast.users["outsider"].pseudonym, "killer")
    who = cast.actor("outsider")
    assert may(who, "flag.kill", cast.project)
    assert may(who, "project.view", cast.project)
    assert not may(who, "change.propose", cast.project)
    teams.save_custom_role(root, "killer", name="Killer", verbs=["change.comment"])
    assert not may(who, "flag.kill", cast.project)


def test_a_custom_role_is_made_of_verbs_of_projects_and_takes_no_known_name(cast: Cast) -> None:
    root = cast.actor("root")
    for key, verbs in (
        ("viewer", ["flag.kill"]),
        ("boss", ["project.create"]),
        ("boss", ["world.rule"]),
        ("boss", []),
        ("Boss!", ["flag.kill"]),
    ):
        with pytest.raises(ValidationError):
            teams.save_custom_role(root, key, name="Boss", verbs=verbs)
    with pytest.raises(grants.UnknownRoleError):
        grants.grant(root, cast.project, cast.users["viewer"].pseudonym, "boss")


def test_a_custom_role_that_somebody_holds_stays(cast: Cast) -> None:
    root = cast.actor("root")
    role = teams.save_custom_role(root, "killer", name="Killer", verbs=["flag.kill"])
    grants.grant(root, cast.project, cast.users["viewer"].pseudonym, "killer")
    with pytest.raises(teams.InUseError, match="1 members hold"):
        teams.delete_custom_role(root, role)


def test_an_auditor_of_the_organisation_exports_from_every_project_and_changes_none(cast: Cast) -> None:
    grants.appoint(cast.actor("root"), cast.users["viewer"].pseudonym, OrganisationRole.ORGANISATION_AUDITOR)
    who = cast.actor("viewer")
    assert set(projects_where(who, "audit.export").values_list("key", flat=True)) == {"other", "shop"}
    assert not may(who, "change.propose", cast.project)
    grants.dismiss(cast.actor("root"), OrganisationMembership.objects.get())
    assert not projects_where(who, "audit.export").exists()


def test_only_the_organisation_gives_its_roles_teams_and_custom_roles(cast: Cast) -> None:
    who, member = cast.actor("administrator"), cast.users["viewer"].pseudonym
    for act in (
        lambda: grants.appoint(who, member, OrganisationRole.ORGANISATION_ADMINISTRATOR),
        lambda: teams.save_team(who, "mine", name="Mine", members=[]),
        lambda: teams.save_custom_role(who, "mine", name="Mine", verbs=["flag.kill"]),
        lambda: machines.create_service_account(who, "mine"),
    ):
        with pytest.raises(ForbiddenError, match="Organisation administrator"):
            act()


def test_who_may_names_the_role_the_team_and_the_limits(cast: Cast) -> None:
    payments = team(cast, "outsider")
    grants.grant(cast.actor("administrator"), cast.project, payments.pseudonym, Role.REVIEWER)
    found = {each.member: each for each in who_may("change.approve", cast.project)}
    assert found[cast.users["outsider"].pseudonym].team == "Payments"
    assert found[cast.users["reviewer"].pseudonym].role == Role.REVIEWER
    assert cast.users["author"].pseudonym not in found
