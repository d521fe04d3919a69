"""What a configuration does, in one sentence: as people read it on a flag's page, in lists, requests and mails."""

from __future__ import annotations

from typing import Any

import pytest

from flags.wording import summary

BETA = {"attribute": "", "operator": "in_segment", "values": ["beta"]}
GERMAN = {"attribute": "country", "operator": "in", "values": ["DE", "AT"]}
FREE = {"attribute": "plan", "operator": "in", "values": ["free"]}


def document(*rules: dict[str, Any], **members: Any) -> dict[str, Any]:
    base = {"enabled": True, "off": "off", "default": {"variant": "off"}}
    return {**base, **({"rules": list(rules)} if rules else {}), **members}


def rule(serve: Any, *constraints: dict[str, Any]) -> dict[str, Any]:
    return {"id": "r", "constraints": list(constraints), "serve": served(serve)}


def served(serve: Any) -> dict[str, Any]:
    """A variant, or a split by weights of a hundred."""
    if isinstance(serve, str):
        return {"variant": serve}
    return {"split": {"by": "targetingKey", "seed": "s", "hash": "murmur3", "weights": serve}}


QUARTER = served([["on", 25], ["off", 75]])
NOT_FREE = {**FREE, "negate": True}


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (None, "not configured yet: callers get their own default"),
        (document(enabled=False), "off for everyone"),
        (document(enabled=False, off="control"), "off for everyone: they get *control*"),
        (document(enabled=False, off=None), "off for everyone: they get the caller's default"),
        (document(killed=True), "killed: everyone gets *off*"),
        (document(), "switched on, but *off* for everyone"),
        (document(default=served("on")), "*on* for everyone"),
        (document(default=QUARTER), "*on* for 25 % of everyone"),
        (document(default=served([["on", 1], [None, 2]])), "*on* for 33.333 % of everyone"),
        (document(default=served([["on", 0], ["off", 9]])), "switched on, but *off* for everyone"),
        (
            document(default=served([["red", 20], ["blue", 30], ["off", 50]])),
            "20 % *red*, 30 % *blue* for everyone",
        ),
    ],
)
def test_a_plain_configuration(what: Any, sentence: str) -> None:
    assert summary(what) == sentence


def test_segment_and_share_are_told_together_with_regions_prerequisites_and_names() -> None:
    whole = document(
        rule("on", BETA),
        default=QUARTER,
        regions={"eu": False, "us": True},
        targets={"on": ["ann", "bob", "cat"]},
        prerequisites=[{"flag": "checkout", "variants": ["on", "half"]}],
    )
    assert summary(whole) == (
        "*on* for 3 by name, segment beta and 25 % of everyone else; off in eu; "
        "only while checkout serves *on* or *half*"
    )


@pytest.mark.parametrize(
    ("rules", "rest", "sentence"),
    [
        # The first that holds decides, so what is told after it says "then".
        (
            [rule("off", GERMAN), rule("on", BETA)],
            "off",
            "*off* for those whose country is one of DE, AT; then *on* for segment beta; *off* for everyone else",
        ),
        # Half of the testers are decided about by being left out: the next rule is not about them.
        (
            [rule([["on", 50], ["off", 50]], BETA), rule("on", FREE)],
            "on",
            "*on* for 50 % of segment beta; then *on* for those whose plan is one of free and everyone else",
        ),
        # A slice without a variant leaves the others to what comes after.
        (
            [rule([["on", 50], [None, 50]], BETA), rule("on", FREE)],
            "off",
            "*on* for 50 % of segment beta and those whose plan is one of free; *off* for everyone else",
        ),
        (
            [rule("on", BETA, GERMAN, NOT_FREE)],
            "off",
            "*on* for segment beta whose country is one of DE, AT but not those whose plan is one of free; "
            "*off* for everyone else",
        ),
        (
            [rule("on", NOT_FREE)],
            "off",
            "*on* for everyone but not those whose plan is one of free; *off* for everyone else",
        ),
        # What comes after a rule without conditions decides nothing.
        ([rule("on", BETA), rule("blue")], "off", "*on* for segment beta; then *blue* for everyone else"),
        (
            [rule("on", GERMAN), rule("on", BETA)],
            "on",
            "*on* for those whose country is one of DE, AT, segment beta, and everyone else",
        ),
    ],
)
def test_rules_are_told_in_the_order_in_which_they_decide(
    rules: list[dict[str, Any]], rest: str, sentence: str
) -> None:
    assert summary(document(*rules, default=served(rest))) == sentence


def test_many_rules_are_counted_where_the_sentence_is_to_be_short() -> None:
    many = document(*(rule("on", {**BETA, "values": [f"s{n}"]}) for n in range(40)), default=QUARTER)
    assert (
        summary(many, most=2)
        == "*on* for segment s0 and segment s1; then 38 more rules; *on* for 25 % of everyone else"
    )
    assert summary(many).count("segment") == 40
