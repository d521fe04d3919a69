"""Three ways: what was seen, what stands now, what was asked for, and what they make together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import workflow
from approvals.merging import ABSENT, Member, three_way
from approvals.workflow import StateError
from flags.models import FlagConfiguration, Segment
from tests.cast import ON, Cast


def rule(id: str, country: str = "DE") -> dict[str, Any]:
    constraint = {"attribute": "country", "operator": "in", "values": [country]}
    return {"id": id, "constraints": [constraint], "serve": {"variant": "on"}}


def ruled(*rules: dict[str, Any] | str, **members: Any) -> dict[str, Any]:
    return {**ON, "rules": [rule(each) if isinstance(each, str) else each for each in rules], **members}


def ids(document: Any) -> list[str]:
    return [each["id"] for each in document["rules"]]


def collisions(members: list[Member]) -> dict[str, bool]:
    return {each.pointer: each.collides for each in members}


def test_three_ways_tell_who_changed_which_member() -> None:
    seen = {"enabled": True, "off": "off", "regions": {"eu": True}, "default": {"variant": "on"}, "a/b": 1}
    now = {"enabled": True, "off": "on", "regions": {"eu": True, "us": False}, "default": {"variant": "off"}}
    asked = {"enabled": False, "off": "on", "regions": {"eu": False}, "default": {"split": {}}, "a/b": 1}
    members, together = three_way("configuration", seen, now, asked)
    assert collisions(members) == {
        "/a~1b": False,
        "/default": True,
        "/enabled": False,
        "/off": False,
        "/regions/eu": False,
        "/regions/us": False,
    }
    assert together == {
        "enabled": False,
        "off": "on",
        "regions": {"eu": False, "us": False},
        "default": {"split": {}},
    }


def test_rules_are_merged_by_their_id_and_keep_their_order() -> None:
    seen, now = ruled("a", "b", "c"), ruled("new", "a", rule("b", "FR"), "c")
    members, together = three_way("configuration", seen, now, ruled("a", "b", "asked"))
    assert collisions(members) == {
        "/rules/new": False,
        "/rules/b": False,
        "/rules/c": False,
        "/rules/asked": False,
    }
    assert ids(together) == ["new", "a", "b", "asked"]
    assert together["rules"][2] == rule("b", "FR")


def test_a_rule_collides_where_both_changed_it_and_nothing_else_does() -> None:
    seen, now, asked = ruled("a", "b"), ruled(rule("a", "FR"), "b"), ruled(rule("a", "PL"), rule("b", "PL"))
    members, together = three_way("configuration", seen, now, asked)
    assert collisions(members) == {"/rules/a": True, "/rules/b": False}
    assert together["rules"] == [rule("a", "PL"), rule("b", "PL")], "what was asked for"
    [taken_away, _] = three_way("configuration", seen, ruled("b"), asked)[0]
    assert (taken_away.now, taken_away.collides) == (ABSENT, True)


def test_the_order_collides_only_where_both_changed_it() -> None:
    seen, moved = ruled("a", "b", "c"), ruled("c", "a", "b")
    members, together = three_way("configuration", seen, ruled("a", "b", "c", "new"), moved)
    assert collisions(members) == {"/rules/new": False, "/rules": False}
    assert ids(together) == ["c", "new", "a", "b"], "behind what it was put behind"
    _, together = three_way("configuration", seen, moved, ruled("a", "asked", "b", "c"))
    assert ids(together) == ["c", "a", "asked", "b"]
    members, together = three_way("configuration", seen, moved, ruled("b", "a", "c"))
    assert collisions(members) == {"/rules": True}
    assert ids(together) == ["b", "a", "c"]
    assert not any(collisions(three_way("configuration", seen, moved, moved)[0]).values())


def test_of_two_that_add_a_rule_in_the_same_place_the_one_that_stands_comes_first() -> None:
    _, together = three_way("configuration", ruled("a"), ruled("a", "now"), ruled("a", "asked"))
    assert ids(together) == ["a", "now", "asked"]
    _, together = three_way("configuration", ON, ruled("now"), ruled("asked"))
    assert ids(together) == ["now", "asked"]


def test_targets_are_merged_by_unit() -> None:
    def targets(**variants: list[str]) -> dict[str, Any]:
        return {**ON, "targets": variants}

    seen, now = targets(on=["u1", "u2"]), targets(on=["u1", "u2", "u3"])
    members, together = three_way("configuration", seen, now, targets(on=["u2"], off=["u1", "u4"]))
    assert collisions(members) == {"/targets/on": False, "/targets/off": False}
    assert together["targets"] == {"on": ["u2", "u3"], "off": ["u1", "u4"]}
    members, together = three_way("configuration", seen, targets(on=["u2"]), targets(on=["u2"], off=["u1"]))
    assert collisions(members) == {"/targets/u1": True, "/targets/on": False, "/targets/off": False}
    assert together["targets"] == {"on": ["u2"], "off": ["u1"]}
    _, together = three_way("configuration", seen, targets(on=["u1"]), targets(on=["u2"]))
    assert "targets" not in together


def test_tags_and_the_keys_of_a_segment_are_sets_and_those_of_a_policy_are_not() -> None:
    seen, now, asked = {"tags": ["a", "b"]}, {"tags": ["b", "c"]}, {"tags": ["a", "b", "d"]}
    members, together = three_way("definition", seen, now, asked)
    assert (collisions(members), together) == ({"/tags": False}, {"tags": ["b", "c", "d"]})
    assert three_way("definition", {}, {"tags": ["a"]}, {"tags": ["b"]})[1] == {"tags": ["a", "b"]}
    keys = ({"included": each} for each in (["u1"], ["u1", "u2"], ["u3"]))
    assert three_way("segment", *keys)[1] == {"included": ["u2", "u3"]}
    # Without tags a policy is about every flag, so that two changes of them are not two of a set.
    assert collisions(three_way("policy", seen, now, asked)[0]) == {"/tags": True}


documents = st.builds(
    lambda keys, countries, units, variants: {
        **ruled(*(rule(key, country) for key, country in zip(keys, countries, strict=False))),
        "targets": {
            name: sorted(unit for unit, variant in zip(units, variants, strict=False) if variant == name)
            for name in ("on", "off")
            if name in variants[: len(units)]
        },
    },
    st.lists(st.sampled_from("abcd"), unique=True),
    st.lists(st.sampled_from(["DE", "FR"]), min_size=4, max_size=4),
    st.lists(st.sampled_from(["u1", "u2", "u3"]), unique=True),
    st.lists(st.sampled_from(["on", "off"]), min_size=3, max_size=3),
)


@given(documents, documents, documents)
def test_whatever_is_put_together_what_one_changed_alone_is_as_that_one_wants_it(
    seen: Any, now: Any, asked: Any
) -> None:
    assert three_way("configuration", seen, now, seen)[1] == now
    assert three_way("configuration", seen, seen, asked)[1] == asked
    members, together = three_way("configuration", seen, now, asked)
    collide = {each.pointer for each in members if each.collides}

    def by_id(document: Any) -> dict[str, Any]:
        return {each["id"]: each for each in document.get("rules", ())}

    def by_unit(document: Any) -> dict[str, Any]:
        return {key: name for name, keys in document.get("targets", {}).items() for key in keys}

    for part, prefix in ((by_id, "/rules/"), (by_unit, "/targets/")):
        was, stands, wanted, made = (part(each) for each in (seen, now, asked, together))
        for key in {*was, *stands, *wanted}:
            one_sided = stands.get(key) if was.get(key) == wanted.get(key) else wanted.get(key)
            assert made.get(key) == one_sided
            both = was.get(key) not in (stands.get(key), wanted.get(key)) and stands.get(key) != wanted.get(
                key
            )
            assert (f"{prefix}{key}" in collide) == both


def test_two_who_add_a_rule_each_both_get_it(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose(ruled("a")))
    request, other = cast.propose(ruled("a", rule("mine", "FR"))), cast.propose(ruled("theirs", "a"))
    cast.approve(other)
    [found] = workflow.divergences(request)
    assert collisions(list(found.members)) == {"/rules/mine": False, "/rules/theirs": False}
    rebased = workflow.rebase(cast.actor("author"), request)
    cast.approve(rebased)
    assert ids(FlagConfiguration.objects.get().document) == ["theirs", "a", "mine"]


def test_two_who_change_the_same_rule_are_told_which(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose(ruled("a", "b")))
    request, other = cast.propose(ruled(rule("a", "FR"), "b")), cast.propose(ruled(rule("a", "PL"), "b"))
    cast.approve(other)
    with pytest.raises(
        StateError, match=r"rule a of banner in Production is .*PL.* now, and .*FR.* was asked for"
    ):
        workflow.rebase(cast.actor("author"), request)


def test_two_who_add_to_a_segment_both_get_it(cast: Cast) -> None:
    def segment(*included: str) -> list[dict[str, Any]]:
        return [{"subject": "project/shop/segment/beta", "after": {"included": list(included)}}]

    author, why = cast.actor("author"), {"title": "Beta", "rationale": "planned"}
    workflow.change(author, cast.project, segment("u1"), **why)
    request = workflow.propose(author, cast.project, segment("u1", "u2"), **why)
    workflow.change(author, cast.project, segment("u1", "u3"), **why)
    workflow.apply(author, workflow.rebase(author, request))
    assert Segment.objects.get().document == {"included": ["u1", "u3", "u2"]}
