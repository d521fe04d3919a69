"""A token reaches what its holder may and its scope admits: by whatever address of the API it comes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from access import machines, teams
from access.limits import LimitsError
from access.models import ApiToken
from access.permissions import ForbiddenError, bearing, may, projects_where, require, verbs_held
from access.scopes import Bearer, Scope, address_of, are_inside, is_inside, read_networks
from audit.actor import Actor
from audit.models import Event
from tests.api.conftest import Answer, Api
from tests.cast import ON, Cast


def scoped(cast: Cast, name: str, **scope: list[str]) -> Actor:
    return bearing(cast.actor(name, "api"), "token/0", Bearer(Scope.read(scope)))


def narrow(api: Api, name: str, **members: Any) -> Answer:
    """A token that somebody makes, signed in; from now on they come with it."""
    made = api.signed_in(name, "tokens", {"name": "narrow", **members})
    if made.status == 201:
        api.tokens[name] = made.body["token"]
    return made


def test_a_scope_takes_away_and_never_gives(cast: Cast) -> None:
    reader = scoped(cast, "administrator", verbs=["audit.view"])
    assert may(reader, "audit.view", cast.project)
    assert may(reader, "project.view", cast.project)
    assert not may(reader, "change.propose", cast.project)
    assert verbs_held(reader, cast.project) == {"project.view", "audit.view"}
    greedy = scoped(cast, "viewer", verbs=["change.propose"])
    assert not may(greedy, "change.propose", cast.project)
    assert not may(greedy, "audit.view", cast.project)


def test_a_project_outside_the_scope_does_not_exist(api: Api) -> None:
    assert {each["key"] for each in api.get("root", "projects").results} == {"shop", "other"}
    assert narrow(api, "root", scope={"projects": ["other"]}).status == 201
    assert [each["key"] for each in api.get("root", "projects").results] == ["other"]
    for address in ("projects/shop", "flags/shop/banner", "environments/shop/production"):
        assert api.get("root", address).status == 404, address
    for address in ("flags", "environments", "configurations", "memberships", "events?project=shop"):
        assert api.get("root", address).results == [] or address == "memberships", address
    assert {each["project"] for each in api.get("root", "memberships").results} == {"other"}
    assert {each["project"] for each in api.get("root", "me").body["projects"]} == {"other"}
    assert api.post("root", "projects", {"key": "new", "name": "New"}).status == 403


def test_a_token_for_one_environment_changes_that_one_alone(api: Api) -> None:
    narrow(api, "author", scope={"environments": ["development"]})
    there = api.post("author", "change-requests", api.change(ON, environment="development"))
    assert there.status == 201
    elsewhere = api.post("author", "change-requests", api.change(ON, environment="production"))
    assert elsewhere.status == 403
    assert "the scope of your token (for development) does not reach this" in elsewhere.body["detail"]


def test_a_token_for_one_environment_holds_no_verb_that_knows_none(cast: Cast) -> None:
    token = scoped(cast, "root", environments=["development"])
    assert not projects_where(token, "sdk_key.manage").exists()
    with pytest.raises(ForbiddenError, match="scope of your token"):
        require(token, "access.manage", cast.project)


@pytest.mark.parametrize(
    ("scope", "member"),
    [
        ({"verbs": ["change.everything"]}, "scope.verbs[0]"),
        ({"projects": ["shop", "secret"]}, "scope.projects[1]"),
        ({"projects": ["other"]}, "scope.projects[0]"),
        ({"projects": ["shop"], "environments": ["moon"]}, "scope.environments[0]"),
    ],
)
def test_a_scope_that_cannot_be_is_refused_by_its_member(api: Api, scope: Any, member: str) -> None:
    answer = narrow(api, "author", scope=scope)
    assert (answer.status, answer.body["member"]) == (422, member)


def test_an_address_range_that_cannot_be_is_refused_by_its_member(api: Api) -> None:
    answer = narrow(api, "author", addresses=["10.0.0.0/8", "10.0.0.1/8"])
    assert (answer.status, answer.body["member"]) == (422, "addresses[1]")
    assert "host bits" in answer.body["detail"]


def test_a_token_made_with_a_token_reaches_no_further(api: Api, pipeline: Any) -> None:
    scope = {"projects": ["shop"], "verbs": ["change.propose"]}
    bounds = {"scope": scope, "addresses": ["127.0.0.0/8"], "service_account": pipeline.pseudonym}
    api.tokens["pipeline"] = api.post("root", "tokens", {"name": "narrow", **bounds}).body["token"]
    for wider in (
        {"scope": {"projects": ["shop"], "verbs": ["change.propose", "change.apply"]}},
        {"scope": {"verbs": ["change.propose"]}},
        {"addresses": ["126.0.0.0/7"]},
        {"addresses": ["127.0.0.1", "::1"]},
    ):
        answer = api.post("pipeline", "tokens", {"name": "wider", **wider})
        assert answer.status == 403, wider
        assert "reaches no further" in answer.body["detail"]
    same = api.post("pipeline", "tokens", {"name": "same"}).body
    assert same["scope"] == {"projects": ["shop"], "verbs": ["change.propose", "project.view"]}
    assert same["addresses"] == ["127.0.0.0/8"]
    within = {"projects": ["shop"], "verbs": ["change.propose"], "environments": ["development"]}
    assert (
        api.post("pipeline", "tokens", {"name": "within", "scope": within, "addresses": ["127.0.0.1"]}).status
        == 201
    )


def test_a_narrow_token_takes_no_wider_one_away(api: Api) -> None:
    wide = ApiToken.objects.get(user=api.cast.users["author"]) if api.token("author") else None
    assert wide is not None
    narrow(api, "author", scope={"projects": ["shop"]})
    assert api.post("author", f"tokens/{wide.pk}/revoke").status == 403
    assert api.post("author", f"tokens/{wide.pk}/rotate", {"overlap": 0}).status == 403
    own = ApiToken.objects.get(name="narrow")
    assert api.post("author", f"tokens/{own.pk}/revoke").status == 200


def test_a_token_works_from_its_addresses_only(api: Api, settings: Any) -> None:
    narrow(api, "author", addresses=["192.0.2.0/24", "2001:db8::/32"])
    refused = api.get("author", "me")
    assert refused.status == 401
    assert (
        "works from 192.0.2.0/24, 2001:db8::/32 only, and this came from 127.0.0.1" in refused.body["detail"]
    )
    claimed = {"X-Forwarded-For": "192.0.2.7"}
    assert api.get("author", "me", **claimed).status == 401, "anybody can send a header"
    settings.BEHIND_TLS_PROXY = True
    assert api.get("author", "me", **claimed).status == 200
    assert api.get("author", "me", **{"X-Forwarded-For": "2001:db8::1"}).status == 200
    appended = {"X-Forwarded-For": "192.0.2.7, 198.51.100.1"}
    assert api.get("author", "me", **appended).status == 401, "the proxy's own entry is the last one"


def test_the_last_use_is_kept_once_a_minute(api: Api) -> None:
    api.get("author", "me")
    token = ApiToken.objects.get(name="test")
    assert token.last_used_from == "127.0.0.1"
    assert token.last_used_at is not None
    ApiToken.objects.update(last_used_from="192.0.2.1")
    api.get("author", "me")
    token.refresh_from_db()
    assert token.last_used_from == "192.0.2.1", "within the minute nothing is written"
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    api.get("author", "me")
    token.refresh_from_db()
    assert token.last_used_from == "127.0.0.1"


def test_a_mistyped_token_is_told_from_an_unknown_one(api: Api) -> None:
    secret = api.token("author")
    mistyped = secret[:20] + ("a" if secret[20] != "a" else "b") + secret[21:]
    for given in (mistyped, secret[:-1], "cst_", "nonsense", "cst_ü" * 12):
        answer = api.get(None, "me", Authorization=f"Bearer {given}")
        assert answer.status == 401
        assert "mistyped or cut off" in answer.body["detail"], given
    unknown = api.get(None, "me", Authorization=f"Bearer {ApiToken.new_secret()}")
    assert "unknown, expired or revoked" in unknown.body["detail"]


def test_a_token_ends_as_the_settings_say(api: Api, pipeline: Any, settings: Any) -> None:
    settings.TOKEN_DAYS = 90
    body = {"name": "ci", "service_account": pipeline.pseudonym}
    made = api.post("root", "tokens", body).body
    row = ApiToken.objects.get(pk=made["id"])
    assert row.expires_at is not None
    assert timedelta(days=89) < row.expires_at - timezone.now() <= timedelta(days=90)
    late = api.post("root", "tokens", {**body, "expires_at": "2199-01-01T00:00:00Z"})
    assert (late.status, late.body["member"]) == (422, "expires_at")
    assert "90 days at most" in late.body["detail"]
    settings.TOKEN_DAYS = 0
    del api.tokens["root"]
    assert api.post("root", "tokens", body).body["expires_at"] is None


def test_a_rotated_token_works_until_the_overlap_ends(api: Api, pipeline: Any) -> None:
    scope = {"projects": ["shop"], "verbs": ["change.propose"]}
    body = {"name": "ci", "service_account": pipeline.pseudonym, "scope": scope}
    old = api.post("root", "tokens", body).body
    new = api.post("root", f"tokens/{old['id']}/rotate", {"overlap": 3600}).body
    assert new["token"] != old["token"]
    assert {name: new[name] for name in ("name", "holder", "scope")} == {
        name: old[name] for name in ("name", "holder", "scope")
    }
    for token in (old["token"], new["token"]):
        assert api.get(None, "me", Authorization=f"Bearer {token}").status == 200
    assert ApiToken.objects.get(pk=old["id"]).expires_at <= timezone.now() + timedelta(hours=1)
    ApiToken.objects.filter(pk=old["id"]).update(expires_at=timezone.now())
    assert api.get(None, "me", Authorization=f"Bearer {old['token']}").status == 401
    assert api.get(None, "me", Authorization=f"Bearer {new['token']}").status == 200
    again = api.post("root", f"tokens/{old['id']}/rotate", {"overlap": 0})
    assert again.status == 422
    [event] = Event.objects.filter(type="access.v1.token.rotated")
    assert new["token"] not in event.line
    assert f"access/token/{new['id']}" in event.line


def test_a_token_cannot_make_itself_live_longer(api: Api) -> None:
    user = api.cast.users["author"]
    soon = timezone.now() + timedelta(hours=1)
    row, api.tokens["author"] = machines.issue_token(api.cast.actor("author"), user, "short", soon)
    new = api.post("author", f"tokens/{row.pk}/rotate", {"overlap": 60}).body
    assert ApiToken.objects.get(pk=new["id"]).expires_at <= soon
    longer = {"overlap": 60, "expires_at": (soon + timedelta(days=1)).isoformat()}
    assert api.post("author", f"tokens/{new['id']}/rotate", longer).status == 403


def test_the_ledger_names_the_token_that_acted_and_never_its_secret(api: Api) -> None:
    api.post("author", "change-requests", api.change(ON))
    token = ApiToken.objects.get(user=api.cast.users["author"])
    proposed = Event.objects.get(type="approvals.v1.change_request.proposed", line__contains="production")
    assert f'"credential":"token/{token.pk}"' in proposed.line
    assert not Event.objects.filter(line__contains=api.token("author")).exists()
    assert not Event.objects.filter(line__contains=token.hash).exists()


def test_a_team_makes_and_rotates_the_tokens_of_its_accounts(api: Api) -> None:
    root = api.cast.actor("root")
    author = api.cast.users["author"]
    team = teams.save_team(root, "payments", name="Payments", members={author.pseudonym})
    account = machines.create_service_account(root, "payments-deploy", team)
    made = api.post("author", "tokens", {"name": "ci", "service_account": account.pseudonym})
    assert made.status == 201
    assert api.post("author", f"tokens/{made.body['id']}/rotate", {"overlap": 0}).status == 201
    assert {each["holder"] for each in api.get("author", "tokens").results} == {
        author.pseudonym,
        account.pseudonym,
    }
    assert api.post("viewer", f"tokens/{made.body['id']}/rotate", {"overlap": 0}).status == 404
    narrow(api, "author", scope={"verbs": ["change.propose"]})
    assert api.post("author", f"tokens/{made.body['id']}/revoke").status == 404


def test_a_repeated_answer_is_not_told_to_a_narrower_token(api: Api) -> None:
    key = {"Idempotency-Key": "once"}
    assert api.post("author", "change-requests", api.change(ON), **key).status == 201
    narrow(api, "author", scope={"verbs": ["audit.view"]})
    assert api.post("author", "change-requests", api.change(ON), **key).status == 422


def test_an_approval_by_a_token_that_may_not_apply_stands(api: Api) -> None:
    request = api.cast.propose()
    narrow(api, "reviewer", scope={"verbs": ["change.approve"]})
    answer = api.post("reviewer", f"change-requests/{request.pk}/approve", {"digest": request.digest})
    assert (answer.status, answer.body["state"]) == (200, "approved")


def test_a_service_account_is_stopped_at_once_and_let_go_on(api: Api, pipeline: Any) -> None:
    root = api.cast.actor("root")
    assert api.get("pipeline", "me").status == 200
    machines.change_service_account(root, pipeline, name="pipeline", team=None, is_active=False)
    assert api.get("pipeline", "me").status == 401
    machines.change_service_account(root, pipeline, name="release", team=None, is_active=True)
    assert api.get("pipeline", "me").body["name"] == "release"
    lines = Event.objects.filter(type="access.v1.service_account.updated").values_list("line", flat=True)
    assert len(lines) == 2


def test_the_team_of_an_account_may_stop_it_and_no_more(cast: Cast) -> None:
    root, author = cast.actor("root"), cast.actor("author")
    team = teams.save_team(root, "payments", name="Payments", members={author.id})
    account = machines.create_service_account(root, "deploy", team)
    with pytest.raises(ForbiddenError):
        machines.change_service_account(author, account, name="mine", team=team, is_active=True)
    machines.change_service_account(author, account, name="deploy", team=team, is_active=False)
    with pytest.raises(ForbiddenError):
        machines.change_service_account(author, account, name="deploy", team=team, is_active=True)


def test_addresses_are_compared_as_numbers() -> None:
    ranges = read_networks(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"])
    meta = {"REMOTE_ADDR": "::ffff:10.1.2.3"}
    assert is_inside(address_of(meta, behind_proxy=False), ranges)
    assert not is_inside(address_of({"REMOTE_ADDR": "192.0.2.2"}, behind_proxy=False), ranges)
    assert not is_inside(address_of({"REMOTE_ADDR": ""}, behind_proxy=False), ranges)
    assert are_inside(read_networks(["10.1.0.0/16"]), ranges)
    assert not are_inside(read_networks(["0.0.0.0/0"]), ranges)
    assert not are_inside((), ranges)
    with pytest.raises(LimitsError):
        read_networks(["10.0.0.0/33"])
