"""``countersign verify-proof``: one event by its audit path and the log's checkpoint, without the rest."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from bundle_writer import OFF, ON, ORIGIN, Key, Ledger, b64, jcs, trust
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.bundle import BundleError
from countersign.bundle.proof import check_proof
from countersign.cli import main

WITNESS = Key("witness.example.org/w1", 9, kind=4)


def a_ledger(size: int = 7) -> Ledger:
    ledger = Ledger()
    for number in range(size - 1):
        ledger.document(OFF if number % 2 else ON, ON if number % 2 else OFF)
    return ledger


def refused(ledger: Ledger, proof: str | bytes, line: bytes, reason: str, **policy: Any) -> None:
    data = proof if isinstance(proof, bytes) else proof.encode()
    with pytest.raises(BundleError, match=reason):
        check_proof(data, line, trust(ledger, **policy))


def test_every_event_is_proved_in_trees_of_every_size() -> None:
    for size in range(1, 18):
        ledger = a_ledger(size)
        for index, line in enumerate(ledger.lines):
            report = check_proof(ledger.proof(index).encode(), line + b"\n", trust(ledger))
            assert (report.event.index, report.size, report.origin) == (index, size, ORIGIN)
            assert report.event.id == ledger.events[index]["id"]


def test_no_other_event_is_proved_in_its_place() -> None:
    ledger = a_ledger()
    moved = {**ledger.events[2], "sequence": f"{3:016d}"}
    refused(ledger, ledger.proof(3), ledger.lines[2], "'sequence' is not the index")
    refused(ledger, ledger.proof(3), jcs(moved), "does not lead from the event")
    refused(ledger, ledger.proof(3).replace("index 3", "index 2"), ledger.lines[2], "does not lead")
    refused(ledger, ledger.proof(3).replace("index 3", "index 7"), jcs(moved), "'sequence'")


def test_an_event_beyond_the_checkpoint_is_not_proved() -> None:
    ledger = a_ledger()
    proof = ledger.proof(6).replace("index 6", "index 7")
    ledger.document(OFF, ON)
    refused(ledger, proof, ledger.lines[7], "index 7 is not in a tree of 7 entries")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("@v1", "@v2"), "does not start with c2sp.org/tlog-proof@v1"),
        (lambda text: "\n" + text, "does not start with"),
        (lambda text: text.replace("index 3", "index 03"), "decimal"),
        (lambda text: text.replace("index 3", "index  3"), "decimal"),
        (lambda text: text.replace("index 3\n", ""), "has no 'index'"),
        (lambda text: text.replace("index 3\n", "index 3\nAAAA\n"), "a hash of the audit path"),
        (lambda text: text.replace("index 3", "extra ?\nindex 3"), "'extra'"),
        (lambda text: text.replace("index 3", "extra AAAA\nextra AAAA\nindex 3"), "has no 'index'"),
        (lambda text: text.replace("index 3", "index 3\u00e9"), "not ASCII"),
        (lambda text: text.split("\n\n")[0] + "\n", "no empty line"),
        (lambda text: text.replace("\n\n", "\n\n\n", 1), "does not know log ''"),
        (lambda text: text.replace(f"\n{ORIGIN}\n", "\nelsewhere\n"), "does not know log 'elsewhere'"),
        (lambda text: text.replace("\n7\n", "\n8\n"), "does not verify"),
        (lambda text: text[: text.rindex("\u2014")], "note"),
    ],
)
def test_a_proof_that_is_malformed_or_changed_is_refused(change: Any, reason: str) -> None:
    ledger = a_ledger()
    proof = ledger.proof(3)
    assert change(proof) != proof
    refused(ledger, change(proof), ledger.lines[3], reason)


def test_what_extra_holds_is_ignored_because_nothing_vouches_for_it() -> None:
    ledger = a_ledger()
    check_proof(ledger.proof(3, extra=f"extra {b64(b'a note')}\n").encode(), ledger.lines[3], trust(ledger))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda line: line + b" ", "canonical"),
        (lambda line: line + b"\r\n", "canonical"),
        (lambda line: line + b"\n\n", "one line"),
        (lambda line: line + b"x" * 70_000, "one line"),
        (lambda line: b"", "JSON"),
        (lambda line: jcs({"leaf_hash": b64(bytes(32)), "reason": "pruned"}), "a withheld entry"),
        (lambda line: line.replace(b'"ui"', b'"ux"'), "does not lead from the event"),
    ],
)
def test_an_event_that_is_not_the_line_of_the_log_is_refused(change: Any, reason: str) -> None:
    ledger = a_ledger()
    refused(ledger, ledger.proof(3), change(ledger.lines[3]), reason)


def test_the_checkpoint_is_of_a_trusted_key_and_as_many_witnesses_as_are_asked_for() -> None:
    ledger, forger = a_ledger(), Ledger(seed=66)
    forger.lines = ledger.lines
    refused(ledger, forger.proof(3), ledger.lines[3], "not signed by a known key")
    policy: dict[str, Any] = {"witnesses": [WITNESS.vkey], "witness_threshold": 1}
    refused(ledger, ledger.proof(3), ledger.lines[3], "cosigned by 0 known witnesses", **policy)
    report = check_proof(ledger.proof(3, WITNESS).encode(), ledger.lines[3], trust(ledger, **policy))
    assert [witness.name for witness in report.witnesses] == [WITNESS.name]


def test_a_checkpoint_of_the_size_that_was_seen_has_the_root_that_was_seen() -> None:
    ledger = a_ledger()
    check_proof(ledger.proof(3).encode(), ledger.lines[3], trust(ledger, seen=ledger.head()))
    seen = {"size": ledger.size, "root": b64(bytes(32))}
    refused(ledger, ledger.proof(3), ledger.lines[3], "another root than 'seen'", seen=seen)


@settings(deadline=None, max_examples=300)
@given(position=st.integers(0, 2_000), new=st.binary(max_size=3), length=st.integers(0, 3))
def test_any_other_bytes_prove_nothing_else(position: int, new: bytes, length: int) -> None:
    ledger = a_ledger()
    whole = ledger.proof(3).encode()
    at = position % len(whole)
    with contextlib.suppress(BundleError):
        report = check_proof(whole[:at] + new + whole[at + length :], ledger.lines[3], trust(ledger))
        assert (report.size, report.event.index) == (7, 3)


def test_a_report_has_no_line_that_an_event_wrote() -> None:
    ledger = Ledger()
    ledger.event("app.v1\n\x1b[2Jwitness      forged\x9b", {"actor": {"id": "user:a", "via": "ui"}})
    text = check_proof(ledger.proof(1).encode(), ledger.lines[1], trust(ledger)).as_text()
    assert "type         app.v1\\n\\x1b[2Jwitness      forged\\x9b\n" in text
    assert all(line.isprintable() for line in text.split("\n"))


def test_the_command_reports_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = a_ledger()
    trust_file, proof, event = tmp_path / "trust.json", tmp_path / "e.tlog-proof", tmp_path / "event"
    trust_file.write_text(json.dumps({"origin": ORIGIN, "log": [ledger.key.vkey]}))
    proof.write_text(ledger.proof(3), encoding="utf-8")
    event.write_bytes(ledger.lines[3] + b"\n")
    command = ["verify-proof", str(proof), str(event), "--trust", str(trust_file)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert f"event        index 3, id {ledger.events[3]['id']}" in out
    assert "not checked" in out
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proof"]["index"] == 3
    event.write_bytes(ledger.lines[4])
    assert main(command) == 1
    assert capsys.readouterr().err == "refused: event: 'sequence' is not the index as 16 digits\n"
    event.write_bytes(b"x" * 100_000)
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["accepted"] is False
    for no_file in (tmp_path / "none", tmp_path):
        assert main(["verify-proof", str(proof), str(no_file), "--trust", str(trust_file)]) == 2
        assert capsys.readouterr().err == f"countersign: error: {no_file}: no such file\n"
