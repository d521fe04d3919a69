"""The file set, the manifest, the checkpoint and the witnesses (sections 1 to 4, steps 1 and 2)."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_writer import (
    HALF,
    OFF,
    ON,
    ORIGIN,
    Key,
    Ledger,
    b64,
    change,
    digest,
    note,
    salted,
    seal,
    stand_in,
    trust,
    write,
)

from countersign.bundle import BundleError, verify_bundle, verify_bundles

BIG = {"text": "x" * 9000}
WITNESS = Key("witness.example.org/w1", 9, kind=4)


def small_ledger() -> Ledger:
    ledger = Ledger()
    _, closed = salted("name", "Alice")
    ledger.document(None, OFF, "project/shop/flag/banner", personal={"name": closed})
    wanted = change()
    ledger.agree(wanted, "user:b")
    ledger.carry_out(wanted)
    return ledger


def refused(bundle: Path, ledger: Ledger, reason: str) -> None:
    with pytest.raises(BundleError) as refusal:
        verify_bundle(bundle, trust(ledger))
    assert reason in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[list[Path], Ledger]:
    """Two bundles in sequence, the second with a file of every kind that a bundle can have."""
    ledger = small_ledger()
    ledger.document(None, stand_in(BIG), "project/shop/flag/big")
    _, closed = salted("name", "Bob")
    ledger.document(OFF, ON, "project/shop/flag/banner", personal={"name": closed})
    salt, _ = salted("name", "Bob")
    disclosures = [{"index": ledger.size - 1, "name": "name", "salt": salt, "value": "Bob"}]
    whole = write(
        tmp_path / "b",
        ledger,
        first=5,
        previous=3,
        disclosures=disclosures,
        blobs=[BIG],
        extra={"extra/note.txt": b"seen"},
    )
    kinds = (
        "checkpoint consistency disclosures.ndjson entries.ndjson extra manifest prefix previous.checkpoint"
    )
    assert sorted(path.name for path in whole.iterdir()) == kinds.split()
    bundles = [write(tmp_path / "a", ledger, size=5), whole]
    verify_bundles(bundles, trust(ledger))
    return bundles, ledger


def files_of(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def test_no_single_byte_of_any_file_can_be_changed(pair: tuple[list[Path], Ledger]) -> None:
    bundles, ledger = pair
    bundle, trusted = bundles[1], trust(ledger)
    for path in files_of(bundle):
        original = path.read_bytes()
        # All others are bound by their digest, which stands in the manifest: their bytes are all the same case.
        step = 1 if path.name == "manifest" else 97
        # In place: to write the file anew each time would wait for the disk each time.
        with path.open("r+b", buffering=0) as file:
            for position in range(0, len(original), step):
                os.pwrite(file.fileno(), bytes([original[position] ^ 1 + position % 255]), position)
                with pytest.raises(BundleError):
                    verify_bundle(bundle, trusted, integrity_only=True)
                os.pwrite(file.fileno(), original[position : position + 1], position)
    verify_bundles(bundles, trusted)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data[1:],
        lambda data: data[: len(data) // 2] + data[len(data) // 2 + 1 :],
        lambda data: data + b"\n",
        lambda data: data + b"\0",
        lambda data: data + data,
        lambda data: b"\n" + data,
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n") + b"\r\n",
        lambda data: b"",
    ],
)
def test_no_file_can_be_cut_or_continued(
    pair: tuple[list[Path], Ledger], change: Callable[[bytes], bytes]
) -> None:
    bundles, ledger = pair
    for path in files_of(bundles[1]):
        original = path.read_bytes()
        path.write_bytes(change(original))
        with pytest.raises(BundleError):
            verify_bundles(bundles, trust(ledger))
        path.write_bytes(original)


def test_no_file_can_be_added_removed_renamed_or_exchanged(pair: tuple[list[Path], Ledger]) -> None:
    bundles, ledger = pair
    for path in files_of(bundles[1]):
        original, other = path.read_bytes(), path.with_name(path.name + "2")
        path.rename(other)
        with pytest.raises(BundleError):
            verify_bundles(bundles, trust(ledger))
        other.unlink()
        with pytest.raises(BundleError):
            verify_bundles(bundles, trust(ledger))
        path.write_bytes(original)
        other.write_bytes(original)
        with pytest.raises(BundleError):
            verify_bundles(bundles, trust(ledger))
        other.unlink()
        for second in files_of(bundles[1]):
            if second != path:
                path.write_bytes(second.read_bytes())
                with pytest.raises(BundleError):
                    verify_bundles(bundles, trust(ledger))
        path.write_bytes(original)
    verify_bundles(bundles, trust(ledger))


def test_a_file_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    (bundle / "extra" / "deep").mkdir(parents=True)
    (bundle / "extra" / "deep" / "file").write_bytes(b"")
    refused(bundle, ledger, "extra/deep/file: is not in the manifest")


def test_a_file_name_that_is_no_text_is_refused_in_one_printable_line(tmp_path: Path) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    Path(os.fsdecode(os.fsencode(bundle) + b"/\xff\n\x1b[2J")).write_bytes(b"")
    refused(bundle, ledger, "is not in the manifest")


@pytest.mark.parametrize("name", ["checkpoint", "entries.ndjson", "manifest"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    (bundle / name).unlink()
    refused(bundle, ledger, name)


@pytest.mark.parametrize("name", ["checkpoint", "entries.ndjson"])
def test_a_manifest_without_a_needed_file_is_refused(tmp_path: Path, name: str) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    (bundle / name).unlink()
    seal(bundle, ledger.key, size=ledger.size, first=0, withheld=0)
    refused(bundle, ledger, "must be in this bundle")


@pytest.mark.parametrize("name", ["prefix", "previous.checkpoint", "consistency"])
def test_a_file_that_has_no_place_in_this_bundle_is_refused(tmp_path: Path, name: str) -> None:
    ledger = small_ledger()
    refused(write(tmp_path / "b", ledger, extra={name: b""}), ledger, "must not be in this bundle")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("checkpoint", "checkpoint: is neither a regular file nor a directory"),
        ("manifest", "manifest"),
        ("extra", "extra: is neither a regular file nor a directory"),
    ],
)
def test_what_is_linked_to_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger, extra={"extra/a": b"1"})
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    refused(bundle, ledger, reason)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    os.mkfifo(bundle / "extra")
    refused(bundle, ledger, "extra: is neither")
    (bundle / "manifest").unlink()
    os.mkfifo(bundle / "manifest")
    refused(bundle, ledger, "manifest: is not a regular file")


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", Ledger(), "manifest: No such file")


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/passwd",
        "extra/../checkpoint",
        "extra//a",
        "extra/",
        "extra",
        "other",
        "extra/a b",
        "extra/é",
    ],
)
def test_a_name_that_a_bundle_cannot_have_is_refused(tmp_path: Path, name: str) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    text = (bundle / "manifest").read_text().rpartition("\n\n")[0] + "\n"
    head, entries = text.split("file ", 1)
    listed = sorted(
        [*("file " + entries).splitlines(), f"file {'0' * 64} 1 {name}"], key=lambda x: x.split(" ", 3)[3]
    )
    (bundle / "manifest").write_text(note(head + "\n".join(listed) + "\n", ledger.key))
    refused(bundle, ledger, "manifest: ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ledger-bundle/v1", "ledger-bundle/v2"),
        (f"origin {ORIGIN}", "origin other.example.com/ledger"),
        ("size 5", "size 05"),
        ("size 5", "size 6"),
        ("size 5", "size 0"),
        ("size 5", "size 99999999999999999999"),
        ("first 0", "first 6"),
        ("first 0", "first -1"),
        ("withheld 0", "withheld 1"),
        ("withheld 0", "withheld 9"),
        ("withheld 0\n", ""),
        ("created 2026-01-06T00:00:00.000000Z", "created 2026-02-30T00:00:00.000000Z"),
        ("created 2026-01-06T00:00:00.000000Z", "created 2026-01-06T00:00:00Z"),
        ("created ", "previous 1\ncreated "),
        ("file ", "File "),
        (" checkpoint\n", " checkpoint \n"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(tmp_path: Path, old: str, new: str) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    text = (bundle / "manifest").read_text().rpartition("\n\n")[0] + "\n"
    assert old in text
    (bundle / "manifest").write_text(note(text.replace(old, new, 1), ledger.key))
    with pytest.raises(BundleError):
        verify_bundle(bundle, trust(ledger))


def test_files_out_of_order_are_refused(tmp_path: Path) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    lines = (bundle / "manifest").read_text().rpartition("\n\n")[0].splitlines()
    for wrong in ([*lines[:-2], lines[-1], lines[-2]], [*lines, lines[-1]]):
        (bundle / "manifest").write_text(note("\n".join(wrong) + "\n", ledger.key))
        refused(bundle, ledger, "bytewise order")


def test_a_manifest_by_another_key_is_refused(tmp_path: Path) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger)
    seal(bundle, Key(ORIGIN, 99), size=ledger.size, first=0, withheld=0)
    refused(bundle, ledger, "manifest: note is not signed by a known key")


def checkpointed(tmp_path: Path, ledger: Ledger, checkpoint: str) -> Path:
    return write(tmp_path / "b", ledger, extra={"checkpoint": checkpoint.encode()})


@pytest.mark.parametrize(
    "text",
    [
        "other.example.com/ledger\n5\n{root}\n",
        "flags.example.com/ledger\n4\n{root}\n",
        "flags.example.com/ledger\n05\n{root}\n",
        "flags.example.com/ledger\n5\n{root}\nmore\n",
        "flags.example.com/ledger\n5\n",
        "flags.example.com/ledger\n5\nAAAA\n",
        "flags.example.com/ledger\n5\n" + b64(bytes(32)) + "\n",
        "ledger-bundle/v1\n5\n{root}\n",
    ],
)
def test_a_checkpoint_of_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    ledger = small_ledger()
    changed = note(text.replace("{root}", ledger.head()["root"]), ledger.key)
    with pytest.raises(BundleError):
        verify_bundle(checkpointed(tmp_path, ledger, changed), trust(ledger))


def test_a_checkpoint_that_only_a_witness_signed_is_refused(tmp_path: Path) -> None:
    ledger = small_ledger()
    head = ledger.head()
    text = f"{ORIGIN}\n{head['size']}\n{head['root']}\n"
    bundle = checkpointed(tmp_path, ledger, note(text, WITNESS))
    with pytest.raises(BundleError, match="not signed by a known key of the log"):
        verify_bundle(bundle, trust(ledger, witnesses=[WITNESS.vkey]))


def test_witnesses_count_by_name_and_only_known_ones(tmp_path: Path) -> None:
    ledger = small_ledger()
    renewed = Key(WITNESS.name, 10, kind=4)
    other = Key("witness.example.net", 11, kind=4)
    bundle = write(tmp_path / "b", ledger, witnesses=[WITNESS, renewed, other])
    known = [WITNESS.vkey, renewed.vkey]
    report = verify_bundle(bundle, trust(ledger, witnesses=known, witness_threshold=1))
    assert [witness.name for witness in report.witnesses] == [WITNESS.name, WITNESS.name]
    assert report.witnesses[0].timestamp == 1_767_700_054
    with pytest.raises(BundleError, match="cosigned by 1 known witnesses, 2 are needed"):
        verify_bundle(bundle, trust(ledger, witnesses=known, witness_threshold=2))


def test_a_known_witness_that_does_not_verify_spoils_the_checkpoint(tmp_path: Path) -> None:
    ledger = small_ledger()
    forged = ledger.checkpoint() + WITNESS.line("something else\n")
    bundle = checkpointed(tmp_path, ledger, forged)
    with pytest.raises(BundleError, match="does not verify"):
        verify_bundle(bundle, trust(ledger, witnesses=[WITNESS.vkey]))


def test_a_blob_travels_when_an_event_names_it(accept, refuse) -> None:
    ledger = Ledger()
    ledger.document(None, stand_in(BIG))
    accept(ledger)
    accept(ledger, blobs=[BIG])
    refuse(ledger, "is not named by an event", blobs=[BIG, {"text": "y" * 9000}])


def test_a_blob_of_another_size_than_named_is_refused(refuse) -> None:
    ledger = Ledger()
    ledger.document(None, {**stand_in(BIG), "size": 9999})
    refuse(ledger, "another size", blobs=[BIG])


def test_a_blob_named_with_two_sizes_is_refused(refuse) -> None:
    ledger = Ledger()
    ledger.document(None, {**stand_in(BIG), "size": 9999})
    ledger.document(None, stand_in(BIG), "project/shop/flag/banner")
    refuse(ledger, "named with two sizes")


@pytest.mark.parametrize("raw", [b"{} ", b"", b"{", b'{"a":1,"a":1}', b"\xff", b'{"blob":"x","size":1}'])
def test_a_blob_that_is_no_canonical_document_is_refused(tmp_path: Path, raw: bytes) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger, extra={"extra/blobs/" + hashlib.sha256(raw).hexdigest(): raw})
    refused(bundle, ledger, "extra/blobs/")


def test_a_blob_not_named_by_its_digest_is_refused(tmp_path: Path) -> None:
    ledger = small_ledger()
    bundle = write(tmp_path / "b", ledger, extra={"extra/blobs/" + digest(HALF)[7:]: b"{}"})
    refused(bundle, ledger, "not named by its digest")


def test_a_bundle_can_be_copied_anywhere(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.document(OFF, ON)
    bundle = shutil.copytree(write(tmp_path / "b", ledger), tmp_path / "elsewhere")
    assert verify_bundle(str(bundle), trust(ledger)).unreviewed == (1,)
