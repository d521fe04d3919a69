"""The ``countersign evaluate`` command."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from bundle_writer import Key, b64, jcs, note

from countersign.cli import main

KEY = Key("flags.example.com/snapshots", 1)


@pytest.fixture
def snapshot(tmp_path: Path) -> str:
    flag = {
        "type": "boolean",
        "version": 1,
        "variants": {"off": False, "on": True},
        "off": "off",
        "enabled": True,
        "default": {"variant": "on"},
        "fail_safe": "off",
    }
    body = jcs({"segments": {}}) + b"\n" + jcs(["banner", flag]) + b"\n"
    head = (
        "countersign-snapshot/v1\norigin flags.example.com\nenvironment shop/production\nversion 3\n"
        f"created 2026-11-20T12:00:00.000000Z\nledger 5 {b64(bytes(32))}\n"
        f"body sha256:{hashlib.sha256(body).hexdigest()} {len(body)}\n"
    )
    path = tmp_path / "snapshot"
    path.write_bytes(note(head, KEY).encode() + b"\n" + body)
    return str(path)


def test_the_result_is_printed_as_json(snapshot: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", snapshot, "banner", "--context", '{"targetingKey":"u1"}', "--verify", KEY.vkey]
    assert main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["value"], answer["variant"], answer["error_code"]) == (True, "on", None)
    assert answer["metadata"]["flag_version"] == 1


def test_a_flag_that_is_not_there_is_an_answer(snapshot: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", snapshot, "nothing"]) == 0
    assert json.loads(capsys.readouterr().out)["error_code"] == "FLAG_NOT_FOUND"


def test_a_snapshot_by_another_key_is_refused(snapshot: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = Key("flags.example.com/snapshots", 2)
    assert main(["evaluate", snapshot, "banner", "--verify", other.vkey]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("refused: ")


def test_a_key_that_is_none_is_wrong_usage(snapshot: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", snapshot, "banner", "--verify", KEY.vkey, "--verify", "nonsense"]) == 2
    assert "--verify" in capsys.readouterr().err


@pytest.mark.parametrize(
    "context",
    [
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"a":1,"a":2}',
        '{"a":NaN}',
        '{"a":"\udcff"}',
        '{"a":"\\ud800"}',
        "\ufeff{}",
    ],
)
def test_a_context_that_is_no_object_is_wrong_usage(
    snapshot: str, context: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", snapshot, "banner", "--context", context]) == 2
    assert "--context" in capsys.readouterr().err


def test_an_integer_beyond_every_double_s_precision_is_taken(snapshot: str) -> None:
    assert main(["evaluate", snapshot, "banner", "--context", '{"a":' + "9" * 300 + "}"]) == 0


def test_an_error_says_what_to_do(snapshot: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", snapshot, "nothing"]) == 0
    assert "create the flag" in json.loads(capsys.readouterr().out)["error_message"]


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert main(["evaluate", str(tmp_path / "nothing"), "banner"]) == 2
