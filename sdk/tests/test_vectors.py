"""The language-neutral vectors: what any evaluator of this format answers. Their README tells the form."""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.util
import json
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

import pytest
from signed_snapshots import a_flag, body_of, signed

from countersign import Client, Snapshot, SnapshotError
from countersign.document import DocumentError, validate_environment, validate_flag, validate_segment

VECTORS = Path(__file__).parent / "vectors"
FILES = ("context", "order", "constraints", "segments", "bucketing", "refusals", "snapshots", "clients")


def document(name: str) -> dict:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def cases(*names: str) -> list[object]:
    return [pytest.param(case, id=case["name"]) for name in names for case in document(name)["cases"]]


def answer(result) -> dict:
    """A result in the vectors' form."""
    told = {"variant": result.variant, "value": result.value, "reason": result.reason}
    return told | ({"error_code": result.error_code} if result.error_code else {}) | dict(result.metadata)


def expected(expect: dict) -> dict:
    """What a vector expects, with what goes without saying."""
    full = {"flag_version": 7, "snapshot_version": 1287, **expect}
    return {name: value for name, value in full.items() if value is not None or name in ("variant", "value")}


@pytest.mark.parametrize("case", cases("context", "order", "segments"))
def test_a_flag_answers_what_the_vector_says(case, tmp_path):
    raw = signed(body_of(case["flags"], case.get("segments")))
    asked = case.get("key", "f"), case["context"], case.get("expected_type")
    (tmp_path / "snapshot").write_bytes(raw)
    client = Client.from_file(tmp_path / "snapshot", context=case.get("static_context"))
    results = [client.evaluate(*asked)]
    if "static_context" not in case:
        results.append(Snapshot.parse(raw).evaluate(*asked))
    for result in results:
        assert answer(result) == expected(case["expect"])
        assert type(result.value) is type(case["expect"]["value"])


@pytest.mark.parametrize("case", cases("constraints"))
def test_a_constraint_holds_where_the_vector_says(case):
    rules = [{"id": "r", "constraints": [case["constraint"]], "serve": {"variant": "on"}}]
    validate_flag("f", a_flag(rules=rules), segments=())
    result = Snapshot.parse(signed(body_of({"f": a_flag(rules=rules)}))).evaluate("f", case["context"])
    assert result.value is case["outcome"]


@pytest.mark.parametrize("case", cases("bucketing"))
def test_a_value_falls_into_the_slice_that_the_vector_says(case):
    split = {"by": "unit", "seed": case["seed"], "hash": case["hash"], "weights": case["weights"]}
    names = dict.fromkeys((name for name, _ in case["weights"]), True)
    flag = a_flag(variants=names, off=None, default={"split": split})
    validate_flag("f", flag, segments=())
    snapshot = Snapshot.parse(signed(body_of({"f": flag})))
    assert snapshot.evaluate("f", {"unit": case["value"]}).variant == case["variant"]


def md5_number(seed: str, value: str) -> int:
    text = t = f"{seed}{value}"
    while (number := int(hashlib.md5(t.encode()).hexdigest(), 16) % 9999) == 9998:  # noqa: S324
        t += f",{text}"
    return number


def sha1_number(seed: str, value: str) -> int:
    return min(int(hashlib.sha1(f"{seed}.{value}".encode()).hexdigest()[:15], 16), 16**15 - 2)  # noqa: S324


if importlib.util.find_spec("mmh3"):  # a murmur3 that is not ours, to check the vectors themselves

    def murmur3(data: bytes, seed: int = 0) -> int:
        return importlib.import_module("mmh3").hash(data, seed, False)

    def cbor_text(text: bytes) -> bytes:
        size = len(text)
        if size < 24:
            return bytes([0x60 + size]) + text
        return (bytes([0x78, size]) if size < 256 else b"\x79" + size.to_bytes(2, "big")) + text

    def by_the_page(case: dict) -> str | None:
        """The slice of a bucketing vector, by the page's formulas written once more."""
        seed, value = case["seed"], case["value"]
        value = value if type(value) is str else str(int(value))
        cumulative = list(accumulate(weight for _, weight in case["weights"]))
        total, text = cumulative[-1], f"{seed}.{value}".encode()
        units, unit = {
            "murmur3": lambda: (2**32, murmur3(text) * total),
            "murmur3-cbor": lambda: (2**32, murmur3(cbor_text(text)) * total),
            "unleash": lambda: (1, murmur3(f"{seed}:{value}".encode()) % total),
            "unleash-variant": lambda: (1, murmur3(f"{seed}:{value}".encode(), 86028157) % total),
            "flagsmith": lambda: (9998, md5_number(seed, value) * total),
            "launchdarkly": lambda: (16**15 - 1, sha1_number(seed, value) * total),
        }[case["hash"]]()
        return case["weights"][bisect_right([each * units for each in cumulative], unit)][0]

    @pytest.mark.parametrize("case", [each for each in cases("bucketing") if each.values[0]["variant"]])
    def test_a_bucketing_vector_is_what_the_page_s_formula_gives(case):
        assert by_the_page(case) == case["variant"]

    # open-feature/flagd-testbed, gherkin/targeting.feature: of four equal slices, v2 over the text as it is
    # and v3 over the CBOR text string; and the keys whose hashes are at the edges.
    @pytest.mark.parametrize(
        ("text", "plain", "cbor"),
        [
            ("fractional-flagjack", "hearts", "diamonds"),
            ("fractional-flagqueen", "spades", "diamonds"),
            ("fractional-flagten", "clubs", "clubs"),
            ("fractional-flagnine", "diamonds", "clubs"),
            ("fractional-flag3", "clubs", "spades"),
            ("shared-seedseven", "hearts", "hearts"),
            ("shared-seedeight", "diamonds", "hearts"),
            ("shared-seednine", "clubs", "diamonds"),
            ("shared-seedtwo", "spades", "diamonds"),
        ],
    )
    def test_the_formulas_give_what_flagd_publishes(text, plain, cbor):
        suits = ["clubs", "diamonds", "hearts", "spades"]
        assert suits[murmur3(text.encode()) * 4 >> 32] == plain
        assert suits[murmur3(cbor_text(text.encode())) * 4 >> 32] == cbor


@pytest.mark.parametrize("case", cases("refusals"))
def test_a_refusal_names_the_member(case):
    def publish() -> None:
        if "environment" in case:
            validate_environment(case["environment"]["flags"], case["environment"]["segments"])
        elif "segment" in case:
            validate_segment("beta", case["segment"])
        else:
            validate_flag("f", case["flag"], segments={"beta"})

    with pytest.raises(DocumentError) as refused:
        publish()
    assert refused.value.member == case["member"]
    assert str(refused.value) == f"{refused.value.member}: {refused.value.reason}"
    if "reason" in case:
        assert refused.value.reason == case["reason"]


def bytes_of(file: dict) -> bytes:
    return file["text"].encode() if "text" in file else base64.b64decode(file["base64"])


# What the SDK's message says for each kind of refusal.
REFUSALS = {
    "signature": "signature is refused",
    "origin": "origin",
    "environment": "is of environment",
    "length": "its head says .* bytes|body has .* bytes",
    "hash": "body has hash",
    "format": "unknown snapshot format|not a snapshot|signature is refused",
    "body": "line",
    "older": "older than",
    "rewritten": "another body",
}


@pytest.mark.parametrize("case", cases("snapshots"))
def test_a_snapshot_is_read_or_refused_as_the_vector_says(case):
    head = document("snapshots")
    verify = [head["keys"][name] for name in case.get("verify", [])]

    def take() -> Snapshot:
        snapshot = Snapshot.parse(bytes_of(case["file"]), verify=verify, environment=case.get("environment"))
        if "in_use" in case:
            assert snapshot.supersedes(Snapshot.parse(bytes_of(case["in_use"]))) is case.get("newer", True)
        return snapshot

    if "refused" in case:
        with pytest.raises(SnapshotError, match=REFUSALS[case["refused"]]):
            take()
        return
    snapshot = take()
    for name, value in case.get("read", {}).items():
        assert getattr(snapshot, name) == value
    assert [line[0] for line in case.get("answers", [])] == (snapshot.keys() if "answers" in case else [])
    for key, expect in case.get("answers", []):
        result = snapshot.evaluate(key, {})
        assert {name: answer(result).get(name) for name in expect} == expect


def test_each_sentence_of_the_page_has_a_vector():
    names = {name: {case["name"] for case in document(name)["cases"]} for name in FILES}
    sentences = document("sentences")["sentences"]
    for sentence in sentences:
        assert sentence["vectors"], sentence["says"]
        for vector in sentence["vectors"]:
            file, _, name = vector.partition(": ")
            assert name in names[file], vector
    assert {sentence["section"] for sentence in sentences} == {1, 2, 3, 4, 5, 6}
