"""Rows of docs/security/threat-model.md as attacks: by an employee, by two, by whoever holds a backup or a host."""

from __future__ import annotations

import json

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.test import Client

from access import grants, machines, teams, workload
from access.models import ServiceAccount, SignedInSession, User
from access.permissions import ForbiddenError, service_actor
from approvals import workflow
from approvals.models import ApprovalPolicy, ChangeRequest
from approvals.workflow import GateError
from audit.models import Event
from distribution import keys
from flags.models import FlagConfiguration
from tests.api.conftest import Api
from tests.cast import ON, PASSWORD, Cast


@pytest.fixture
def api(cast: Cast, banner: None) -> Api:
    return Api(cast)


@pytest.fixture
def robot(cast: Cast) -> ServiceAccount:
    """A service account of a team in which a reviewer is."""
    root = cast.actor("root")
    team = teams.save_team(root, "payments", name="P", members={cast.users["reviewer"].pseudonym})
    account = machines.create_service_account(root, "robot", team)
    grants.grant(root, cast.project, account.pseudonym, "editor")
    return account


def by_robot(cast: Cast, robot: ServiceAccount) -> ChangeRequest:
    operation = {"subject": cast.subject(), "after": ON}
    return workflow.change(
        service_actor(robot), cast.project, [operation], title="Robots change it", rationale="planned"
    )


def served(cast: Cast) -> bool:
    return FlagConfiguration.objects.filter(environment=cast.production).exists()


def test_a_reviewer_who_trusts_their_own_pipeline_does_not_approve_what_it_proposes(
    api: Api, robot: ServiceAccount
) -> None:
    reviewer = api.cast.actor("reviewer")
    workload.trust(
        reviewer,
        robot,
        "mine",
        issuer="https://token.example.com",
        audience="countersign",
        claims={"repository": {"equals": "reviewer/fork"}},
    )
    request = by_robot(api.cast, robot)
    with pytest.raises(GateError, match="somebody else"):
        workflow.approve(reviewer, request, digest=request.digest)
    assert not served(api.cast)


def test_taking_the_rule_or_token_back_first_does_not_help(api: Api, robot: ServiceAccount) -> None:
    reviewer = api.cast.actor("reviewer")
    token, _ = machines.issue_token(reviewer, robot, "mine")
    request = by_robot(api.cast, robot)
    machines.revoke_token(reviewer, token)
    with pytest.raises(GateError, match="somebody else"):
        workflow.approve(reviewer, request, digest=request.digest)


def test_a_pipeline_makes_itself_no_second_way_in(api: Api, robot: ServiceAccount) -> None:
    with pytest.raises(ForbiddenError):
        workload.trust(
            service_actor(robot),
            robot,
            "back door",
            issuer="https://token.example.com",
            audience="countersign",
            claims={"repository": {"equals": "evil/site"}},
        )


def lower(api: Api, approvals: int) -> int:
    policy = {"name": "Live", "environments": ["production"], "approvals": approvals}
    body = {"policy": policy, "rationale": "quicker", "base": 0}
    return api.put("administrator", "policies/shop/production", body).status


def test_two_who_collude_are_both_named_and_a_third_can_be_asked_for(api: Api) -> None:
    cast = api.cast
    cast.policy(approvals=2)
    request = cast.propose()
    assert cast.approve(request).state == ChangeRequest.State.IN_REVIEW
    assert not served(cast)
    assert cast.approve(request, "second_reviewer").state == ChangeRequest.State.APPLIED
    lines = Event.objects.filter(type__startswith="approvals.v1.change_request").values_list(
        "line", flat=True
    )
    named = {json.loads(line)["data"]["actor"]["id"] for line in lines}
    assert {cast.users[name].pseudonym for name in ("author", "reviewer", "second_reviewer")} <= named


def test_the_token_of_somebody_who_left_opens_nothing(api: Api) -> None:
    assert api.get("author", "me").status == 200
    User.objects.filter(username="author").update(is_active=False)
    assert api.get("author", "me").status == 401


def test_a_flood_of_refusals_writes_no_event(api: Api) -> None:
    api.token("viewer")
    before = Event.objects.count()
    for _ in range(50):
        assert api.post("viewer", "projects", {"key": "mine", "name": "Mine"}).status == 403
        assert api.get(None, "me", Authorization="Bearer cst_guess").status == 401
    assert Event.objects.count() == before


def test_a_backup_holds_no_secret_that_opens_a_door(api: Api, robot: ServiceAccount) -> None:
    cast = api.cast
    administrator = cast.actor("administrator")
    key, sdk_secret = keys.issue(administrator, cast.production, "web", "server")
    _, successor = keys.rotate(administrator, key, keys.LONGEST_OVERLAP)
    once = {"Idempotency-Key": "once"}
    made = api.signed_in("author", "tokens", {"name": "laptop"}, **once).body["token"]
    body = {"project": "shop", "environment": "production", "name": "a", "side": "server"}
    shown = api.post("administrator", "sdk-keys", body, **once).body["key"]
    secrets = [sdk_secret, successor, made, shown, api.token("author"), PASSWORD]
    rows = 0
    for model in apps.get_models():
        for values in model._default_manager.values_list():
            rows += 1
            text = " ".join(
                bytes(each).decode("utf-8", "replace") if isinstance(each, bytes | memoryview) else str(each)
                for each in values
            )
            for secret in secrets:
                assert secret not in text, model
    assert rows > 50


def test_what_an_sdk_host_holds_opens_nothing_of_the_control_plane(api: Api) -> None:
    for side in ("server", "client"):
        _, secret = keys.issue(api.cast.actor("administrator"), api.cast.production, side, side)
        for address in ("me", "flags", "change-requests"):
            assert api.get(None, address, Authorization=f"Bearer {secret}").status == 401
    assert Client(headers={"X-API-Key": secret}).get("/api/v1/flags").status_code == 401


def test_an_administrator_lowers_no_policy_alone_and_nobody_below_one(api: Api) -> None:
    assert lower(api, 0) == 202, "it asks for review"
    assert not ApprovalPolicy.objects.exists()
    api.cast.policy(approvals=0)
    assert api.cast.propose().required_approvals == 1, "protected asks for one, whatever a policy says"
    seen = [each["type"] for each in api.get("auditor", "events?project=shop").results]
    assert "approvals.v1.policy.changed" in seen


def test_an_administrator_who_makes_themselves_a_reviewer_is_named_and_does_not_pass_their_own_change(
    api: Api,
) -> None:
    cast, administrator = api.cast, api.cast.users["administrator"].pseudonym
    body = {"project": "shop", "member": administrator, "role": "reviewer"}
    assert api.post("administrator", "memberships", body).status == 201
    event = Event.objects.filter(type="access.v1.membership.changed").order_by("-index")[0]
    assert (event.actor, event.subject.endswith(administrator)) == (administrator, True)
    request = workflow.change(
        cast.actor("administrator"),
        cast.project,
        [{"subject": cast.subject(), "after": ON}],
        title="Mine",
        rationale="planned",
    )
    with pytest.raises(GateError, match="somebody else"):
        cast.approve(request, "administrator")
    assert not served(cast)


def test_a_person_made_up_to_approve_leads_to_whoever_made_them(api: Api) -> None:
    cast = api.cast
    made = api.post("root", "accounts", {"username": "nobody-real", "password": "hares in the oats"})
    puppet = made.body["id"]
    given = {"project": "shop", "member": puppet, "role": "reviewer"}
    assert api.post("root", "memberships", given).status == 201
    request = cast.propose()
    client = Client(headers={"Host": "localhost"})
    client.post("/admin/login/", {"username": "nobody-real", "password": "hares in the oats"})
    approved = client.post(
        f"/api/v1/change-requests/{request.number}/approve", {"digest": request.digest}, "application/json"
    )
    assert approved.status_code == 200, "it can happen"
    root = cast.users["root"].pseudonym
    for kind, subject in (
        ("access.v1.account.created", f"access/{puppet}"),
        ("access.v1.membership.changed", f"access/project/shop/{puppet}"),
    ):
        assert Event.objects.filter(type=kind, subject__startswith="access/", actor=root).filter(
            subject__endswith=subject.rpartition("/")[2]
        ), kind
    assert Event.objects.filter(type="approvals.v1.change_request.approved", actor=puppet)


def test_a_role_kept_ready_for_an_id_that_nobody_has_is_refused(api: Api) -> None:
    for member in ("user:0123456789ab", "service:0123456789ab", "root "):
        with pytest.raises(ValidationError, match="is no person, service account or team"):
            grants.appoint(api.cast.actor("root"), member, "organisation-administrator")
        with pytest.raises(ValidationError, match="no person, service account or team"):
            grants.grant(api.cast.actor("administrator"), api.cast.project, member, "reviewer")


def test_a_colleague_is_not_signed_out_looked_at_or_shut_out_by_whoever_may_not(api: Api) -> None:
    victim = api.cast.users["reviewer"].pseudonym
    browser = Client(headers={"Host": "localhost"})
    browser.post("/admin/login/", {"username": "reviewer", "password": PASSWORD})
    number = SignedInSession.objects.get(user__pseudonym=victim).pk
    for name in ("author", "administrator"):
        assert api.get(name, f"sessions?account={victim}").status == 403
        assert api.post(name, "sessions/end", {"account": victim}).status == 403
        assert api.post(name, f"sessions/{number}/end").status == 403
        assert api(name, "PATCH", f"accounts/{victim}", {"is_active": False}).status == 403
        assert api.post(name, f"accounts/{victim}/password", {"password": "mine from now on"}).status == 403
    assert browser.get("/api/v1/me").json()["id"] == victim
