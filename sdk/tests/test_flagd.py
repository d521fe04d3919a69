"""The flagd document: what it looks like, what is left out of it and why. Clients prove it in tests/clients."""

from __future__ import annotations

import json

import pytest
from signed_snapshots import a_flag, body_of, signed

from countersign import Snapshot
from countersign.cli import main
from countersign.flagd import export


def snapshot_of(flags: dict, segments: dict | None = None) -> Snapshot:
    return Snapshot.parse(signed(body_of(flags, segments)))


def definition(flag: dict) -> dict:
    return json.loads(export(snapshot_of({"f": flag})).document)["flags"]["f"]


def left_out(flag: dict, segments: dict | None = None, hash: str = "murmur3") -> str:
    return export(snapshot_of({"f": flag}, segments), hash).left_out["f"]


def split(*weights: list, by: str = "targetingKey", seed: str = "f", hash: str = "murmur3") -> dict:
    return {"split": {"by": by, "seed": seed, "hash": hash, "weights": list(weights)}}


def rule(*constraints: dict, serve: dict | None = None) -> dict:
    return {"id": "r", "constraints": list(constraints), "serve": serve or {"variant": "on"}}


def constraint(operator: str, *values: object, attribute: str = "a", **members: object) -> dict:
    return {"attribute": attribute, "operator": operator, "values": list(values), **members}


def test_a_flag_that_is_the_same_for_everyone_has_no_targeting():
    assert definition(a_flag(default={"variant": "on"}, change="CR-7")) == {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on",
        "metadata": {"flag_version": 7, "change": "CR-7"},
    }


@pytest.mark.parametrize("shut", [{"killed": True}, {"enabled": False}])
def test_a_flag_that_is_off_serves_its_off_variant_whatever_else_it_has(shut):
    needs = [{"flag": "g", "variants": ["on"]}]
    flag = definition(a_flag(default={"variant": "on"}, prerequisites=needs, **shut))
    assert flag["state"] == "ENABLED"
    assert flag["defaultVariant"] == "off"
    assert "targeting" not in flag


def test_a_null_off_variant_is_a_null_default_variant():
    assert definition(a_flag(off=None, killed=True))["defaultVariant"] is None


def test_rules_are_one_or_with_the_default_last():
    flag = definition(a_flag(rules=[rule(constraint("in", "DE"))]))
    assert flag["defaultVariant"] == "off"
    assert flag["targeting"] == {"or": [{"if": [{"===": [{"var": "a"}, "DE"]}, "on", None]}, "off"]}


def test_a_split_is_fractional_behind_a_guard_and_keeps_its_null_slices():
    flag = definition(a_flag(rules=[rule(serve=split(["on", 25_000], [None, 75_000]))]))
    key = {"var": "targetingKey"}
    guard = {"and": [{"===": [{"starts_with": [key, ""]}, True]}, {"!==": [key, ""]}]}
    dealt = {"fractional": [{"cat": ["f.", key]}, ["on", 25_000], [None, 75_000]]}
    assert flag["targeting"] == {"or": [{"if": [guard, dealt, None]}, "off"]}


def test_rules_before_a_split_without_an_off_variant_end_in_null_where_or_would_say_false():
    flag = definition(a_flag(off=None, rules=[rule(constraint("in", "DE"))], default=split(["on", 1])))
    first, second, last = flag["targeting"]["if"]
    assert first == second
    assert last is None


def test_values_are_told_as_their_type_has_them():
    floats = definition(a_flag(type="float", variants={"on": 3, "off": 0.5}))["variants"]
    assert json.dumps(floats) == '{"off": 0.5, "on": 3.0}'
    integers = definition(a_flag(type="integer", variants={"on": 3.0, "off": -0.0}))["variants"]
    assert json.dumps(integers) == '{"off": 0, "on": 3}'


def test_segments_stand_where_they_are_used():
    in_beta = {"attribute": "", "operator": "in_segment", "values": ["beta", "nowhere"]}
    segment = {"version": 1, "included": ["ann"], "excluded": ["bob"], "rules": [[constraint("in", "DE")]]}
    flags = {"f": a_flag(rules=[rule(in_beta)])}
    document = json.loads(export(snapshot_of(flags, {"beta": segment})).document)
    key, country = {"var": "targetingKey"}, {"===": [{"var": "a"}, "DE"]}
    inside = {"or": [{"===": [key, "ann"]}, {"and": [{"!": [{"===": [key, "bob"]}]}, country]}]}
    assert document["flags"]["f"]["targeting"]["or"][0] == {"if": [inside, "on", None]}


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ({"prerequisites": [{"flag": "g", "variants": ["on"]}]}, "prerequisites: flagd cannot ask"),
        ({"rules": [rule(constraint("before", "2026-01-01T00:00:00Z"))]}, "rules[0].constraints[0].operator: before"),
        ({"rules": [rule(constraint("after", "2026-01-01T00:00:00Z"))]}, "rules[0].constraints[0].operator: after"),
        ({"rules": [rule(constraint("ip_in", "10.0.0.0/8"))]}, "rules[0].constraints[0].operator: ip_in"),
        ({"rules": [rule(constraint("includes", "x"))]}, "rules[0].constraints[0].operator: includes"),
        ({"rules": [rule(constraint("semver_gte", "1.2"))]}, "rules[0].constraints[0].operator: semver_gte"),
        ({"rules": [rule(constraint("in", "x", attribute="a.b"))]}, "rules[0].constraints[0].attribute: 'a.b'"),
        ({"rules": [rule(constraint("in", "x", attribute="__proto__"))]}, "rules[0].constraints[0].attribute"),
        ({"rules": [rule(constraint("gt", 1e300))]}, "rules[0].constraints[0].values[0]: is beyond"),
        ({"rules": [rule(constraint("in", 0, 2.0**53))]}, "rules[0].constraints[0].values[1]: is beyond"),
        ({"default": split(["on", 1], by="company")}, "default.split.by: 'company' may be a number"),
        ({"default": split(["on", 1], seed="é")}, "default.split.seed: 'é' is not ASCII"),
        ({"default": split(["on", 1], seed=" f")}, "default.split.seed: ' f' is not ASCII or begins blank"),
        ({"default": split(["on", 1], hash="unleash")}, "default.split.hash: flagd clients of this document"),
        ({"default": split(["on", 1], hash="murmur3-cbor")}, "default.split.hash: flagd clients of this document"),
        ({"type": "unheard-of"}, "flag 'f' cannot be read"),
    ],
)  # fmt: skip
def test_what_flagd_cannot_say_exactly_is_left_out_with_the_reason(flag, reason):
    assert left_out(a_flag(**flag)).startswith(reason)


def test_a_segment_that_cannot_be_said_leaves_its_flags_out():
    in_beta = {"attribute": "", "operator": "in_segment", "values": ["beta"]}
    segment = {"version": 1, "rules": [[constraint("ip_in", "10.0.0.0/8")]]}
    reason = left_out(a_flag(rules=[rule(in_beta)]), {"beta": segment})
    assert reason.startswith("segments.beta.rules[0][0].operator: ip_in")


@pytest.mark.parametrize(
    ("proof", "proves"),
    [
        (constraint("starts_with", "c", attribute="company"), True),
        (constraint("starts_with", "c", attribute="company", negate=True), True),
        (constraint("in", "x", "y", attribute="company"), True),
        (constraint("in", "x", attribute="company", negate=True), False),
        (constraint("in", "x", 1, attribute="company"), False),
        (constraint("starts_with", "c", attribute="company", missing=True), False),
        (constraint("starts_with", "c", attribute="country"), False),
    ],
)
def test_a_split_by_an_attribute_needs_a_constraint_that_makes_it_a_string(proof, proves):
    flag = a_flag(rules=[rule(proof, serve=split(["on", 1], by="company"))])
    assert ("f" in export(snapshot_of({"f": flag})).left_out) is not proves


def test_a_flag_that_its_segments_would_make_too_large_is_left_out_and_others_are_not():
    many = {"large": {"version": 1, "included": [f"customer-{number:050}" for number in range(10_000)]}}
    named = constraint("in_segment", "large", attribute="")
    flags = {"a": a_flag(), "f": a_flag(rules=[rule(named), {**rule(named), "id": "r2"}])}
    exported = export(snapshot_of(flags, many))
    assert "more than 1 MiB" in exported.left_out["f"]
    assert list(json.loads(exported.document)["flags"]) == ["a"]


def test_a_document_is_for_clients_with_one_hash():
    flags = {"f": a_flag(default=split(["on", 1], hash="murmur3-cbor"))}
    made = export(snapshot_of(flags), "murmur3-cbor")
    assert not made.left_out
    assert json.loads(made.document)["metadata"]["hash"] == "murmur3-cbor"
    with pytest.raises(ValueError, match="hash: 'unleash'"):
        export(snapshot_of(flags), "unleash")


def test_metadata_tells_what_was_left_out_in_types_that_clients_take():
    flags = {"f": a_flag(), "g": a_flag(rules=[rule(constraint("ip_in", "10.0.0.0/8"))])}
    made = export(snapshot_of(flags))
    metadata = json.loads(made.document)["metadata"]
    assert all(type(value) in (str, int) for value in metadata.values())
    assert metadata["environment"] == "shop/production"
    assert metadata["snapshot_version"] == 1287
    assert metadata["left_out_count"] == 1
    assert json.loads(metadata["left_out"]) == made.left_out
    assert list(json.loads(made.document)["flags"]) == ["f"]


def test_the_command_writes_the_same_bytes_and_says_what_is_left_out(tmp_path, capsysbinary):
    file = tmp_path / "snapshot"
    flags = {"f": a_flag(), "g": a_flag(rules=[rule(constraint("ip_in", "10.0.0.0/8"))])}
    file.write_bytes(signed(body_of(flags)))
    assert main(["flagd", str(file)]) == 0
    out, err = capsysbinary.readouterr()
    assert out == export(Snapshot.parse(file.read_bytes())).document
    assert err.decode().startswith("left out: g: rules[0].constraints[0].operator: ip_in")


def test_the_command_quotes_a_key_that_a_terminal_would_obey(tmp_path, capfd):
    file = tmp_path / "snapshot"
    file.write_bytes(signed(b'{"segments":{}}\n["a\\u001b[2J\\nb",{}]\n'))
    assert main(["flagd", str(file)]) == 0
    assert capfd.readouterr().err.startswith("left out: 'a\\x1b[2J\\nb': flag ")
