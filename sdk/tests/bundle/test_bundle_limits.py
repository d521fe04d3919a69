"""What a hostile bundle can cost: no more than it weighs on disk, and only what was checked is used."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from bundle_writer import (
    OFF,
    ON,
    Key,
    Ledger,
    change,
    digest,
    note,
    operation,
    salted,
    seal,
    stand_in,
    trust,
    write,
)

from countersign.bundle import BundleError, encoding, files, verify_bundle
from countersign.bundle.files import MAX_MANIFEST, BundleFiles

MEBIBYTE = 2**20


def refused(bundle: Path, ledger: Ledger, reason: str, *, mebibytes: int = 8) -> None:
    """Refused for the reason, with no more memory at any moment than these."""
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=reason):
            verify_bundle(bundle, trust(ledger))
        assert tracemalloc.get_traced_memory()[1] < mebibytes * MEBIBYTE
    finally:
        tracemalloc.stop()


def a_ledger() -> Ledger:
    ledger = Ledger()
    ledger.document(OFF, ON)
    return ledger


@pytest.mark.parametrize("name", ["manifest", "checkpoint", "entries.ndjson", "extra/note"])
def test_a_file_with_two_gibibytes_of_nothing_is_not_read(tmp_path: Path, name: str) -> None:
    ledger = a_ledger()
    bundle = write(tmp_path / "b", ledger, extra={"extra/note": b"x"})
    os.truncate(bundle / name, 2 * 1024**3)
    refused(bundle, ledger, "longer than|another length")


def test_a_manifest_of_the_full_size_is_not_read_for_whoever_did_not_sign_it(tmp_path: Path) -> None:
    ledger = a_ledger()
    bundle = write(tmp_path / "b", ledger)
    head = (bundle / "manifest").read_text().partition("file ")[0]
    line = f"file {'0' * 64} 1 extra/{{:07d}}\n"
    count = (MAX_MANIFEST - 1000) // len(line.format(0))
    text = head + "".join(line.format(number) for number in range(count))
    (bundle / "manifest").write_text(note(text, Key(ledger.origin, 99)))
    refused(bundle, ledger, "not signed by a known key", mebibytes=5 * 64)


def test_millions_of_lines_end_at_the_first_that_is_too_many(tmp_path: Path) -> None:
    ledger = a_ledger()
    bundle = write(tmp_path / "b", ledger)
    entries = bundle / "entries.ndjson"
    with entries.open("ab") as file:
        for _ in range(40):
            file.write(b"\n" * MEBIBYTE)
    seal(bundle, ledger.key, size=ledger.size, first=0, withheld=0)
    refused(bundle, ledger, "has more than the 2 entries")


def test_a_line_without_end_is_refused_at_its_limit(tmp_path: Path) -> None:
    ledger = a_ledger()
    bundle = write(tmp_path / "b", ledger)
    (bundle / "entries.ndjson").write_bytes(b"{" * 50 * MEBIBYTE)
    seal(bundle, ledger.key, size=ledger.size, first=0, withheld=0)
    refused(bundle, ledger, "longer than 65535 bytes")


@pytest.mark.parametrize("text", [b"[" * 60_000, b'{"a":' * 10_000, b'{"a":' + b"9" * 60_000 + b"}"])
def test_json_that_nests_or_counts_without_end_is_refused(tmp_path: Path, text: bytes) -> None:
    ledger = a_ledger()
    ledger.lines[1] = text
    refused(write(tmp_path / "b", ledger), ledger, "nested|beyond")


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blobs read for their content, one name for each time."""
    read: list[str] = []
    original = BundleFiles.read_blob

    def reading(self: BundleFiles, hex_digest: str) -> bytes:
        read.append(hex_digest)
        return original(self, hex_digest)

    monkeypatch.setattr(BundleFiles, "read_blob", reading)
    return read


def test_operations_that_many_changes_share_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    operations = [operation(OFF, {"text": "x" * 8000, "n": n}) for n in range(5)]
    for number in range(20):
        ledger.propose(change(f"CR-{number}", operations=stand_in(operations)))
    bundle = write(tmp_path / "b", ledger, blobs=[operations])
    read = count_reads(monkeypatch)
    verify_bundle(bundle, trust(ledger))
    assert read == [digest(operations)[7:]] * 2, "once when the file is checked, once for its operations"


def test_a_configuration_that_is_killed_many_times_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    big: dict[str, Any] = {"text": "x" * 9000}
    killed = {**big, "killed": True}
    for number in range(20):
        subject = f"project/shop/environment/production/flag/f{number}"
        ledger.kill(stand_in(big), stand_in(killed), subject)
    bundle = write(tmp_path / "b", ledger, blobs=[big, killed])
    read = count_reads(monkeypatch)
    assert len(verify_bundle(bundle, trust(ledger)).emergency) == 20
    assert read.count(digest(big)[7:]) == 2


def test_the_blobs_of_a_kill_must_travel_with_each_of_its_bundles(tmp_path: Path) -> None:
    ledger = Ledger()
    big: dict[str, Any] = {"text": "x" * 9000}
    killed = {**big, "killed": True}
    ledger.kill(stand_in(big), stand_in(killed))
    for missing in ([big], [killed]):
        bundle = write(tmp_path / f"b{digest(missing)[7:17]}", ledger, blobs=missing)
        with pytest.raises(BundleError, match="which is not in the bundle"):
            verify_bundle(bundle, trust(ledger))


@pytest.mark.parametrize("name", ["checkpoint", "entries.ndjson", "disclosures.ndjson", "prefix"])
def test_a_file_that_is_exchanged_between_check_and_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ledger = a_ledger()
    salt, closed = salted("name", "Alice")
    ledger.document(ON, OFF, personal={"name": closed})
    disclosures = [{"index": 2, "name": "name", "salt": salt, "value": "Alice"}]
    if name == "prefix":
        bundle = write(tmp_path / "b", ledger, first=1)
    else:
        bundle = write(tmp_path / "b", ledger, disclosures=disclosures)
    other = {
        "checkpoint": ledger.checkpoint(ledger.size, Key("witness.example.org", 9, kind=4)).encode(),
        "disclosures.ndjson": b"",  # as if the name had been erased
    }.get(name, (bundle / name).read_bytes()[:-1] + b" \n")
    check = BundleFiles.check

    def exchange(self: BundleFiles, listed: dict[str, files.ListedFile]) -> None:
        check(self, listed)
        (bundle / name).unlink()
        (bundle / name).write_bytes(other)

    monkeypatch.setattr(BundleFiles, "check", exchange)
    with pytest.raises(BundleError):
        verify_bundle(bundle, trust(ledger), integrity_only=name == "prefix")


def test_a_link_put_in_a_file_s_place_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = a_ledger()
    bundle = write(tmp_path / "b", ledger)
    check = BundleFiles.check

    def exchange(self: BundleFiles, listed: dict[str, files.ListedFile]) -> None:
        check(self, listed)
        (bundle / "checkpoint").rename(tmp_path / "elsewhere")
        (bundle / "checkpoint").symlink_to(tmp_path / "elsewhere")

    monkeypatch.setattr(BundleFiles, "check", exchange)
    with pytest.raises(BundleError, match="checkpoint"):
        verify_bundle(bundle, trust(ledger))


def test_brackets_are_counted_outside_of_strings_only() -> None:
    assert encoding.read_json(b'"' + b"[" * 1000 + b'"') == "[" * 1000
