"""The pages about people: giving roles with limits, who may do what, teams, custom roles, service accounts."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access import grants, machines, teams
from access.models import ApiToken, CustomRole, Membership, OrganisationMembership, ServiceAccount, Team
from access.permissions import may
from access.roles import OrganisationRole, Role
from tests.cast import Cast
from tests.ui.conftest import Browser

PEOPLE = "/admin/p/shop/people/"


def text(browser: Browser, name: str, url: str) -> str:
    answer = browser(name).get(url)
    assert answer.status_code == 200, url
    return " ".join(answer.content.decode().split())


def test_a_team_gets_a_role_with_limits_which_are_changed_and_taken_away(
    cast: Cast, browser: Browser
) -> None:
    payments = teams.save_team(
        cast.actor("root"), "payments", name="Payments", members=[cast.users["outsider"].pseudonym]
    )
    client = browser("administrator")
    form = {
        "who": "payments",
        "role": "reviewer",
        "environments": ["production"],
        "kinds": ["release"],
        "tags": "fees, cards",
        "not_critical": "on",
    }
    assert client.post(PEOPLE, form).status_code == 302
    row = Membership.objects.get(member=payments.pseudonym)
    assert row.limits == {
        "environments": ["production"],
        "kinds": ["release"],
        "tags": ["cards", "fees"],
        "critical": False,
    }
    page = text(browser, "viewer", PEOPLE)
    assert "in production; flags of kind release; flags tagged cards, fees; no critical flags" in page
    assert "1 person" in page
    limits = f"{PEOPLE}{row.pk}/limits/"
    assert "fees" in text(browser, "administrator", limits)
    assert client.post(limits, {"environments": ["development"]}).status_code == 302
    assert Membership.objects.get(pk=row.pk).limits == {"environments": ["development"]}
    assert client.post(limits, {"environments": ["nowhere"]}).status_code == 422
    client.post(PEOPLE, {"revoke": row.pk})
    assert not may(cast.actor("outsider"), "project.view", cast.project)


def test_limits_that_would_leave_nobody_to_give_roles_are_refused(cast: Cast, browser: Browser) -> None:
    for row in Membership.objects.filter(project=cast.project, role=Role.ADMINISTRATOR)[1:]:
        grants.revoke(cast.actor("root"), row)
    last = Membership.objects.get(project=cast.project, role=Role.ADMINISTRATOR)
    answer = browser("root").post(f"{PEOPLE}{last.pk}/limits/", {"environments": ["development"]})
    assert answer.status_code == 409
    assert "appoint another first" in answer.content.decode()


def test_who_may_here_and_why(cast: Cast, browser: Browser) -> None:
    teams.save_team(
        cast.actor("root"), "payments", name="Payments", members=[cast.users["outsider"].pseudonym]
    )
    grants.grant(cast.actor("root"), cast.project, Team.objects.get().pseudonym, Role.REVIEWER)
    page = text(browser, "viewer", "/admin/p/shop/who-may/?verb=change.approve")
    assert "Outsider" in page
    assert "through the team Payments" in page
    assert "Auditor" not in page
    assert browser("viewer").get("/admin/p/shop/who-may/?verb=world.rule").status_code == 404
    pseudonym = cast.users["outsider"].pseudonym
    page = text(browser, "viewer", f"/admin/p/shop/standing/{pseudonym}/")
    assert "What Outsider may do" in page
    assert browser("viewer").get("/admin/p/shop/standing/user:nobody/").status_code == 404


def test_a_team_is_made_changed_and_deleted_once_nothing_depends_on_it(cast: Cast, browser: Browser) -> None:
    client = browser("root")
    assert "No teams yet" in text(browser, "root", "/admin/teams/")
    members = [cast.users[name].pseudonym for name in ("author", "viewer")]
    form = {"key": "payments", "name": "Payments", "members": members}
    assert client.post("/admin/new-team/", form).headers["Location"] == "/admin/teams/payments/"
    assert client.post("/admin/new-team/", form).status_code == 422
    page = "/admin/teams/payments/"
    form = {"name": "Paying", "members": members[:1], "base": 1}
    assert client.post(page, form).status_code == 302
    stale = client.post(page, {**form, "name": "Late"})
    assert stale.status_code == 409
    assert "Stands at Paying now." in stale.content.decode()
    team = Team.objects.get()
    assert team.document == {"key": "payments", "name": "Paying", "members": members[:1]}
    row = grants.grant(cast.actor("root"), cast.project, team.pseudonym, Role.EDITOR)
    assert "Editor in shop" in text(browser, "root", page)
    client.post(page, {"delete": "1"})
    assert Team.objects.exists()
    grants.revoke(cast.actor("root"), row)
    client.post(page, {"delete": "1"})
    assert not Team.objects.exists()


def test_a_custom_role_is_defined_given_and_deleted(cast: Cast, browser: Browser) -> None:
    client = browser("root")
    assert "No roles of your own yet" in text(browser, "root", "/admin/custom-roles/")
    form = {"key": "night", "name": "Night watch", "verbs": ["flag.kill"]}
    assert client.post("/admin/new-role/", form).status_code == 302
    assert client.post("/admin/new-role/", {**form, "key": "viewer"}).status_code == 422
    browser("administrator").post(PEOPLE, {"who": "outsider", "role": "night"})
    assert may(cast.actor("outsider"), "flag.kill", cast.project)
    assert "Night watch" in text(browser, "viewer", "/admin/roles/")
    page = "/admin/custom-roles/night/"
    assert "1 member holds it" in text(browser, "root", page)
    client.post(page, {"delete": "1"})
    assert CustomRole.objects.exists()
    form = {"name": "Night", "verbs": ["change.comment"], "base": 1}
    assert client.post(page, form).status_code == 302
    stale = client.post(page, {**form, "verbs": ["flag.kill"]})
    assert stale.status_code == 409
    assert "Stands at change.comment now." in stale.content.decode()
    assert not may(cast.actor("outsider"), "flag.kill", cast.project)
    events = text(browser, "administrator", "/admin/p/shop/audit/")
    assert "Roles: none → night" in events


def test_somebody_is_appointed_and_dismissed(cast: Cast, browser: Browser) -> None:
    client, page = browser("root"), "/admin/organisation/"
    assert client.post(page, {"who": "viewer", "role": "organisation-auditor"}).status_code == 302
    row = OrganisationMembership.objects.get()
    assert row.role == OrganisationRole.ORGANISATION_AUDITOR
    assert "Organisation auditor" in text(browser, "root", page)
    client.post(page, {"dismiss": row.pk})
    assert not OrganisationMembership.objects.exists()
    assert client.post(page, {"who": "nobody at all", "role": "organisation-auditor"}).status_code == 422


def test_the_team_of_a_service_account_sees_it_and_revokes_its_tokens(cast: Cast, browser: Browser) -> None:
    team = teams.save_team(
        cast.actor("root"), "payments", name="Payments", members=[cast.users["author"].pseudonym]
    )
    browser("root").post("/admin/new-service-account/", {"name": "pipeline", "team": team.pk})
    account = team.service_accounts.get()
    token, _ = machines.issue_token(cast.actor("author"), account, "deploy")
    page = f"/admin/service-accounts/{account.pk}/"
    assert "pipeline" in text(browser, "author", "/admin/service-accounts/")
    assert browser("reviewer").get("/admin/service-accounts/").status_code == 404
    assert browser("reviewer").post(page, {"revoke": token.pk}).status_code == 404
    assert f"{token.hint}…" in text(browser, "author", page)
    browser("author").post(page, {"revoke": token.pk})
    assert ApiToken.objects.get(pk=token.pk).revoked_at is not None


def _grow(cast: Cast, prefix: str, count: int) -> None:
    root = cast.actor("root")
    for number in range(count):
        key = f"{prefix}-{number}"
        names = [cast.users[name].pseudonym for name in ("author", "reviewer", "root")]
        team = teams.save_team(root, key, name=key, members=names)
        teams.save_custom_role(root, f"role-{key}", name=key, verbs=["flag.kill"])
        grants.grant(root, cast.project, team.pseudonym, Role.REVIEWER)
        grants.grant(root, cast.project, team.pseudonym, f"role-{key}")
        grants.appoint(root, team.pseudonym, OrganisationRole.ORGANISATION_AUDITOR)
        account = machines.create_service_account(root, key, team)
        machines.issue_token(root, account, "deploy")
        machines.issue_token(root, cast.users["root"], key)
        machines.issue_token(root, ServiceAccount.objects.get(name="one-0"), key)


def test_pages_take_as_many_queries_with_many_teams_and_roles(cast: Cast, browser: Browser) -> None:
    cast.flag()
    request = cast.propose(scheduled_at=None)
    reviewer = cast.users["reviewer"].pseudonym
    urls = [
        PEOPLE,
        "/admin/p/shop/flags/",
        "/admin/p/shop/flags/banner/",
        f"/admin/p/shop/requests/{request.number}/",
        "/admin/p/shop/who-may/",
        f"/admin/p/shop/standing/{reviewer}/",
        "/admin/roles/",
        "/admin/teams/",
        "/admin/teams/one-0/",
        "/admin/custom-roles/",
        "/admin/organisation/",
        "/admin/service-accounts/",
        "/admin/accounts/",
    ]
    client = browser("root")
    _grow(cast, "one", 1)
    robot = ServiceAccount.objects.get(name="one-0")
    urls += ["/admin/tokens/", f"/admin/service-accounts/{robot.pk}/"]

    def counts() -> dict[str, int]:
        found = {}
        for url in urls:
            assert client.get(url).status_code == 200, url
            with CaptureQueriesContext(connection) as captured:
                client.get(url)
            found[url] = len(captured)
        return found

    before = counts()
    _grow(cast, "more", 8)
    assert counts() == before


@pytest.mark.parametrize("name", ["administrator", "viewer"])
def test_nothing_of_the_organisation_is_offered_to_who_may_not(
    cast: Cast, browser: Browser, name: str
) -> None:
    page = text(browser, name, "/admin/p/shop/flags/")
    for address in ("/admin/teams/", "/admin/organisation/", "/admin/accounts/", "/admin/service-accounts/"):
        assert address not in page
    assert "/admin/roles/" in page
