"""What holds for every input: determinism, monotonic rollouts, equal hashes, a parser that never crashes."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signed_snapshots import a_flag, body_of, signed

from countersign import Snapshot, evaluate
from countersign.bucketing import HASHES
from countersign.document import DocumentError, validate_environment, validate_flag, validate_segment
from countersign.murmur3 import murmur3_plain

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
CONTEXTS = st.dictionaries(
    st.sampled_from(["targetingKey", "country", "age", "region", "version", "ip"]), JSON
)
RICH = a_flag(
    regions={"eu": False},
    targets={"on": ["0"]},
    rules=[
        {
            "id": name,
            "constraints": [{"attribute": attribute, "operator": name, "values": values, "negate": True}],
            "serve": {
                "split": {
                    "by": "targetingKey",
                    "seed": "s",
                    "hash": "murmur3",
                    "weights": [["on", 1], [None, 1]],
                }
            },
        }
        for name, attribute, values in [
            ("in", "country", ["DE", 1, True]),
            ("gt", "age", [18]),
            ("semver_gte", "version", ["1.2"]),
            ("ip_in", "ip", ["10.0.0.0/8"]),
            ("before", "age", ["2026-01-01T00:00:00Z"]),
            ("includes", "country", ["DE"]),
        ]
    ],
)
MEMBERS = [*RICH, "killed", "prerequisites", "client_side", "change"]


@given(CONTEXTS)
def test_the_same_snapshot_and_context_give_the_same_result(context):
    raw = signed(body_of({"f": RICH}))
    before = copy.deepcopy(context)
    first = Snapshot.parse(raw).evaluate("f", context)
    again = Snapshot.parse(raw)
    assert again.evaluate("f", context) == again.evaluate("f", dict(reversed(context.items()))) == first
    assert repr(context) == repr(before)


@pytest.mark.parametrize("name", HASHES)
@given(
    seed=st.text(max_size=20),
    value=st.text(min_size=1),
    small=st.integers(0, 1000),
    growth=st.integers(0, 1000),
)
def test_growing_the_first_slice_moves_nobody_out_of_it(name, seed, value, small, growth):
    def in_first_slice(weight: int) -> bool:
        total = 2000
        return HASHES[name](seed, [weight, total])(value) == 0

    with contextlib.suppress(UnicodeEncodeError):
        assert in_first_slice(small) <= in_first_slice(small + growth)


@given(
    value=st.text(min_size=1),
    weights=st.lists(st.integers(0, 3) | st.integers(0, 2**28), min_size=1, max_size=7),
)
def test_the_slice_is_the_one_that_the_page_s_formula_gives(value, weights):
    weights = [*weights, 1]
    cumulative = [sum(weights[: position + 1]) for position in range(len(weights))]
    with contextlib.suppress(UnicodeEncodeError):
        bucket = murmur3_plain(f"seed.{value}".encode(), 0) * cumulative[-1] >> 32
        expected = next(position for position, weight in enumerate(cumulative) if weight > bucket)
        assert HASHES["murmur3"]("seed", cumulative)(value) == expected


@pytest.mark.parametrize("name", HASHES)
@given(value=st.text(min_size=1), weights=st.lists(st.integers(0, 2**28), min_size=1, max_size=7))
def test_every_value_falls_into_a_slice_that_has_weight(name, value, weights):
    weights = [*weights, 1]
    cumulative = [sum(weights[: position + 1]) for position in range(len(weights))]
    with contextlib.suppress(UnicodeEncodeError):
        assert weights[HASHES[name]("seed", cumulative)(value)] > 0


if importlib.util.find_spec("mmh3"):  # without it there is nothing to compare, and the fallback is in use

    @given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
    def test_murmur3_in_plain_python_is_murmur3(data, seed):
        assert murmur3_plain(data, seed) == importlib.import_module("mmh3").hash(data, seed, False)


@pytest.mark.parametrize(
    ("data", "expected"), [(b"", 0), (b"hello", 0x248BFA47), (b"hello, world", 0x149BBB7F)]
)
def test_murmur3_in_plain_python_has_the_published_values(data, expected):
    assert murmur3_plain(data, 0) == expected


@given(JSON)
def test_any_json_is_accepted_or_refused_as_a_document(document):
    for check in (
        lambda: validate_flag("f", document, segments=()),
        lambda: validate_segment("s", document),
        lambda: validate_environment({"f": document}, {"s": document}),
    ):
        with contextlib.suppress(DocumentError):
            check()


@given(st.sampled_from(MEMBERS), JSON, st.data())
def test_any_member_may_hold_any_json(member, value, data):
    flag = {**RICH, member: value}
    if member == "rules" and data.draw(st.booleans()):
        flag["rules"] = [{"id": "r", "constraints": [value], "serve": value}]
    accepted = False
    with contextlib.suppress(DocumentError):
        validate_flag("f", flag, segments=())
        accepted = True
    line = json.dumps(["f", flag]).encode()
    result = Snapshot.parse(signed(b'{"segments":{}}\n' + line + b"\n")).evaluate("f", {"targetingKey": "u"})
    if accepted:
        assert result.error_code is None


@given(st.binary())
def test_any_bytes_as_a_flag_line_are_an_error_of_that_flag(noise):
    line = b'["f",' + noise.replace(b"\n", b" ")
    snapshot = Snapshot.parse(signed(b'{"segments":{}}\n' + line + b"\n"))
    assert snapshot.evaluate("f", {}).error_code == "PARSE_ERROR"


UNITS = [f"user-{number}" for number in range(100_000)]
QUARTERS = [25, 50, 75, 100]
UNEQUAL = [1000, 11_000, 61_000, 100_000]  # 1 %, 10 %, 50 % and 39 % of 100,000


def chi_square(observed: list[int], expected: list[float]) -> float:
    return sum((seen - due) ** 2 / due for seen, due in zip(observed, expected, strict=True))


# The seeds are fixed, so that this cannot fail by chance; the bounds are those that one in a thousand
# sequences of fair dice exceeds (chi-square, 3 and 9 degrees of freedom).
@pytest.mark.parametrize("name", HASHES)
def test_weights_are_honoured_and_two_flags_are_independent_on_a_hundred_thousand_units(name):
    quarters = list(map(HASHES[name]("banner", QUARTERS), UNITS))
    unequal = list(map(HASHES[name]("checkout-revamp", UNEQUAL), UNITS))
    counts = Counter(unequal)
    assert chi_square([counts[number] for number in range(4)], [1000.0, 10_000.0, 50_000.0, 39_000.0]) < 16.27
    rows, pairs = Counter(quarters), Counter(zip(quarters, unequal, strict=True))
    cells = [(row, column) for row in range(4) for column in range(4)]
    due = [rows[row] * counts[column] / len(UNITS) for row, column in cells]
    assert chi_square([pairs[cell] for cell in cells], due) < 27.88


def shuffled(value: object, random: Random) -> object:
    """The same JSON with the members of each object in another order."""
    if type(value) is dict:
        names = list(value)
        random.shuffle(names)
        return {name: shuffled(value[name], random) for name in names}
    return [shuffled(item, random) for item in value] if type(value) is list else value


@given(CONTEXTS, st.randoms(use_true_random=False))
def test_the_order_of_members_changes_nothing(context, random):
    line = json.dumps(["f", shuffled(RICH, random)]).encode()
    mixed = Snapshot.parse(signed(b'{"segments":{}}\n' + line + b"\n"))
    result = mixed.evaluate("f", shuffled(context, random))
    assert result == Snapshot.parse(signed(body_of({"f": RICH}))).evaluate("f", context)


_ASK = """
import json, sys
if sys.argv[2] == "plain":
    sys.modules["mmh3"] = None
from countersign import Snapshot
from countersign.bucketing import HASHES
snapshot = Snapshot.parse(open(sys.argv[1], "rb").read())
contexts = [{"targetingKey": f"u{n}", "country": ["DE", 1, True, "x"][n % 4], "age": n} for n in range(500)]
print([(r.value, r.variant, r.reason, dict(r.metadata)) for r in (snapshot.evaluate("f", c) for c in contexts)])
print([slicer("s", [1, 20, 300])(f"ü{n}") for slicer in HASHES.values() for n in range(500)])
"""


def test_every_process_answers_the_same_with_and_without_the_fast_hash(tmp_path):
    file = tmp_path / "snapshot"
    file.write_bytes(signed(body_of({"f": RICH})))
    answers = {
        subprocess.run(
            [sys.executable, "-c", _ASK, file, hashing],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed, hashing in (("0", "any"), ("1", "any"), ("4711", "plain"))
    }
    assert len(answers) == 1
    assert b"SPLIT" in answers.pop()


WORDS = st.sampled_from(["a", "b", "", 1, True])
MEMBERSHIPS = st.fixed_dictionaries(
    {
        "attribute": st.sampled_from(["country", "plan"]),
        "operator": st.just("in"),
        "values": st.lists(WORDS, min_size=1, max_size=2),
    },
    optional={"negate": st.booleans(), "missing": st.booleans()},
)


def holds(constraint: dict, context: dict) -> bool:
    """Section 3's sentence on `in`, a constraint at a time."""
    value = context.get(constraint["attribute"])
    if value is None:
        return constraint.get("missing", False)
    found = any(type(word) is type(value) and word == value for word in constraint["values"])
    return found is not constraint.get("negate", False)


@given(
    st.lists(st.tuples(st.lists(MEMBERSHIPS, max_size=3), st.booleans()), min_size=1, max_size=70),
    st.dictionaries(
        st.sampled_from(["country", "plan"]), st.sampled_from(["a", "b", "c", "", 1, True, None])
    ),
)
def test_the_first_rule_whose_constraints_all_hold_and_that_yields_decides(rules, attributes):
    context = {"targetingKey": "u", **attributes}
    nobody = {"split": {"by": "targetingKey", "seed": "s", "hash": "murmur3", "weights": [[None, 1]]}}
    flag = a_flag(
        rules=[
            {"id": str(i), "constraints": constraints, "serve": {"variant": "on"} if yields else nobody}
            for i, (constraints, yields) in enumerate(rules)
        ]
    )
    deciding = [
        str(i)
        for i, (constraints, yields) in enumerate(rules)
        if yields and all(holds(constraint, context) for constraint in constraints)
    ]
    answer = Snapshot.parse(signed(body_of({"f": flag}))).evaluate("f", context)
    assert answer.metadata.get("rule") == (deciding[0] if deciding else None)


BULK = Snapshot.parse(
    signed(
        body_of(
            {
                "rich": RICH,
                "needy": {**RICH, "prerequisites": [{"flag": "rich", "variants": ["on"]}]},
                "grouped": a_flag(
                    rules=[
                        {
                            "id": "r",
                            "constraints": [
                                {"attribute": "", "operator": "in_segment", "values": ["old", "de"]}
                            ],
                            "serve": {"variant": "on"},
                        }
                    ],
                    fail_safe="last_known_good",
                ),
                "broken": a_flag(type="x"),
            },
            {
                "old": {
                    "version": 1,
                    "change": None,
                    "rules": [[{"attribute": "age", "operator": "gt", "values": [60]}]],
                },
                "de": {
                    "version": 1,
                    "change": None,
                    "rules": [[{"attribute": "country", "operator": "in", "values": ["DE"]}]],
                },
            },
        )
    )
)


@given(CONTEXTS, st.sampled_from([None, "eu", "us"]), st.booleans())
def test_all_flags_at_once_answer_as_each_by_itself(context, region, stale):
    answers = dict(BULK.evaluate_all(context, region=region, stale=stale))
    assert list(answers) == BULK.keys()
    for key, answer in answers.items():
        assert answer == evaluate(BULK, key, context, region=region, stale=stale)


class Groups(list):
    """Counts how often somebody looks into it."""

    looks = 0

    def __iter__(self):
        self.looks += 1
        return super().__iter__()


IN_STAFF = [{"attribute": "groups", "operator": "includes", "values": ["staff"]}]


def test_all_flags_at_once_look_into_a_segment_once():
    rule = {
        "id": "r",
        "constraints": [{"attribute": "", "operator": "in_segment", "values": ["staff"]}],
        "serve": {"variant": "on"},
    }
    snapshot = Snapshot.parse(
        signed(
            body_of(
                {f"f{number}": a_flag(rules=[rule]) for number in range(3)},
                {"staff": {"version": 1, "change": None, "rules": [IN_STAFF]}},
            )
        )
    )
    groups = Groups(["staff"])
    assert [answer.value for _, answer in snapshot.evaluate_all({"groups": groups})] == [True, True, True]
    assert groups.looks == 1
    assert [key for key, _ in snapshot.evaluate_all({"groups": groups}, ["f2", "nowhere"])] == [
        "f2",
        "nowhere",
    ]


def test_all_flags_at_once_evaluate_what_several_of_them_need_once():
    base = a_flag(rules=[{"id": "r", "constraints": IN_STAFF, "serve": {"variant": "on"}}])
    needy = a_flag(prerequisites=[{"flag": "base", "variants": ["on"]}], default={"variant": "on"})
    snapshot = Snapshot.parse(signed(body_of({"base": base, "f1": needy, "f2": needy})))
    groups = Groups(["staff"])
    answers = snapshot.evaluate_all({"groups": groups}, ["f1", "f2"])
    assert [answer.value for _, answer in answers] == [True, True]
    assert groups.looks == 1
