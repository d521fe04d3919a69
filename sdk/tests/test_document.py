"""What a writer may publish: whole environments, and the limits of a document."""

from __future__ import annotations

import pytest
from signed_snapshots import a_flag

from countersign.document import (
    KEY_PATTERN,
    DocumentError,
    validate_environment,
    validate_flag,
    validate_segment,
)


def member_refused(flags: dict, segments: dict | None = None) -> str:
    with pytest.raises(DocumentError) as refused:
        validate_environment(flags, segments or {})
    return refused.value.member


def needing(*keys: str, variants: tuple[str, ...] = ("on",)) -> dict:
    return a_flag(prerequisites=[{"flag": key, "variants": list(variants)} for key in keys])


def chain(length: int) -> dict:
    flags = {f"f{number}": needing(f"f{number + 1}") for number in range(length)}
    return {**flags, f"f{length}": a_flag()}


def test_a_complete_flag_is_accepted():
    validate_flag(
        "checkout-revamp",
        a_flag(
            change="CR-12.2",
            killed=False,
            client_side=True,
            regions={"eu": False},
            prerequisites=[{"flag": "banner", "variants": ["on"]}],
            targets={"on": ["u1", "u2"]},
            rules=[
                {
                    "id": "beta",
                    "constraints": [
                        {"attribute": "", "operator": "in_segment", "values": ["beta"], "negate": True}
                    ],
                    "serve": {
                        "split": {
                            "by": "company",
                            "seed": "checkout-revamp",
                            "hash": "murmur3",
                            "weights": [["on", 25000], [None, 75000]],
                        }
                    },
                }
            ],
        ),
        segments=["beta"],
    )


def test_an_environment_of_flags_and_segments_is_accepted():
    rule = {"id": "r", "constraints": [{"attribute": "", "operator": "in_segment", "values": ["beta"]}]}
    flags = {"a": needing("b"), "b": a_flag(rules=[{**rule, "serve": {"variant": "on"}}])}
    validate_environment(
        flags, {"beta": {"version": 1, "included": ["u1"], "excluded": ["u2"], "rules": [[]]}}
    )


def test_refusals_in_an_environment_begin_with_the_flag_or_segment():
    assert member_refused({"a": a_flag(off="x")}) == "flags.a.off"
    assert member_refused({}, {"s": {"version": 1, "x": 1}}) == "segments.s.x"


def test_a_prerequisite_on_a_flag_that_does_not_exist_is_refused():
    assert member_refused({"a": needing("b")}) == "flags.a.prerequisites[0].flag"


def test_a_prerequisite_on_a_variant_that_does_not_exist_is_refused():
    flags = {"a": needing("b", variants=("on", "blue")), "b": a_flag()}
    assert member_refused(flags) == "flags.a.prerequisites[0].variants"


def test_cycles_are_refused():
    assert member_refused({"a": needing("a")}) == "flags.a.prerequisites"
    assert (
        member_refused({"a": needing("b"), "b": needing("c"), "c": needing("b")}) == "flags.b.prerequisites"
    )


def test_a_chain_of_sixteen_prerequisites_is_accepted_and_of_seventeen_refused():
    validate_environment(chain(16), {})
    assert member_refused(chain(17)) == "flags.f0.prerequisites"


@pytest.mark.parametrize("key", ["", "-a", ".a", "a b", "ä", "a\n", "a" * 129, "a/b"])
def test_what_is_no_key_is_refused(key):
    assert KEY_PATTERN.match(key) is None
    for attempt in (
        lambda: validate_flag(key, a_flag(), segments=()),
        lambda: validate_segment(key, {"version": 1}),
    ):
        with pytest.raises(DocumentError):
            attempt()


@pytest.mark.parametrize("key", ["a", "0", "a.b-c_d", "a" * 128])
def test_keys_are_accepted(key):
    validate_flag(key, a_flag(), segments=())


@pytest.mark.parametrize(
    ("segment", "member"),
    [
        ([], "segment"),
        ({}, "version"),
        ({"version": 1, "included": ["u", "u"]}, "included[1]"),
        ({"version": 1, "excluded": [""]}, "excluded[0]"),
        ({"version": 1, "included": "u"}, "included"),
        ({"version": 1, "rules": [{}]}, "rules[0]"),
        (
            {"version": 1, "rules": [[{"attribute": "a", "operator": "in", "values": []}]]},
            "rules[0][0].values",
        ),
        (
            {"version": 1, "rules": [[{"attribute": "", "operator": "in_segment", "values": ["x"]}]]},
            "rules[0][0].values",
        ),
    ],
)
def test_a_segment_s_refusal_names_the_member(segment, member):
    with pytest.raises(DocumentError) as refused:
        validate_segment("beta", segment)
    assert refused.value.member == member


def test_a_line_of_more_than_a_mebibyte_is_refused():
    with pytest.raises(DocumentError, match="1048576"):
        validate_flag("a", a_flag(type="string", variants={"on": "x" * 1024 * 1024, "off": ""}), segments=())


def test_the_nesting_of_a_line_is_limited_to_thirty_two_levels():
    def nested(levels: int) -> dict:
        value: dict = {}
        for _ in range(levels - 1):
            value = {"a": value}
        return a_flag(type="object", variants={"on": value, "off": {}})

    validate_flag("a", nested(29), segments=())  # within the line's array, the flag and its variants
    with pytest.raises(DocumentError, match="levels deep"):
        validate_flag("a", nested(30), segments=())


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf"), 2**53, b"x", ("x",), {1: 2}])
def test_what_canonical_json_cannot_write_is_refused(value):
    with pytest.raises(DocumentError):
        validate_flag("a", a_flag(type="object", variants={"on": {"x": value}, "off": {}}), segments=())


@pytest.mark.parametrize("name", ["", "a\nb", "\ud800", "x" * 1000])
def test_a_member_of_a_strange_name_is_named_on_one_short_line(name):
    for flag in (a_flag(**{name: 1}), a_flag(regions={name: 1}), a_flag(variants={name: True})):
        with pytest.raises(DocumentError) as refused:
            validate_flag("f", flag, segments=())
        assert refused.value.member
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 300
