"""The language-neutral vectors: what any evaluator of this format answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from signed_snapshots import a_flag, body_of, signed

from countersign import Snapshot
from countersign.document import DocumentError, validate_flag

VECTORS = Path(__file__).parent / "vectors"


def cases(name: str) -> list[object]:
    document = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in document["cases"]]


def snapshot_of(flags: dict, segments: dict | None = None) -> Snapshot:
    return Snapshot.parse(signed(body_of(flags, segments)))


@pytest.mark.parametrize("case", cases("order"))
def test_a_flag_answers_what_the_order_of_steps_says(case):
    snapshot = snapshot_of(case["flags"], case.get("segments"))
    result = snapshot.evaluate("f", case["context"], case.get("expected_type"))
    expect = dict(case["expect"])
    answer = {"variant": result.variant, "value": result.value, "reason": result.reason}
    answer |= {"error_code": result.error_code} if result.error_code else {}
    answer |= {name: result.metadata[name] for name in ("cause", "rule", "change") if name in result.metadata}
    assert answer == expect
    assert type(result.value) is type(expect["value"])
    assert result.metadata["snapshot_version"] == 1287
    assert result.metadata["flag_version"] == 7


@pytest.mark.parametrize("case", cases("constraints"))
def test_a_constraint_holds_where_the_vector_says(case):
    rules = [{"id": "r", "constraints": [case["constraint"]], "serve": {"variant": "on"}}]
    validate_flag("f", a_flag(rules=rules), segments=())
    result = snapshot_of({"f": a_flag(rules=rules)}).evaluate("f", case["context"])
    assert result.value is case["outcome"]


@pytest.mark.parametrize("case", cases("bucketing"))
def test_a_value_falls_into_the_slice_that_the_vector_says(case):
    split = {"by": "unit", "seed": case["seed"], "hash": case["hash"], "weights": case["weights"]}
    names = dict.fromkeys((name for name, _ in case["weights"]), True)
    flag = a_flag(variants=names, off=None, default={"split": split})
    validate_flag("f", flag, segments=())
    assert snapshot_of({"f": flag}).evaluate("f", {"unit": case["value"]}).variant == case["variant"]


@pytest.mark.parametrize("case", cases("refusals"))
def test_a_refusal_names_the_member(case):
    with pytest.raises(DocumentError) as refused:
        validate_flag("f", case["document"], segments={"beta"})
    assert refused.value.member == case["member"]
    assert str(refused.value) == f"{refused.value.member}: {refused.value.reason}"
    if "reason" in case:
        assert refused.value.reason == case["reason"]
