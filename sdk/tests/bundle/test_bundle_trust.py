"""The auditor's trust file (section 9)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from bundle_writer import ORIGIN, Key, b64

from countersign.bundle import Trust, TrustError

LOG = Key(ORIGIN, 1)
WITNESS = Key("witness.example.org/w1", 2, kind=4)
LEAST = {"origin": ORIGIN, "log": [LOG.vkey]}


def parse(value: Any) -> Trust:
    return Trust.parse(json.dumps(value).encode())


def test_the_least_trust_file_asks_for_nothing_and_accepts_no_unsigned_review() -> None:
    trust = parse(LEAST)
    assert trust.min_approvals == 1
    assert not trust.accept_log_vouched
    assert trust.max_emergency is None
    assert trust.max_withheld == trust.witness_threshold == 0
    assert not trust.needs_review("project/shop/flag/banner")


def test_several_logs_each_have_their_own_keys() -> None:
    other = Key(ORIGIN + "/2", 3)
    trust = parse({"logs": [LEAST, {"origin": other.name, "log": [other.vkey], "review_from": 7}]})
    found = trust.log(other.name)
    assert found is not None
    assert found.review_from == 7
    assert trust.log("unknown") is None


def test_a_prefix_matches_whole_segments() -> None:
    trust = parse({**LEAST, "review_required": ["project/shop/environment/production/", "access"]})
    assert trust.needs_review("project/shop/environment/production/flag/banner")
    assert trust.needs_review("project/shop/environment/production")
    assert trust.needs_review("access/role")
    assert not trust.needs_review("project/shop/environment/production2/flag/banner")
    assert not trust.needs_review("accessory/role")


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"origin": ORIGIN},
        {**LEAST, "origin": ""},
        {**LEAST, "origin": 1},
        {**LEAST, "origin": "ledger-bundle/v1"},
        {**LEAST, "origin": "other"},
        {**LEAST, "log": []},
        {**LEAST, "log": LOG.vkey},
        {**LEAST, "log": [1]},
        {**LEAST, "log": ["nonsense"]},
        {**LEAST, "log": [Key(ORIGIN, 1, kind=4).vkey]},
        {**LEAST, "witnesses": [LOG.vkey]},
        {**LEAST, "seen": {"size": 1}},
        {**LEAST, "seen": {"size": -1, "root": b64(bytes(32))}},
        {**LEAST, "seen": {"size": 1, "root": "AAAA"}},
        {**LEAST, "review_from": -1},
        {**LEAST, "logs": [LEAST]},
        {"logs": []},
        {"logs": [LEAST, LEAST]},
        {"logs": {}},
        {**LEAST, "witness_threshold": "1"},
        {**LEAST, "min_approvals": True},
        {**LEAST, "min_approvals": 1.5},
        {**LEAST, "accept_log_vouched": 1},
        {**LEAST, "max_emergency": None},
        {**LEAST, "max_withheld": -1},
        {**LEAST, "roots": ["sha256:00"]},
        {**LEAST, "rp_ids": "flags.example.com"},
        {**LEAST, "review_required": "project/"},
        {**LEAST, "review_required": ["/project"]},
        {**LEAST, "review_required": ["project//"]},
        {**LEAST, "review_requred": []},
    ],
)
def test_a_trust_file_that_cannot_be_meant_is_an_error(value: Any) -> None:
    with pytest.raises(TrustError):
        parse(value)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"origin":1,"origin":2}', b"[" * 100_000])
def test_a_trust_file_that_is_no_json_is_an_error(raw: bytes) -> None:
    with pytest.raises(TrustError):
        Trust.parse(raw)


def test_a_trust_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="No such file"):
        Trust.load(tmp_path / "trust.json")


def test_a_witness_key_and_every_policy_are_read(tmp_path: Path) -> None:
    policy = {
        "witnesses": [WITNESS.vkey],
        "witness_threshold": 1,
        "rp_ids": ["flags.example.com"],
        "origins": ["https://flags.example.com"],
        "roots": ["sha256:" + "0" * 64],
        "min_approvals": 2,
        "max_emergency": 0,
        "max_withheld": 3,
    }
    path = tmp_path / "trust.json"
    path.write_text(json.dumps({**LEAST, **policy}, indent=1))
    trust = Trust.load(path)
    assert (trust.min_approvals, trust.max_emergency, trust.max_withheld) == (2, 0, 3)
    assert [str(key) for key in trust.witnesses] == [WITNESS.vkey]


def test_a_trust_file_without_end_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.touch()
    os.truncate(path, 2 * 1024**3)
    with pytest.raises(TrustError, match="is longer than"):
        Trust.load(path)
