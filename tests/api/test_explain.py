"""`explain`: is it on, for whom, and why."""

from __future__ import annotations

from typing import Any

import pytest

from approvals import workflow
from approvals.explain import explain
from flags.models import Environment, Flag
from flags.subjects import Subject
from tests.api.conftest import Api
from tests.cast import OFF, ON, Cast, split

GERMANY = {"attribute": "country", "operator": "in", "values": ["DE"]}
BETA = {"attribute": "", "operator": "in_segment", "values": ["beta"]}
RULES = {
    **OFF,
    "enabled": True,
    "default": {"variant": "off"},
    "targets": {"on": ["anna"]},
    "rules": [
        {"id": "beta", "constraints": [GERMANY, BETA], "serve": {"variant": "on"}},
        {"id": "half", "constraints": [], "serve": split(50)["default"]},
    ],
}


def ask(api: Api, name: str = "viewer", **members: Any) -> Any:
    body = {"project": "shop", "environment": "production", "flag": "banner", **members}
    return api.post(name, "explain", body)


@pytest.fixture
def ruled(api: Api) -> Api:
    """A segment of two, and rules in production that somebody approved."""
    cast = api.cast
    workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": "project/shop/segment/beta", "after": {"included": ["ben", "eva"], "rules": []}}],
        title="Beta testers",
    )
    cast.approve(cast.propose(RULES, ticket="SHOP-7"))
    return api


def test_the_rule_the_segment_and_the_changes_behind_both_are_named(ruled: Api) -> None:
    answer = ask(ruled, context={"targetingKey": "ben", "country": "DE"})
    assert answer.status == 200, answer.body
    found = answer.body
    assert (found["on"], found["value"], found["variant"]) == (True, True, "on")
    assert (found["reason"], found["cause"], found["rule"]) == ("TARGETING_MATCH", "rule", "beta")
    assert found["behind"]["ticket"] == "SHOP-7"
    assert found["behind"]["approvers"] == [ruled.cast.users["reviewer"].pseudonym]
    assert [(each["key"], each["version"], each["contains"]) for each in found["segments"]] == [
        ("beta", 1, True)
    ]
    assert found["segments"][0]["behind"]["title"] == "Beta testers"
    assert [(step["name"], step["decided"]) for step in found["steps"]] == [
        ("killed", False),
        ("enabled", False),
        ("target", False),
        ("rule", True),
    ]
    assert found["steps"][-1]["conditions"] == [
        {"words": "country is one of DE", "holds": True},
        {"words": "segment beta", "holds": True},
    ]
    assert "by rule beta" in found["sentence"]


def test_a_rule_that_does_not_hold_says_at_which_constraint(ruled: Api) -> None:
    elsewhere = ask(ruled, context={"targetingKey": "ben", "country": "FR"}).body
    assert elsewhere["steps"][3]["conditions"] == [{"words": "country is one of DE", "holds": False}]
    assert elsewhere["segments"] == []  # the country settled it before anybody asked for the segment
    outside = ask(ruled, context={"targetingKey": "tom", "country": "DE"}).body
    assert outside["steps"][3]["conditions"][1] == {"words": "segment beta", "holds": False}
    assert [(each["key"], each["contains"]) for each in outside["segments"]] == [("beta", False)]
    assert (outside["rule"], outside["reason"]) == ("half", "SPLIT")


def test_without_a_targeting_key_a_split_has_nothing_and_the_default_decides(ruled: Api) -> None:
    found = ask(ruled).body
    assert (found["variant"], found["cause"]) == ("off", "default")
    assert "its split has nothing for this context" in found["steps"][-2]["words"]
    assert found["steps"][-1]["decided"]


def test_a_listed_key_is_told(ruled: Api) -> None:
    found = ask(ruled, context={"targetingKey": "anna"}).body
    assert (found["cause"], found["steps"][-1]["name"]) == ("target", "target")


def test_a_kill_names_who_did_it_and_the_review_it_owes(ruled: Api) -> None:
    ruled.post("on_call", "configurations/shop/production/banner/kill")
    found = ask(ruled, context={"targetingKey": "anna"}).body
    assert (found["on"], found["variant"], found["cause"]) == (False, "off", "killed")
    assert found["kill"]["killed_by"] == ruled.cast.users["on_call"].pseudonym
    assert found["kill"]["reviewed_by"] == ""
    assert found["behind"] is None


def test_a_prerequisite_that_is_not_met_is_named_with_what_it_serves(api: Api) -> None:
    cast = api.cast
    cast.flag("base")
    cast.propose(OFF, key="base", environment="development")
    needing = {**ON, "prerequisites": [{"flag": "base", "variants": ["on"]}]}
    cast.propose(needing, environment="development")
    found = ask(api, environment="development").body
    assert (found["variant"], found["cause"]) == ("off", "prerequisite")
    needed = found["prerequisites"][0]
    assert (needed["flag"], needed["served"], needed["satisfied"]) == ("base", "off", False)
    assert needed["behind"]["title"] == "Change base in development"


def test_a_region_that_is_off_decides_before_the_rules(api: Api) -> None:
    api.cast.approve(api.cast.propose({**ON, "regions": {"eu": False}}))
    assert ask(api, region="eu").body["cause"] == "region"
    assert ask(api, region="us").body["variant"] == "on"
    assert ask(api, context={"region": "eu"}).body["cause"] == "region"


def test_a_flag_that_was_never_set_here_gives_the_callers_default(api: Api) -> None:
    found = ask(api).body
    assert (found["version"], found["variant"], found["error_code"]) == (0, None, "FLAG_NOT_FOUND")
    assert "never been set in Production" in found["sentence"]


def test_what_one_may_not_see_cannot_be_explained(ruled: Api) -> None:
    assert ask(ruled, "outsider").status == 404
    assert ask(ruled, flag="nothing").status == 404
    assert ask(ruled, environment="nothing").status == 404
    assert ask(ruled, context=[]).body["member"] == "context"


def test_it_answers_what_the_published_snapshot_answers(ruled: Api) -> None:
    from countersign.snapshot import Snapshot
    from distribution.models import Snapshot as Published
    from distribution.publish import publish_due

    publish_due()
    production = Environment.objects.get(project__key="shop", key="production")
    raw = Published.objects.filter(environment=production).latest("version").raw
    snapshot = Snapshot.parse(raw)
    flag = Flag.objects.get(key="banner")
    for key in ("anna", "ben", "tom", *(f"customer-{n}" for n in range(40)), None):
        for country in ("DE", "FR", 7, None):
            context = {"targetingKey": key, "country": country}
            expected = snapshot.evaluate("banner", context)
            found = explain(flag, production, context)
            assert found.result == expected
            assert [step.decided for step in found.steps].count(True) == 1
            assert found.steps[-1].rule == expected.metadata.get("rule", "")


def test_a_killed_flag_set_again_is_explained_by_its_change(cast: Cast) -> None:
    cast.flag()
    cast.propose(ON, environment="development")
    workflow.kill(cast.actor("on_call"), Subject.parse(cast.subject("banner", "development")), cast.project)
    cast.propose(OFF, environment="development")
    found = explain(Flag.objects.get(key="banner"), cast.development, {})
    assert (found.kill, found.result.metadata["cause"]) == (None, "disabled")
    assert found.behind is not None
