"""Who may what, over HTTP: every endpoint against every role, from the one table of verbs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from access import grants
from access.api.endpoint import Endpoint
from access.models import Membership
from access.permissions import user_actor
from access.roles import VERBS, Role
from approvals import rollouts, workflow
from approvals.models import ChangeRequest, Emergency
from audit.models import Event
from distribution import keys
from distribution.models import SdkKey
from flags.models import Flag
from flags.subjects import Subject
from tests.api.conftest import Api
from tests.cast import OFF, ON, split, standing
from tests.replay import Replay

PEOPLE = {
    "viewer": Role.VIEWER,
    "author": Role.EDITOR,
    "reviewer": Role.REVIEWER,
    "on_call": Role.ON_CALL,
    "auditor": Role.AUDITOR,
    "administrator": Role.ADMINISTRATOR,
}


def happenings() -> None:
    """A shop in which everything exists that an endpoint can be asked for."""
    cast = standing()
    cast.propose(OFF, environment="development")
    cast.propose(ON, environment="development")
    cast.flag("searching")
    cast.propose(OFF, key="searching", environment="development")
    cast.propose(ON, title=WAITING)
    cast.policy("staging", environments=[], approvals=0, ticket=False, signature=True)
    root = cast.actor("root")
    flag = Flag.objects.get(project=cast.project, key="searching")
    stages = [{"weights": [["on", 1], ["off", 9]], "hold": 0}]
    rollouts.propose_plan(root, flag, cast.development, stages, title=ROLLING)
    keys.issue(root, cast.development, "web", "server")
    workflow.kill(root, Subject.parse(cast.subject("banner", "development")), cast.project)


WAITING, ROLLING = "Waiting", "Rolling"
_happenings = Replay(happenings)


class Stage:
    """That shop, and what in it endpoints are asked for."""

    def __init__(self, api: Api) -> None:
        _happenings.write()
        self.cast = api.cast
        self.request = ChangeRequest.objects.get(title=WAITING)
        self.plan = ChangeRequest.objects.get(title=ROLLING)
        self.key = SdkKey.objects.get(name="web", environment=self.cast.development)
        self.kill = Emergency.objects.get()

    def body(self, name: str) -> Any:
        subject = self.cast.subject("searching", "development")
        change = {
            "title": "New",
            "operations": [{"subject": subject, "after": split(50)}],
            "base": {subject: 1},
        }
        return {
            "nothing": None,
            "change": {**change, "project": "shop"},
            "verdict": {"digest": self.request.digest},
            "schedule": {"scheduled_at": "2100-01-01T00:00:00Z"},
            "comment": {"comment": "Why now?"},
            "restore": {"project": "shop", "event": str(self.kill.event_id), "base": 0},
            "version": {"project": "shop", "event": str(self.kill.event_id), "base": 0},
            "hibernate": {"variant": "on", "wake_at": "2100-01-01T00:00:00Z"},
            "policy": {"policy": {"name": "Two", "approvals": 2}, "rationale": "agreed", "base": 0},
            "environment": {"project": "shop", "key": "staging", "name": "Staging"},
            "rename": {"name": "Live", "base": 1},
            "key": {"project": "shop", "environment": "development", "name": "web", "side": "server"},
            "origins": {"origins": []},
            "member": {"project": "shop", "member": self.cast.users["outsider"].pseudonym, "role": "viewer"},
        }[name]


# verb, method, address, body, status for those who hold the verb
SEEING = [
    ("project.view", "projects/shop"),
    ("project.view", "environments/shop/production"),
    ("project.view", "flags/shop/banner"),
    ("project.view", "configurations/shop/development/banner"),
    ("project.view", "change-requests/{request.number}"),
    ("project.view", "rollout-plans/{plan.number}"),
    ("project.view", "policies/shop/staging"),
    ("audit.view", "events/{kill.event_id}"),
    ("audit.view", "events?project=shop"),
    ("audit.view", "checkpoints"),
]
DOING = [
    ("change.propose", "POST", "change-requests", "change", 201),
    ("change.comment", "POST", "change-requests/{request.number}/comment", "comment", 201),
    ("change.approve", "POST", "change-requests/{request.number}/approve", "verdict", 200),
    ("change.reject", "POST", "change-requests/{request.number}/reject", "verdict", 200),
    ("change.schedule", "POST", "change-requests/{request.number}/schedule", "schedule", 200),
    ("change.apply", "POST", "change-requests/{request.number}/apply", "nothing", 409),
    ("rollout.pause", "POST", "rollout-plans/{plan.number}/pause", "nothing", 409),
    ("rollout.pause", "POST", "rollout-plans/{plan.number}/resume", "nothing", 409),
    ("rollout.pause", "POST", "rollout-plans/{plan.number}/abort", "nothing", 409),
    ("flag.kill", "POST", "configurations/shop/development/searching/kill", "nothing", 201),
    ("emergency.review", "POST", "emergencies/{kill.event_id}/review", "nothing", 200),
    ("policy.change", "PUT", "policies/shop/production", "policy", 202),
    ("project.administer", "POST", "environments", "environment", 201),
    ("project.administer", "PATCH", "environments/shop/development", "rename", 200),
    ("sdk_key.manage", "POST", "sdk-keys", "key", 201),
    ("sdk_key.manage", "PATCH", "sdk-keys/{key.pk}", "origins", 200),
    ("sdk_key.manage", "POST", "sdk-keys/{key.pk}/revoke", "nothing", 200),
    ("access.manage", "POST", "memberships", "member", 201),
]


@pytest.fixture
def stage(api: Api) -> Stage:
    return Stage(api)


def test_seeing_follows_the_table(api: Api, stage: Stage, subtests: Any) -> None:
    for verb, address in SEEING:
        for name, role in PEOPLE.items():
            with subtests.test(address, name=name):
                found = api.get(name, address.format(**vars(stage)))
                assert found.status == (200 if role in VERBS[verb].roles else 403), found.body


@pytest.mark.parametrize(("verb", "method", "address", "body", "status"), DOING)
def test_who_lacks_the_verb_is_told_which_role_has_it(
    api: Api, stage: Stage, verb: str, method: str, address: str, body: str, status: int
) -> None:
    for name in [name for name, role in PEOPLE.items() if role not in VERBS[verb].roles]:
        answer = api(name, method, address.format(**vars(stage)), stage.body(body))
        assert answer.status == 403, (name, answer.body)
        assert answer.body["type"] == "/api/problems/forbidden"
        assert answer.body["detail"].startswith(f"{verb} in shop needs the role ")


@pytest.mark.parametrize(
    ("name", "method", "address", "body", "status"),
    [
        (name, method, address, body, status)
        for verb, method, address, body, status in DOING
        for name, role in PEOPLE.items()
        if role in VERBS[verb].roles
    ],
)
def test_who_holds_the_verb_may(
    api: Api, stage: Stage, name: str, method: str, address: str, body: str, status: int
) -> None:
    answer = api(name, method, address.format(**vars(stage)), stage.body(body))
    assert answer.status == status, answer.body


def test_what_an_outsider_may_not_see_does_not_exist(api: Api, stage: Stage, subtests: Any) -> None:
    cases = [("GET", address, "nothing") for _, address in SEEING if "/" in address]
    cases += [(method, address, body) for _, method, address, body, _ in DOING]
    for method, address, body in cases:
        with subtests.test(address, method=method):
            answer = api("outsider", method, address.format(**vars(stage)), stage.body(body))
            assert answer.status == 404, answer.body
            assert answer.body["type"] == "/api/problems/not-found"


def test_no_list_shows_an_outsider_anything_of_the_shop(api: Api, stage: Stage, subtests: Any) -> None:
    for address in LISTS:
        for query in ("", "?project=shop"):
            if query and address in {"projects", "service-accounts"}:
                continue
            with subtests.test(address, query=query):
                answer = api.get("outsider", address + query)
                assert answer.status == 200
                assert "shop" not in {each.get("project", each.get("key")) for each in answer.results}
                assert not query or answer.results == []


LISTS = [
    "projects",
    "environments",
    "flags",
    "configurations",
    "segments",
    "change-requests",
    "emergencies",
    "rollout-plans",
    "policies",
    "events",
    "sdk-keys",
    "memberships",
    "service-accounts",
]


def test_nobody_without_a_role_sees_a_project_an_event_or_a_checkpoint(api: Api) -> None:
    outsider = api.cast.users["outsider"]
    administrator = user_actor(outsider, "cli")
    other = Membership.objects.get(member=outsider.pseudonym)
    grants.grant(administrator, other.project, api.cast.users["root"].pseudonym, Role.ADMINISTRATOR)
    grants.revoke(administrator, Membership.objects.get(pk=other.pk))
    for address in ("projects", "events", "checkpoints"):
        assert api.get("outsider", address).results == []
    assert api.get("outsider", "checkpoints/latest").status == 404


def test_withdrawing_and_editing_are_the_proposers_alone(api: Api, stage: Stage) -> None:
    number = stage.request.number
    body = {name: value for name, value in api.change(split(10)).items() if name != "project"}
    for name in ("administrator", "on_call"):
        assert api.post(name, f"change-requests/{number}/withdraw").status == 409
        assert api.put(name, f"change-requests/{number}", body).status == 409
    assert api.put("viewer", f"change-requests/{number}", body).status == 403
    assert api.put("author", f"change-requests/{number}", body).status == 200
    assert api.post("author", f"change-requests/{number}/withdraw").status == 200


def test_a_service_account_proposes_but_never_counts_as_a_reviewer(
    api: Api, stage: Stage, pipeline: Any
) -> None:
    address = f"change-requests/{stage.request.number}/approve"
    answer = api.post("pipeline", address, {"digest": stage.request.digest})
    assert answer.status == 409
    assert "a service account does not count as a reviewer" in answer.body["detail"]
    assert api.get("author", f"change-requests/{stage.request.number}").body["state"] == "in_review"
    made = api.post("pipeline", "change-requests", stage.body("change"))
    assert made.status == 201
    assert made.body["proposer"] == pipeline.pseudonym


def test_a_session_needs_the_csrf_token_and_acts_by_the_door_api(api: Api, stage: Stage) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(api.cast.users["author"])
    address = f"/api/v1/change-requests/{stage.request.number}/comment"
    sent = {"data": {"comment": "Hello"}, "content_type": "application/json"}
    refused = browser.post(address, **sent)
    assert refused.status_code == 403
    assert refused.headers["Content-Type"] == "application/problem+json"
    browser.cookies["csrftoken"] = "a" * 32
    assert browser.post(address, **sent, headers={"X-CSRFToken": "a" * 32}).status_code == 201


def test_unknown_numbers_ids_and_keys_answer_as_hidden_ones_do(api: Api, stage: Stage) -> None:
    for address in (
        "change-requests/999999",
        "change-requests/99999999999999999999999",
        "rollout-plans/99999999999999999999999",
        f"events/{uuid4()}",
        "flags/shop/nothing",
        "flags/nothing/banner",
        "configurations/shop/production/banner",
        "segments/shop/nothing",
        "policies/shop/nothing",
        "environments/shop/nothing",
        "projects/%00",
        "flags/shop/%F0%28%8C%28",
        "nothing",
        "projects/",
    ):
        answer = api.get("author", address)
        assert answer.status == 404, (address, answer.body)
        assert answer.headers["Content-Type"] == "application/problem+json"
    for address in ("sdk-keys/99999999999999999999999/revoke", "tokens/99999999999999999999999/revoke"):
        assert api.post("administrator", address).status == 404
    assert Emergency.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("POST", "configurations/shop/development/searching/kill", "nothing"),
        ("POST", "sdk-keys", "key"),
        ("POST", "memberships", "member"),
        ("POST", "environments", "environment"),
        ("POST", "change-requests/{request.number}/comment", "comment"),
    ],
)
def test_a_role_that_is_taken_away_after_the_first_look_lets_nothing_through(
    api: Api, stage: Stage, monkeypatch: pytest.MonkeyPatch, method: str, address: str, body: str
) -> None:
    see = Endpoint.visible
    api.token("administrator")
    grants.grant(
        api.cast.actor("root"), api.cast.project, api.cast.users["outsider"].pseudonym, "administrator"
    )
    member = api.cast.users["administrator"].pseudonym

    def see_and_lose(endpoint: Endpoint, *arguments: Any, **more: Any) -> Any:
        found = see(endpoint, *arguments, **more)
        assert found.exists()
        for row in Membership.objects.filter(member=member):
            grants.revoke(api.cast.actor("root"), row)
        return found

    monkeypatch.setattr(Endpoint, "visible", see_and_lose)
    answer = api("administrator", method, address.format(**vars(stage)), stage.body(body))
    assert answer.status == 403, answer.body
    assert not Membership.objects.filter(member=member).exists()
    assert Event.objects.latest("index").type == "access.v1.membership.changed"
