"""Events taken apart by patterns, here or by a second process, are those that the slow reading reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bundle_writer import HALF, OFF, Ledger, change, digest, operation, salted, trust, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_bundle_mutations import make, mutate_form, mutate_value

from countersign.bundle import BundleError, verify, verify_bundle
from countersign.bundle.blobs import Blobs
from countersign.bundle.changes import read_change
from countersign.bundle.events import Event, read_event
from countersign.bundle.files import BundleFiles
from countersign.bundle.log import Log
from countersign.bundle.refusal import RuleError
from countersign.bundle.usual import UsualEvents, event_of


def usual_ledger() -> Ledger:
    """Events that all are usual but the first, the kill and its review."""
    ledger = Ledger()
    _, closed = salted("name", "Alice")
    plan = change("CR-1", operation(OFF, HALF), rationale="Größer \U0001f600")
    ledger.document(None, OFF, personal={"name": closed})
    ledger.propose(plan, personal={"name": closed})
    by_token = {"credential": "token/7", "id": "user:b", "via": "api"}
    review = {"actor": by_token, "change_id": "CR-1", "digest": digest(plan)}
    ledger.event("approvals.v1.change_request.approved", review, "change/CR-1")
    ledger.carry_out(plan, personal={"name": closed})
    ledger.review("applied", "service:applier", plan)
    ledger.kill(HALF)
    ledger.review_kill(ledger.last)
    return ledger


def read_at_length(line: bytes, index: int, origin: str) -> Event:
    """The event by parsing, in the form in which a usual one is read."""
    event, blobs = read_event(line, index, origin), Blobs(BundleFiles(Path()))
    data = dict(event.data)
    if "change" in data:
        event = replace(event, change=read_change(data["change"], event.encode, blobs))
        data["change"] = None
    if "before" in data:
        before, after = (
            blobs.form_digest(data[name], event.encode(data[name])) for name in ("before", "after")
        )
        event = replace(event, documents=(before, after))
        data["before"] = data["after"] = None
    return replace(event, data=data)


def compare(usual: UsualEvents, line: bytes, index: int, origin: str) -> bool:
    """Whether the line is a usual event; then it is what parsing makes of it."""
    row = usual.read(line, index)
    if row is None:
        return False
    by_parsing = read_at_length(line, index, origin)
    assert event_of(row, index) == replace(by_parsing, encode=event_of(row, index).encode)
    return True


def test_usual_events_are_known_as_such() -> None:
    ledger = usual_ledger()
    usual = UsualEvents(ledger.origin)
    found = [compare(usual, line, index, ledger.origin) for index, line in enumerate(ledger.lines)]
    assert found == [False, True, True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'":', b'": '),
        (b'"operation":0', b'"operation":00'),
        (b'"operation":0', b'"operation":-0'),
        (b'"operation":0', b'"operation":9007199254740992'),
        (b'"required_approvals":1', b'"required_approvals":1.0'),
        (b'production/flag/banner":0}', b'production/flag/banner":01}'),
        (b'production/flag/banner":0}', b'production/flag/other":0}'),
        (b'{"enabled":false}', b'{"enabled":false,"enabled":false}'),
        (b'"enabled":true,"split":50000', b'"split":50000,"enabled":true'),
        (b'"split":50000', b'"split":5e4'),
        (b'"split":50000', b'"split":9007199254740992'),
        (b'"split":50000', b'"split":' + b"[" * 300 + b"]" * 300),
        (b'"split":50000', '"😀":1,"":1'.encode()),
        (b'"split":50000', '"":1,"😀":1'.encode()),
        (b'"split":50000', b'"split":"' + b"x" * 9_000 + b'"'),
        (b'{"enabled":false}', b'{"blob":"sha256:' + b"0" * 64 + b'","size":17}'),
        (b'"before":', b'"before":{"before":1},"before":'),
        (b'"ui"', b'"\\u0075i"'),
        (b'"ui"', b'"u\ti"'),
        (b'"ui"', b'"u\xffi"'),
        (b"Banner on", b"Banner\\non"),
        (b"sha256:", b"sha256:F"),
        (b"-4", b"-5"),
        (b"2026-01-05", b"2026-02-30"),
        (b"T09", b"T24"),
        (b'"sequence":"0', b'"sequence":"1'),
        (b'"source":"flags', b'"source":"other'),
        (b'"specversion":"1.0"', b'"specversion":"1.1"'),
        (b'"subject":"', b'"subject":"/'),
        (b'","type"', b'","traceparent":"00","type"'),
        (b'"personal":{"name"', b'"personal":{"email":"","name"'),
        (b"}", b"} "),
        (b'"id":"user:a"', b'"id":""'),
    ],
)
def test_what_is_not_quite_usual_is_not_taken_for_it(old: bytes, new: bytes) -> None:
    ledger = usual_ledger()
    usual = UsualEvents(ledger.origin)
    places = 0
    for index, line in enumerate(ledger.lines):
        # The whole line once, so that its documents are known, and then changed in each place.
        usual.read(line, index)
        parts = line.split(old)
        for place in range(1, len(parts)):
            changed = old.join(parts[:place]) + new + old.join(parts[place:])
            compare(usual, changed, index, ledger.origin)
            places += 1
    assert places


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**64))
def test_a_usual_event_is_what_parsing_makes_of_it(seed: int) -> None:
    random = Random(seed)
    made, _ = make(random)
    made.ledger.lines += usual_ledger().lines
    for mutate in random.choices([mutate_value, mutate_form], k=random.randint(0, 6)):
        try:
            mutate(random, made)
        except ValueError:  # a value to be changed in what is no JSON any more
            break
    usual = UsualEvents(made.ledger.origin)
    for index, line in enumerate(made.ledger.lines):
        number = line.partition(b'"sequence":"')[2][:16]
        for changed in (line, with_bytes_changed(random, line)):
            compare(usual, changed, int(number) if number.isdigit() else index, made.ledger.origin)


def with_bytes_changed(random: Random, line: bytes) -> bytes:
    """One or two characters exchanged for ones that mean something to JSON, or dropped."""
    changed = bytearray(line)
    for _ in range(random.randint(1, 2)):
        place = random.randrange(len(changed)) if changed else 0
        changed[place : place + random.randint(0, 2)] = random.choice(
            [b'"', b",", b"{", b"}", b"0", b"\\", b" ", b""]
        )
    return bytes(changed)


def with_line(number: int, new: Callable[[bytes], bytes]) -> Callable[[Ledger], None]:
    def put(ledger: Ledger) -> None:
        ledger.lines[number] = new(ledger.lines[number])

    return put


@pytest.mark.parametrize(
    "spoil",
    [
        lambda ledger: None,
        with_line(3, lambda line: line.replace(b"user:b", b"user:a")),
        with_line(4, lambda line: line.replace(b'"operation":0', b'"operation":00')),
        with_line(5, lambda line: b" " * 70_000),
        with_line(5, lambda line: line + b"\n"),
    ],
    ids=["accepted", "approved by the proposer", "not canonical", "too long", "one too many"],
)
def test_a_second_process_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Ledger], None]
) -> None:
    ledger = usual_ledger()
    spoil(ledger)
    bundle = write(tmp_path / "b", ledger, withheld=[1])
    outcomes = []
    for worth in (0, 2**40):
        monkeypatch.setattr(verify, "WORTH_A_PROCESS", worth)
        try:
            outcomes.append(str(verify_bundle(bundle, trust(ledger, max_withheld=1), read_ahead=True)))
        except BundleError as refusal:
            outcomes.append(str(refusal))
    assert outcomes[0] == outcomes[1]


class Started:
    """The second processes that were started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        start = subprocess.Popen

        def started(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
            self.processes.append(start(*arguments, **options))
            return self.processes[-1]

        monkeypatch.setattr(subprocess, "Popen", started)
        monkeypatch.setattr(verify, "WORTH_A_PROCESS", 0)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    return Started(monkeypatch)


@pytest.fixture
def long_bundle(tmp_path: Path) -> tuple[Path, Ledger]:
    """More than a pipe holds, so that the second process waits until it is read from, or ended."""
    ledger = Ledger()
    for _ in range(60):
        ledger.event("app.v1.happened", {"actor": {"id": "user:a", "via": "ui"}, "text": "x" * 60_000})
    return write(tmp_path / "b", ledger), ledger


@pytest.mark.parametrize("error", [RuleError("no"), KeyboardInterrupt()])
def test_the_second_process_ends_with_a_refusal_and_with_an_interrupt(
    long_bundle: tuple[Path, Ledger], started: Started, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def take(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Log, "take", take)
    bundle, ledger = long_bundle
    with pytest.raises((BundleError, KeyboardInterrupt)):
        verify_bundle(bundle, trust(ledger), read_ahead=True)
    (process,) = started.processes
    assert process.returncode is not None


def test_a_bundle_is_refused_when_the_second_process_is_killed(
    long_bundle: tuple[Path, Ledger], started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Log, "take", lambda *_: started.processes[0].kill())
    bundle, ledger = long_bundle
    with pytest.raises(BundleError, match="the process that reads it ended early"):
        verify_bundle(bundle, trust(ledger), read_ahead=True)


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_where_no_second_process_starts_one_does_it_all(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch, python: str
) -> None:
    ledger = usual_ledger()
    bundle = write(tmp_path / "b", ledger)
    monkeypatch.setattr(sys, "executable", python)
    assert verify_bundle(bundle, trust(ledger), read_ahead=True) == verify_bundle(bundle, trust(ledger))


def test_a_module_in_the_working_directory_is_not_run(
    tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = usual_ledger()
    bundle = write(tmp_path / "b", ledger)
    (tmp_path / "json.py").write_text("import pathlib; pathlib.Path('run').touch()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    verify_bundle(bundle, trust(ledger), read_ahead=True)
    assert not (tmp_path / "run").exists()
    assert len(started.processes) == 1
