"""Hostile files and documents: refused with the declared error, or read right; never anything else.

A few hundred examples in every run; ``--hypothesis-profile=prove`` tries for minutes.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st
from signed_snapshots import SigningKey, a_flag, body_of, signed

from countersign import Snapshot, SnapshotError, evaluate
from countersign.document import DocumentError, validate_environment, validate_flag, validate_segment
from countersign.jsonline import DEEPEST, LineError, read_line

KEY = SigningKey(seed=b"\x07" * 32)
SPLIT = {"by": "targetingKey", "seed": "s", "hash": "murmur3", "weights": [["on", 1], [None, 3], ["off", 4]]}


def constraint(attribute: str, operator: str, *values: object) -> dict:
    return {"attribute": attribute, "operator": operator, "values": list(values), "negate": True}


RICH = a_flag(
    change="CR-12.2",
    killed=False,
    client_side=True,
    regions={"eu": False, "us": True},
    prerequisites=[{"flag": "base", "variants": ["on", "off"]}],
    targets={"on": ["u1", "u2"], "off": ["u3"]},
    rules=[
        {"id": "a", "constraints": [constraint("country", "in", "DE", 1, True)], "serve": {"split": SPLIT}},
        {
            "id": "b",
            "constraints": [constraint("v", "semver_caret", "1.2.0-rc.1+b")],
            "serve": {"variant": "on"},
        },
        {
            "id": "c",
            "constraints": [constraint("t", "before", "2026-01-01T00:00:00.5Z")],
            "serve": {"split": SPLIT},
        },
        {
            "id": "d",
            "constraints": [constraint("ip", "ip_in", "10.0.0.0/8", "::/0")],
            "serve": {"variant": "off"},
        },
        {"id": "e", "constraints": [constraint("", "in_segment", "beta")], "serve": {"variant": "on"}},
        {"id": "f", "constraints": [constraint("n", "gte", 1.5)], "serve": {"variant": "on"}},
        {"id": "g", "constraints": [constraint("tags", "includes", "x")], "serve": {"variant": "on"}},
    ],
    default={"split": {**SPLIT, "hash": "flagsmith", "weights": [["on", 1], ["off", 1]]}},
)
OBJECT = a_flag(
    type="object", variants={"on": {"ö": [1, {"a": None}]}, "off": {}}, fail_safe="last_known_good"
)
SEGMENT = {
    "version": 3,
    "included": ["u1"],
    "excluded": ["u9"],
    "rules": [[constraint("country", "starts_with", "D")], []],
}
TAIL = a_flag(prerequisites=[{"flag": "rich", "variants": ["on"]}])
FLAGS = {"base": a_flag(), "object": OBJECT, "rich": RICH, "tail": TAIL}
BODY = body_of(FLAGS, {"beta": SEGMENT})
FILE = signed(BODY, KEY)
CONTEXTS: list[dict[str, Any]] = [
    {},
    {"targetingKey": "u1", "country": "DE", "v": "1.2.0", "t": 0, "ip": "10.1.2.3", "n": 2, "tags": ["x"]},
    {
        "targetingKey": 7,
        "country": 1,
        "v": "x",
        "t": "2026-01-01T00:00:00Z",
        "ip": "::1",
        "n": 1e400,
        "tags": [1],
    },
    {"targetingKey": "\ud800", "country": None, "region": "eu", "n": 10**400, "t": 1e308},
]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "\ud800", "on", "off", "in", "regex", "u1", "targetingKey", "murmur3", "a" * 129])
    | st.sampled_from([-1, 0, 1, 2**31, 2**53, -(2**53), 10**30, 1e300, -0.0, 1.5])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
TOKENS = st.sampled_from(
    [
        *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\n\n", b"\r\n", b"\0", b"\xff"),
        *(b"null", b"true", b"NaN", b"-0", b"1e999", b"0.1e-400", b"9" * 400, b"[" * 40, b'{"a":' * 40),
        *(b'"\\ud800"', b'"\\u0061"', b"\\u0000", b'"x":1,', b"\xef\xbb\xbf", b"version 9\n"),
        *("— x y\n".encode(), b"countersign-snapshot/v2"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """The bytes after a few changes of the kinds that a fault or an attacker makes."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 1) | st.integers(0, 200)))
        kind = draw(st.sampled_from(["replace", "insert", "delete", "repeat", "cut", "flip", "lines"]))
        if kind == "replace":
            data[at:to] = draw(TOKENS | st.binary(max_size=8))
        elif kind == "insert":
            data[at:at] = draw(TOKENS | st.binary(max_size=8))
        elif kind == "delete":
            del data[at:to]
        elif kind == "repeat":
            data[at:at] = data[at:to]
        elif kind == "cut":
            del data[at:]
        elif kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "lines":
            lines = bytes(data).split(b"\n")
            index = draw(st.integers(0, len(lines) - 1))
            lines.insert(draw(st.integers(0, len(lines))), lines[index])
            data[:] = b"\n".join(lines)
    return bytes(data)


def answers_of(snapshot: Snapshot) -> None:
    """Asks for everything there is; whatever the lines hold, each answer is a result."""
    for key in [*snapshot.keys(), "nowhere"]:
        snapshot.flag_type(key)
        for context in CONTEXTS:
            for expected_type in (None, "boolean", "float", "object"):
                result = snapshot.evaluate(key, context, expected_type)
                assert (result.variant is None) or result.reason != "ERROR"
                assert (result.reason == "ERROR") == (result.error_code is not None)
                assert evaluate(snapshot, key, context, expected_type, region="eu", stale=True).reason in (
                    "STALE",
                    "ERROR",
                )
    snapshot.changed_keys(whole())


@cache
def whole() -> Snapshot:
    return Snapshot.parse(FILE, verify=[KEY.vkey])


@given(mutated(FILE))
def test_a_changed_file_is_never_taken_for_what_was_signed(raw):
    with contextlib.suppress(SnapshotError):
        snapshot = Snapshot.parse(raw, verify=[KEY.vkey], environment="shop/production")
        # Signatures by others, or the same once more, may stand beside: they change nothing that is read.
        assert (snapshot.head_text, snapshot.body) == (whole().head_text, BODY)


def test_no_single_byte_of_a_signed_file_can_be_changed():
    for position in range(len(FILE)):
        changed = bytearray(FILE)
        changed[position] ^= 1 << position % 8
        with contextlib.suppress(SnapshotError):
            Snapshot.parse(bytes(changed), verify=[KEY.vkey])
            raise AssertionError(f"accepted with byte {position} changed")


@given(mutated(FILE))
def test_a_changed_file_is_refused_or_read_without_a_key_too(raw):
    with contextlib.suppress(SnapshotError):
        answers_of(Snapshot.parse(raw))


@given(mutated(BODY))
@example(b'{"segments":{}}\n["f",' + b"[" * 200_000 + b"]" * 200_000 + b"]\n")
@example(b'{"segments":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"}\n")
def test_whatever_a_server_signs_is_refused_or_answered(body):
    with contextlib.suppress(SnapshotError):
        answers_of(Snapshot.parse(signed(body, KEY), verify=[KEY.vkey]))


@given(mutated(BODY[BODY.index(b'["rich"') : BODY.index(b'["tail"') - 1]))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"1" * 100_000)
@example(b'["' + b"\\" * 100_000)
def test_a_line_is_refused_or_is_what_json_says(line):
    value = reason = None
    try:
        value = read_line(line)
    except LineError as error:
        reason = str(error)
    if reason is not None:
        assert reason.isprintable()
        assert len(reason) < 300
        return
    text = line.decode()
    assert value == json.loads(text, parse_int=lambda digits: whole_number(digits))
    rfc8785.dumps(value)  # which refuses lone surrogates, NaN and integers that are none
    assert depth(value) <= DEEPEST


def whole_number(digits: str) -> float:
    return int(digits) if len(digits) < 17 and abs(int(digits)) < 2**53 else float(digits)


def depth(value: object) -> int:
    inner = value.values() if type(value) is dict else value if type(value) is list else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@st.composite
def spoilt(draw: st.DrawFn, original: object) -> Any:
    """The document with one member somewhere replaced, left out, or written beside another."""
    document = copy.deepcopy(original)
    here: Any = document
    while True:
        places = list(here) if type(here) is dict else list(range(len(here)))
        if not places:
            return document
        place = draw(st.sampled_from(places))
        if type(here[place]) in (dict, list) and here[place] and draw(st.integers(0, 3)):
            here = here[place]
            continue
        what = draw(st.sampled_from(["replace", "delete", "add", "repeat"]))
        if what == "replace":
            here[place] = draw(JSON)
        elif what == "delete":
            del here[place]
        elif type(here) is dict:
            here[draw(st.text(max_size=4) | st.sampled_from(["", "\ud800", "on", "variant", "note"]))] = draw(
                JSON
            )
        else:
            here.append(here[place] if what == "repeat" else draw(JSON))
        return document


def refused(check: Callable[[], None]) -> bool:
    """Whether a document is refused: then by naming a member, on one short line."""
    refusal = None
    try:
        check()
    except DocumentError as error:
        refusal = error
    if refusal is not None:
        assert refusal.member
        assert str(refusal).isprintable()
        assert len(refusal.reason) < 400
    return refusal is not None


def test_the_documents_that_are_spoilt_below_are_fine_as_they_are():
    validate_environment(FLAGS, {"beta": SEGMENT})
    assert {whole().evaluate(key, {}).error_code for key in FLAGS} == {None}


@given(spoilt(RICH))
def test_a_flag_is_refused_by_name_or_every_reader_reads_it(flag):
    if refused(lambda: validate_flag("f", flag, segments={"beta"})):
        return
    snapshot = Snapshot.parse(signed(body_of({"f": flag}, {"beta": SEGMENT}), KEY))
    assert snapshot.evaluate("f", {}).error_code is None
    answers_of(snapshot)


@given(spoilt(SEGMENT))
def test_a_segment_is_refused_by_name_or_every_reader_reads_it(segment):
    if refused(lambda: validate_segment("beta", segment)):
        return
    snapshot = Snapshot.parse(signed(body_of({"f": {**RICH, "prerequisites": []}}, {"beta": segment}), KEY))
    assert snapshot.evaluate("f", {}).error_code is None
    answers_of(snapshot)


@given(spoilt({"flags": FLAGS, "segments": {"beta": SEGMENT}}))
def test_an_environment_is_refused_by_name_or_every_reader_reads_it(environment):
    flags, segments = environment.get("flags", {}), environment.get("segments", {})
    if type(flags) is not dict or type(segments) is not dict:
        return
    if refused(lambda: validate_environment(flags, segments)):
        return
    snapshot = Snapshot.parse(signed(body_of(flags, segments), KEY))
    assert all(snapshot.evaluate(key, {}).error_code is None for key in flags)
    answers_of(snapshot)


@given(st.binary(max_size=300) | mutated(FILE[: FILE.index(BODY)]))
def test_a_head_without_a_body_is_refused(raw):
    with contextlib.suppress(SnapshotError):
        Snapshot.parse(raw)
        raise AssertionError("accepted without a body")


@given(st.text(max_size=200) | st.builds(lambda raw: base64.b64encode(raw).decode(), mutated(FILE[:300])))
def test_whatever_is_given_as_a_key_to_verify_with_is_refused(vkey):
    with contextlib.suppress(SnapshotError):
        Snapshot.parse(FILE, verify=[vkey])
        raise AssertionError("accepted")
