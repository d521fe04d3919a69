"""Whatever stands in a bundle, the verifier accepts or refuses in one line: it never fails otherwise."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

from bundle_writer import HALF, OFF, ON, Ledger, change, jcs, operation, salted, seal, trust, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.bundle import BundleError, verify_bundle
from countersign.notes import NoteError, VerifierKey, read_note

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
RELAXED = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def full_ledger() -> Ledger:
    ledger = Ledger()
    _, closed = salted("name", "Alice")
    ledger.document(None, OFF, personal={"name": closed})
    plan = change("CR-1", operation(OFF, HALF), operation(HALF, ON, label="next"))
    ledger.agree(plan, "user:b")
    ledger.carry_out(plan, 0)
    ledger.review("applied", "service:applier", plan)
    ledger.kill(HALF)
    ledger.review_kill(ledger.last)
    ledger.review("rejected", "user:c", plan)
    return ledger


def judge(ledger: Ledger, **options: Any) -> None:
    """Verify the export; anything but a report or a one-line refusal is a failure of the test."""
    with tempfile.TemporaryDirectory() as directory:
        bundle = write(Path(directory) / "b", ledger, **options)
        judge_directory(bundle, ledger)


def judge_directory(bundle: Path, ledger: Ledger) -> None:
    for integrity_only in (False, True):
        reason = None
        try:
            report = verify_bundle(bundle, trust(ledger), integrity_only=integrity_only)
        except BundleError as refusal:
            reason = str(refusal)
        else:
            json.dumps(report.as_json())
            assert report.as_text()
        assert reason is None or (reason.isprintable() and len(reason) < 500)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here]
    if isinstance(value, dict):
        for name, inner in value.items():
            found += paths(inner, (*here, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += paths(inner, (*here, number))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@RELAXED
@given(data=st.data())
def test_any_value_in_the_place_of_any_other_is_judged(data: st.DataObject) -> None:
    ledger = full_ledger()
    index = data.draw(st.integers(0, ledger.size - 1))
    event = ledger.events[index]
    path = data.draw(st.sampled_from(paths(event)))
    try:
        ledger.lines[index] = jcs(replaced(event, path, data.draw(JSON)))
    except UnicodeEncodeError:
        return
    ledger.lines[index] = ledger.lines[index].replace(b"\n", b"")
    judge(ledger)


@RELAXED
@given(position=st.integers(0, 10_000), new=st.binary(max_size=4), length=st.integers(0, 4))
def test_any_bytes_in_an_entry_are_judged(position: int, new: bytes, length: int) -> None:
    ledger = full_ledger()
    index = position % ledger.size
    line = ledger.lines[index]
    at = position % (len(line) + 1)
    ledger.lines[index] = line[:at] + new.replace(b"\n", b"") + line[at + length :]
    judge(ledger)


@RELAXED
@given(
    name=st.sampled_from(
        ["checkpoint", "entries.ndjson", "previous.checkpoint", "consistency", "disclosures.ndjson"]
    ),
    position=st.integers(0, 10_000),
    new=st.binary(max_size=6),
    length=st.integers(0, 6),
)
def test_any_file_changed_and_signed_for_is_judged(name: str, position: int, new: bytes, length: int) -> None:
    ledger = full_ledger()
    salt, _ = salted("name", "Alice")
    with tempfile.TemporaryDirectory() as directory:
        disclosures = [{"index": 1, "name": "name", "salt": salt, "value": "Alice"}]
        bundle = write(Path(directory) / "b", ledger, previous=3, disclosures=disclosures)
        data = (bundle / name).read_bytes()
        at = position % (len(data) + 1)
        (bundle / name).write_bytes(data[:at] + new + data[at + length :])
        seal(bundle, ledger.key, size=ledger.size, first=0, withheld=0, previous=3)
        judge_directory(bundle, ledger)


@RELAXED
@given(order=st.permutations(range(1, 9)))
def test_events_in_any_order_are_judged(order: list[int]) -> None:
    ledger = full_ledger()
    events = [ledger.events[number] for number in order]
    for number, event in enumerate(events, 1):
        moved = {**event, "sequence": f"{number:016d}", "time": ledger.time(number)}
        ledger.lines[number] = jcs(moved)
    judge(ledger)


@RELAXED
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_note_or_none(raw: bytes) -> None:
    with contextlib.suppress(NoteError):
        assert read_note(raw).signatures


@RELAXED
@given(text=st.text(max_size=80))
def test_any_text_is_a_verifier_key_or_none(text: str) -> None:
    with contextlib.suppress(NoteError):
        assert str(VerifierKey.parse(text)) == text


def test_the_ledger_that_is_changed_here_is_accepted_unchanged(tmp_path: Path) -> None:
    ledger = full_ledger()
    report = verify_bundle(write(tmp_path / "b", ledger), trust(ledger))
    assert report.log_vouched == (4,)
