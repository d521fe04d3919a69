"""Bundles changed at random and signed again, as whoever holds the log's key can: refused, or right.

What right means is checked here a second time: every line by a slow reading of its own, and the reviews
by the model in ``review_model``.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import rfc8785
from bundle_writer import ORIGIN, b64u, digest, jcs, salted, seal, trust, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from review_model import BLOBS, History, history, judge

from countersign.bundle import BundleError, Report, verify_bundle

ACTOR = {"id": "user:a", "via": "ui"}
VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    -1,
    2**53,
    0.5,
    1e-7,
    1e16,
    1e300,
    "",
    "x",
    "user:a",
    [],
    {},
    {"id": "user:b"},
]
NAMES = [
    "",
    "a",
    "before",
    "after",
    "change",
    "change_request",
    "personal",
    "actor",
    "repeat",
    "\ue000",
    "\U0001f600",
]


def make(random: Random) -> tuple[History, list[dict[str, Any]]]:
    """A history with fractions, characters beyond U+FFFF, personal data and the disclosures of it."""
    made = history(random, random.randint(1, 25))
    disclosures = []
    for number in range(random.randint(0, 3)):
        personal = {}
        for name in random.sample(["name", "ip", "n\u00e4me", "\ue000", "\U0001f600"], random.randint(0, 3)):
            salt, personal[name] = salted(name, f"value {number}")
            if random.random() < 0.7:
                disclosures.append(
                    {"index": made.ledger.size, "name": name, "salt": salt, "value": f"value {number}"}
                )
        value = random.choice([0.5, 1, "\ue000", {"\ue000": 1, "\U0001f600": 2}, [1e-7], 'a\nb\\"', "\u00e9"])
        made.ledger.event("app.v1.happened", {"actor": ACTOR, "value": value, "personal": personal})
        made.ledger.lines[-1] = rfc8785.dumps(made.ledger.last)
    random.shuffle(disclosures)
    return made, disclosures


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for name, member in inner for path in paths(member, (*here, name)))]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def mutate_value(random: Random, made: History) -> None:
    """Change, remove, add or rename something in an event, which stays canonical."""
    index = random.randrange(made.ledger.size)
    event = json.loads(made.ledger.lines[index])
    path = random.choice([path for path in paths(event) if path])
    parent, name = at(event, path[:-1]), path[-1]
    other = json.loads(random.choice(made.ledger.lines))
    kind = random.randrange(5)
    if kind == 0:
        parent[name] = random.choice(VALUES)
    elif kind == 1:
        parent[name] = at(other, random.choice(paths(other)))
    elif kind == 2:
        del parent[name]
    elif isinstance(parent, dict):
        value = parent.pop(name) if kind == 3 else random.choice(VALUES)
        parent[random.choice(NAMES)] = value
    else:
        parent.append(random.choice(VALUES))
    try:
        made.ledger.lines[index] = rfc8785.dumps(event)
    except (rfc8785.IntegerDomainError, rfc8785.FloatDomainError):
        made.ledger.lines[index] = jcs(event)


FORMS = [
    (rb'":', b'": '),
    (rb",", b", "),
    (rb"([0-9])([,}\]])", rb"\1.0\2"),
    (rb"([0-9])([,}\]])", rb"\1e0\2"),
    (rb":0([,}])", rb":-0\1"),
    (rb"0\.5", b"5e-1"),
    (rb"1e-7", b"1e-07"),
    (rb'"user', rb'"\\u0075ser'),
    (rb"\\n", rb"\\u000a"),
    (rb"\xf0\x9f\x98\x80", rb"\\ud83d\\ude00"),
    (rb"\xf0\x9f\x98\x80", rb"\\ud83d"),
    (rb'"via":"ui"', b'"via":"ui","via":"ui"'),
    (rb'("id":"[^"]*"),("via":"ui")', rb"\2,\1"),
    (rb'("[a-z]+":[0-9]+),("[a-z]+":[0-9]+)', rb"\2,\1"),
    (rb'"type":"', b'"traceparent":"00","type":"'),
    (rb"\}$", b"}}"),
    (rb"$", b" "),
    (rb"^", b"\xef\xbb\xbf"),
]


def mutate_form(random: Random, made: History) -> None:
    """Write the same event in another form."""
    index = random.randrange(made.ledger.size)
    old, new = random.choice(FORMS)
    made.ledger.lines[index] = re.sub(old, new, made.ledger.lines[index], count=1)


def mutate_order(random: Random, made: History) -> None:
    """Drop, repeat or exchange events, and number them anew."""
    lines = made.ledger.lines
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(3)
    if kind == 0 and len(lines) > 1:
        del lines[one]
    elif kind == 1:
        lines.insert(other, lines[one])
    else:
        lines[one], lines[other] = lines[other], lines[one]
    made.hidden.clear()
    for index, line in enumerate(lines):
        lines[index] = re.sub(rb'"sequence":"[0-9]*"', b'"sequence":"%016d"' % index, line)
    if random.random() < 0.7:
        for index, line in enumerate(lines):
            time = made.ledger.time(index).encode()
            lines[index] = re.sub(rb'"time":"[^"]*"', b'"time":"%b"' % time, line)


def mutate_disclosures(random: Random, disclosures: list[dict[str, Any]]) -> None:
    if disclosures:
        chosen = random.choice(disclosures)
        name = random.choice(list(chosen))
        chosen[name] = random.choice([*VALUES[:7], "name", b64u(bytes(16)), chosen[name]])
    if disclosures and random.random() < 0.3:
        disclosures.append(dict(random.choice(disclosures)))


def judge_mutated(random: Random) -> str:
    """Make, mutate, sign and verify one bundle; fails when it is accepted and wrong, or the verifier breaks."""
    made, disclosures = make(random)
    kinds = [mutate_value, mutate_order, mutate_form]
    # Forms last: what is no JSON any more has no values to change.
    for mutate in sorted(random.choices(kinds, (2, 1, 1), k=random.randint(0, 3)), key=kinds.index):
        mutate(random, made)
    if random.random() < 0.3:
        mutate_disclosures(random, disclosures)
    shown = b"".join(line for index, line in enumerate(made.ledger.lines) if index not in made.hidden)
    blobs = [value for value in BLOBS.values() if digest(value).encode() in shown]
    with tempfile.TemporaryDirectory() as directory:
        bundle = write(
            Path(directory) / "b", made.ledger, withheld=made.hidden, blobs=blobs, disclosures=disclosures
        )
        try:
            report = verify_bundle(bundle, trust(made.ledger, max_withheld=len(made.hidden), **made.policy))
        except BundleError as refusal:
            reason = str(refusal)
        else:
            check_right(made, disclosures, report)
            return "accepted"
    if not reason.isprintable() or len(reason) > 500:
        raise AssertionError(reason)
    return "refused"


def check_right(made: History, disclosures: list[dict[str, Any]], report: Report) -> None:
    """What was accepted is what the specification accepts."""
    ids, last = set(), ""
    lines = enumerate(made.ledger.lines)
    made.ledger.events = [{} if index in made.hidden else read(line) for index, line in lines]
    personal: dict[tuple[int, str], str] = {}
    for index, event in made.visible(made.ledger.size):
        check_shape(event, index)
        assert event["id"] not in ids
        assert event["time"] >= last
        ids.add(event["id"])
        last = event["time"]
        personal |= {(index, name): value for name, value in event["data"].get("personal", {}).items()}
    verdict = judge(made)
    assert verdict.refused is None
    assert report.log_vouched == tuple(verdict.log_vouched)
    assert report.unreviewed == tuple(verdict.unreviewed)
    assert report.emergency_unreviewed == tuple(verdict.emergency_unreviewed)
    for line in disclosures:
        salt, name = line["salt"], line["name"]
        assert salted_digest(salt, name, line["value"]) == personal.pop((line["index"], name))
    assert (report.disclosed, report.erased) == (len(disclosures), len(personal))


def read(line: bytes) -> dict[str, Any]:
    """An event read slowly: every object with its names once, the same bytes when written again."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    event = json.loads(line, object_pairs_hook=members)
    assert rfc8785.dumps(event) == line
    assert isinstance(event, dict)
    return event


def check_shape(event: dict[str, Any], index: int) -> None:
    texts = {name: value for name, value in event.items() if name != "data"}
    assert all(
        isinstance(value, str) and re.fullmatch("[a-z0-9]{1,20}", name) for name, value in texts.items()
    )
    assert isinstance(event["data"], dict)
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", event["id"])
    assert (texts["specversion"], texts["source"], texts["datacontenttype"]) == (
        "1.0",
        ORIGIN,
        "application/json",
    )
    assert texts["sequence"] == str(index).zfill(16)
    assert (
        datetime.strptime(texts["time"], "%Y-%m-%dT%H:%M:%S.%fZ").isoformat(timespec="microseconds") + "Z"
        == (texts["time"])
    )
    for segment in texts["subject"].split("/") if "subject" in texts else []:
        assert re.fullmatch("[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", segment)


def salted_digest(salt: str, name: str, value: Any) -> str:
    assert len(salt) >= 22
    return b64u(hashlib.sha256(rfc8785.dumps([salt, name, value])).digest())


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**64))
def test_mutated_bundles_are_refused_or_right(seed: int) -> None:
    judge_mutated(Random(seed))


def test_every_byte_of_a_bundle_is_bound(tmp_path: Path) -> None:
    random = Random(1)
    made, disclosures = make(random)
    while judge(made).refused is not None or not disclosures:
        made, disclosures = make(random)
    shown = b"".join(line for index, line in enumerate(made.ledger.lines) if index not in made.hidden)
    blobs = [value for value in BLOBS.values() if digest(value).encode() in shown]
    bundle = write(
        tmp_path / "b", made.ledger, withheld=made.hidden, blobs=blobs, disclosures=disclosures, previous=1
    )
    known = trust(made.ledger, max_withheld=len(made.hidden), **made.policy)
    verify_bundle(bundle, known)
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for place in random.sample(range(len(whole)), min(60, len(whole))):
            changed = bytearray(whole)
            changed[place] ^= 1 << random.randrange(8)
            path.write_bytes(changed)
            for integrity_only in (False, True):
                with pytest.raises(BundleError):
                    verify_bundle(bundle, known, integrity_only=integrity_only)
        path.write_bytes(whole)
    verify_bundle(bundle, known)


def test_entries_that_are_not_the_listed_ones_are_refused_for_that(tmp_path: Path) -> None:
    made, _ = make(Random(3))
    bundle = write(tmp_path / "b", made.ledger, withheld=made.hidden)
    entries = bundle / "entries.ndjson"
    entries.write_bytes(entries.read_bytes().replace(b'"1.0"', b'"1.1"', 1))
    for integrity_only in (False, True):
        with pytest.raises(BundleError, match=r"entries.ndjson: has another digest than the manifest says"):
            verify_bundle(bundle, trust(made.ledger), integrity_only=integrity_only)
    seal(bundle, made.ledger.key, size=made.ledger.size, first=0, withheld=len(made.hidden))
    with pytest.raises(BundleError, match=r"line 1 \(index 0\): 'specversion' is not 1.0"):
        verify_bundle(bundle, trust(made.ledger))
