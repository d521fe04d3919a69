"""When a second factor is asked for: by a role, by an act that wants a fresh one, and what a provider's word counts."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.test import Client

from access import grants, machines, teams
from access.admin.pages import holders
from access.holders import eligible, who_may
from access.models import IdentityProvider, Membership, User
from access.notifications import delivering
from access.permissions import ForbiddenError, may, may_in_organisation, service_actor, waits_for_factor
from access.signin import factors, providers
from access.signin.factor_policy import set_factor_policy
from approvals.models import ChangeRequest
from audit.models import Event
from tests.access.authenticator import App, set_up_app, signed_in
from tests.access.openid_provider import OpenIdProvider, begin, browser, sign_in
from tests.cast import PASSWORD, Cast

ENROL = "/admin/security/"
PLACE = {"project": "shop", "environment": "production"}
PEOPLE = "/admin/p/shop/people/"
GIVE = {"who": "viewer", "role": "editor"}


def asks(cast: Cast, **members: Any) -> None:
    set_factor_policy(cast.actor("root"), members)


def sees_the_shop(client: Client) -> bool:
    return client.get("/api/v1/projects/shop").status_code == 200


def approve(client: Client, request: ChangeRequest, comment: str = "") -> Any:
    page = f"/admin/p/shop/requests/{request.number}/"
    return client.post(page, {"verb": "approve", "digest": request.digest, "comment": comment})


def test_a_role_that_needs_a_factor_gives_nothing_until_there_is_one(cast: Cast, app: App) -> None:
    client = signed_in("reviewer")
    _, secret = machines.issue_token(cast.actor("reviewer"), cast.users["reviewer"], "laptop")
    assert sees_the_shop(client)
    asks(cast, roles=["reviewer"])
    assert not sees_the_shop(client)
    assert client.get("/api/v1/me").json()["second_factor_needed"] is True
    assert client.get("/admin/p/shop/flags/")["Location"] == ENROL
    assert "Your role needs a second factor" in client.get(ENROL).content.decode()
    bearer = Client(headers={"Host": "localhost", "Authorization": f"Bearer {secret}"})
    assert bearer.get("/api/v1/projects/shop").status_code == 404, "nor to a token of theirs"
    assert client.post("/api/v1/tokens", {"name": "way out"}, "application/json").status_code == 403

    app.scan(client.get("/admin/security/app/").content.decode())
    client.post("/admin/security/app/", {"code": app.code()})
    assert sees_the_shop(client)
    assert client.get("/admin/p/shop/flags/").status_code == 200
    assert bearer.get("/api/v1/projects/shop").status_code == 200


def test_approvals_of_whoever_has_no_factor_do_not_count(cast: Cast, app: App) -> None:
    cast.flag()
    reviewer = cast.users["reviewer"].pseudonym
    assert eligible({reviewer}, "change.approve", cast.project) == {reviewer}
    asks(cast, roles=["reviewer"])
    assert eligible({reviewer}, "change.approve", cast.project) == set()
    [standing] = [each for each in who_may("change.approve", cast.project) if each.member == reviewer]
    assert (standing.waits, standing.verbs) == (True, frozenset())
    request = cast.propose()
    with pytest.raises(ForbiddenError, match="counts with a second factor only"):
        cast.approve(request)
    set_up_app("reviewer", app)
    assert eligible({reviewer}, "change.approve", cast.project) == {reviewer}
    assert cast.approve(request).state == ChangeRequest.State.APPLIED


def test_who_may_says_who_would_if_they_had_a_second_factor(cast: Cast, app: App) -> None:
    asks(cast, roles=["reviewer"])
    set_up_app("second_reviewer", app)
    client = Client(headers={"Host": "localhost"})
    client.force_login(cast.users["viewer"])
    page = client.get("/admin/p/shop/who-may/?verb=change.approve").content.decode()
    assert "more account holds a role that gives this, and has no second factor" in page
    assert "waits for a second factor" in page
    found = client.get("/api/v1/who-may?project=shop&verb=change.approve").json()["holders"]
    told = {each["name"]: each["may"] for each in found}
    assert (told["Reviewer"], told["Second Reviewer"]) == (False, True)
    standing = f"/admin/p/shop/standing/{cast.users['reviewer'].pseudonym}/"
    assert "waits for a second factor" in client.get(standing).content.decode()
    assert "Reviewer" not in holders(cast.project, "change.approve")


def test_a_team_a_superuser_and_a_custom_role_are_held_to_it_and_programs_are_not(cast: Cast) -> None:
    root = cast.actor("root")
    teams.save_custom_role(root, "night", name="Night", verbs=["flag.kill"])
    team = teams.save_team(root, "crew", name="Crew", members=[cast.users["viewer"].pseudonym])
    grants.grant(root, cast.project, team.pseudonym, "night")
    program = machines.create_service_account(root, "pipeline")
    grants.grant(root, cast.project, program.pseudonym, "night")
    asks(cast, roles=["night", "organisation-administrator"])
    assert not may(cast.actor("viewer"), "flag.kill", cast.project)
    assert may(cast.actor("viewer"), "project.view", cast.project), "the other role counts"
    assert may(service_actor(program), "flag.kill", cast.project)
    assert not waits_for_factor(service_actor(program))
    assert machines.issue_token(service_actor(program), program, "its own")
    assert not may_in_organisation(root, "organisation.manage")
    assert signed_in("root").get("/admin/organisation/")["Location"] == ENROL


def test_approving_in_a_protected_environment_asks_for_a_fresh_factor(cast: Cast, app: App) -> None:
    client, _ = set_up_app("reviewer", app)
    cast.flag()
    first, second, open_one = cast.propose(), cast.propose(), cast.propose(environment="development")
    asks(cast, fresh_minutes=15)
    assert approve(client, first)["Location"] == f"/admin/p/shop/requests/{first.number}/"
    first.refresh_from_db()
    assert first.state == ChangeRequest.State.APPLIED

    app.wait(16 * 60)
    answer = approve(client, second)
    there = answer["Location"]
    assert (
        there == f"/admin/security/confirm/?next=%2Fadmin%2Fp%2Fshop%2Frequests%2F{second.number}%2F&factor=1"
    )
    page = client.get(there).content.decode()
    assert "data-keep-draft" in page, "what was typed waits in the browser"
    assert 'name="password"' not in page
    refused = client.post(
        f"/api/v1/change-requests/{second.number}/approve", {"digest": second.digest}, "application/json"
    )
    assert (refused.status_code, refused.json()["type"]) == (403, "/api/problems/factor-needed")
    assert client.post(there, {"code": app.code()})["Location"] == f"/admin/p/shop/requests/{second.number}/"
    assert approve(client, second)["Location"].startswith("/admin/p/shop/requests/")
    assert second.reviews.filter(verdict="approved").exists()
    assert open_one.state == ChangeRequest.State.APPLIED, "an open environment asks nobody"


def test_a_password_is_not_a_second_factor(cast: Cast, app: App) -> None:
    asks(cast, fresh_minutes=15)
    client = signed_in("administrator")
    answer = client.post(PEOPLE, GIVE)
    page = client.get(answer["Location"]).content.decode()
    assert "you have none yet, so it was not done" in page
    client.post(answer["Location"], {"password": PASSWORD})
    again = client.post(PEOPLE, GIVE)
    assert again["Location"].startswith("/admin/security/confirm/")
    assert not Membership.objects.filter(member=cast.users["viewer"].pseudonym, role="editor").exists()


@pytest.mark.parametrize(
    ("name", "method", "address", "body"),
    [
        ("administrator", "PUT", "policies/shop/production", {"policy": {}, "base": 0}),
        ("administrator", "POST", "sdk-keys", {**PLACE, "name": "k", "side": "server"}),
        ("administrator", "POST", "memberships", {"project": "shop", "member": "viewer", "role": "editor"}),
        ("administrator", "PATCH", "environments/shop/production", {"name": "Prod", "base": 1}),
        ("viewer", "POST", "tokens", {"name": "laptop"}),
        ("root", "PUT", "factor-policy", {"roles": [], "fresh_minutes": 0, "base": 1}),
        ("root", "PUT", "teams/crew", {"name": "Crew", "members": []}),
        ("root", "POST", "organisation-memberships", {"member": "viewer", "role": "organisation-auditor"}),
        ("root", "POST", "service-accounts", {"name": "pipeline"}),
    ],
)
def test_changes_of_policies_keys_and_access_ask_for_a_fresh_factor(
    cast: Cast, name: str, method: str, address: str, body: dict[str, Any]
) -> None:
    asks(cast, fresh_minutes=15)
    client = Client(headers={"Host": "localhost"})
    client.force_login(cast.users[name])
    before = Event.objects.count()
    answer = client.generic(method, f"/api/v1/{address}", json.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json()["type"]) == (403, "/api/problems/factor-needed"), answer.content
    assert Event.objects.count() == before


def test_killing_and_reading_are_not_asked(cast: Cast) -> None:
    cast.flag()
    asks(cast, fresh_minutes=15)
    client = signed_in("on_call")
    page = client.post("/admin/p/shop/flags/banner/in/production/kill/", {"rationale": "it burns"})
    assert not page.get("Location", "").startswith("/admin/security/")
    assert signed_in("root").get("/api/v1/identity-providers").status_code == 200
    assert signed_in("root").get("/admin/sign-in/").status_code == 200


def test_an_administrator_resets_somebody_elses_factors_and_it_is_recorded_and_told(
    cast: Cast, app: App, mailoutbox: Any
) -> None:
    person = cast.users["reviewer"]
    client, _ = set_up_app("reviewer", app)
    delivering.deliver_due()
    mailoutbox.clear()
    for name in ("administrator", "viewer"):
        with pytest.raises(ForbiddenError):
            factors.reset(cast.actor(name), person)
    with pytest.raises(ForbiddenError, match="another organisation administrator"):
        factors.reset(cast.actor("root"), cast.users["root"])
    root = signed_in("root")
    assert "Reset second factors" in root.get(f"/admin/accounts/{person.pk}/").content.decode()
    root.post(f"/admin/accounts/{person.pk}/second-factors/")
    event = Event.objects.get(type="access.v1.factor.reset")
    assert (event.actor, event.subject) == (cast.users["root"].pseudonym, f"access/{person.pseudonym}")
    delivering.deliver_due()
    [told] = [each for each in mailoutbox if "removed your second factors" in each.subject]
    assert told.to == [person.email]
    assert client.get("/api/v1/me").status_code == 401, "their sessions ended"
    assert signed_in("reviewer").get("/api/v1/me").status_code == 200


@pytest.fixture
def vouching(cast: Cast, acme: IdentityProvider) -> IdentityProvider:
    return providers.save_provider(
        cast.actor("root"),
        "acme",
        {
            "second_factor": ["mfa", "urn:acme:strong"],
            "rules": [{"group": "admins", "project": "shop", "role": "administrator"}],
        },
    )


@pytest.mark.parametrize(
    ("claims", "counts"),
    [
        ({"amr": ["pwd", "mfa"]}, True),
        ({"acr": "urn:acme:strong"}, True),
        ({"amr": ["pwd"]}, False),
        ({"amr": "mfa"}, False),
        ({"amr": [["mfa"], {"mfa": 1}], "acr": ["mfa"]}, False),
        ({}, False),
    ],
)
def test_the_word_of_a_provider_counts_where_it_is_believed(
    cast: Cast, vouching: IdentityProvider, openid: OpenIdProvider, claims: dict[str, Any], counts: bool
) -> None:
    asks(cast, roles=["administrator"])
    client = browser()
    sign_in(client, openid, "s-1", groups=["admins"], **claims)
    assert (client.get("/admin/p/shop/people/").status_code == 200) is counts
    assert (client.get("/admin/p/shop/people/").get("Location") == ENROL) is not counts


def test_a_first_factor_of_ones_own_takes_the_one_that_a_provider_vouched_for(
    cast: Cast, vouching: IdentityProvider, openid: OpenIdProvider
) -> None:
    sign_in(browser(), openid, "s-1", preferred_username="mia", amr=["mfa"])
    mia = User.objects.get(username="mia")
    mia.set_password(PASSWORD)
    mia.save()
    by_provider = browser()
    sign_in(by_provider, openid, "s-1", amr=["pwd"])
    for client in (by_provider, signed_in("mia")):
        answer = client.get("/admin/security/app/")
        assert answer.status_code == 302
        assert "factor=1" in answer["Location"]
    vouched = browser()
    sign_in(vouched, openid, "s-1", amr=["mfa"], auth_time=int(time.time()))
    assert vouched.get("/admin/security/app/").status_code == 200
    factors.reset(cast.actor("root"), mia)
    assert signed_in("mia").get("/admin/security/app/").status_code == 200


def test_what_the_userinfo_says_is_not_signed_and_does_not_count(
    cast: Cast, vouching: IdentityProvider, openid: OpenIdProvider
) -> None:
    asks(cast, roles=["administrator"])
    openid.userinfo, client = {"sub": "s-1", "amr": ["mfa"]}, browser()
    sign_in(client, openid, "s-1", groups=["admins"])
    assert client.get("/admin/p/shop/people/")["Location"] == ENROL


def test_a_provider_that_is_no_longer_believed_vouched_for_nobody(
    cast: Cast, vouching: IdentityProvider, openid: OpenIdProvider
) -> None:
    sign_in(browser(), openid, "s-1", preferred_username="mia", amr=["mfa"])
    assert User.objects.get(username="mia").vouched_by == "acme"
    providers.save_provider(cast.actor("root"), "acme", {"second_factor": []})
    assert User.objects.get(username="mia").vouched_by == ""


def confirm(client: Client, openid: OpenIdProvider, subject: str, **claims: Any) -> Any:
    address = begin(client, confirm="1", next=PEOPLE)
    return client.get(f"/sign-in/acme/callback/?{openid.consent(address, subject, **claims)}")


def test_people_of_a_provider_show_it_there_anew(
    cast: Cast, vouching: IdentityProvider, openid: OpenIdProvider, app: App
) -> None:
    asks(cast, fresh_minutes=15)
    client, now = browser(), int(time.time())
    sign_in(client, openid, "s-1", groups=["admins"], amr=["mfa"], auth_time=now - 3600)
    answer = client.post(PEOPLE, GIVE)
    assert "Confirm with Acme" in client.get(answer["Location"]).content.decode()

    stale = confirm(client, openid, "s-1", groups=["admins"], amr=["mfa"], auth_time=now - 3600)
    assert stale["Location"] == "/admin/login/"
    confirm(client, openid, "s-1", groups=["admins"], amr=["mfa"])
    assert client.post(PEOPLE, GIVE)["Location"].startswith("/admin/security/confirm/"), "no auth_time"
    confirm(client, openid, "s-1", groups=["admins"], amr=["pwd"], auth_time=now)
    assert client.post(PEOPLE, GIVE)["Location"].startswith("/admin/security/confirm/"), "no second factor"
    person = client.session["_auth_user_id"]
    confirm(client, openid, "s-2", groups=["admins"], amr=["mfa"], auth_time=now)
    assert client.session["_auth_user_id"] == person, "somebody else there is nobody here"
    assert client.post(PEOPLE, GIVE)["Location"].startswith("/admin/security/confirm/")

    back = confirm(client, openid, "s-1", groups=["admins"], amr=["mfa"], auth_time=now)
    assert (openid.asked["prompt"], openid.asked["max_age"]) == ("login", "0")
    assert back["Location"] == PEOPLE
    assert client.post(PEOPLE, GIVE)["Location"] == PEOPLE
