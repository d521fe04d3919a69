"""The ``countersign verify`` command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundle_writer import OFF, ON, Ledger, change, operation, write

from countersign.cli import main


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    plan = change("CR-1", operation(OFF, ON))
    ledger.agree(plan, "user:b")
    ledger.carry_out(plan)
    ledger.kill(ON)
    return ledger


@pytest.fixture
def trust_file(tmp_path: Path, ledger: Ledger) -> str:
    path = tmp_path / "trust.json"
    path.write_text(
        json.dumps({"origin": ledger.origin, "log": [ledger.key.vkey], "accept_log_vouched": True})
    )
    return str(path)


def test_an_accepted_bundle_is_reported_and_exits_with_0(
    tmp_path: Path, ledger: Ledger, trust_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write(tmp_path / "b", ledger)
    assert main(["verify", str(bundle), "--trust", trust_file]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("accepted: ")
    assert "log vouched  1 (index 3)" in out
    assert f"emergency not reviewed: {ledger.last['id']}" in out


def test_the_report_comes_as_json(
    tmp_path: Path, ledger: Ledger, trust_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [str(write(tmp_path / "a", ledger, size=2)), str(write(tmp_path / "b", ledger, first=2))]
    assert main(["verify", *parts, "--trust", trust_file, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["accepted"] is True
    assert [bundle["size"] for bundle in answer["bundles"]] == [2, 5]
    assert answer["bundles"][1]["counts"] == {
        "reviewed": 0,
        "log_vouched": 1,
        "emergency": 1,
        "unreviewed": 0,
    }
    assert answer["bundles"][1]["log_vouched"] == [3]
    assert answer["bundles"][1]["root"] == ledger.head()["root"]


def test_a_refused_bundle_is_one_line_and_exits_with_1(
    tmp_path: Path, ledger: Ledger, trust_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.document(ON, OFF)
    bundle = str(write(tmp_path / "b", ledger))
    assert main(["verify", bundle, "--trust", trust_file]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert (
        err == "refused: entries.ndjson line 6 (index 5): 'before' is not the last 'after' of this subject\n"
    )
    assert main(["verify", bundle, "--trust", trust_file, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["accepted"] is False


def test_integrity_only_accepts_what_no_event_is_read_of(
    tmp_path: Path, ledger: Ledger, trust_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(write(tmp_path / "b", ledger, first=3))
    assert main(["verify", bundle, "--trust", trust_file]) == 1
    assert main(["verify", bundle, "--trust", trust_file, "--integrity-only"]) == 0
    assert "no event was read" in capsys.readouterr().out


def test_wrong_usage_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["verify"], ["verify", "bundle"], ["unheard-of"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    (tmp_path / "bad.json").write_text("{}")
    for trust in ("bad.json", "missing.json"):
        assert main(["verify", "bundle", "--trust", str(tmp_path / trust)]) == 2
    assert "countersign: error: " in capsys.readouterr().err


def test_what_is_no_directory_is_wrong_usage_and_no_refused_bundle(
    tmp_path: Path, ledger: Ledger, trust_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(write(tmp_path / "b", ledger))
    for path in (tmp_path / "missing", Path(trust_file)):
        assert main(["verify", bundle, str(path), "--trust", trust_file]) == 2
        assert f"{path}: not a directory" in capsys.readouterr().err
