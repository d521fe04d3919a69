"""Incremental bundles, earlier checkpoints, several bundles, and restored systems (sections 5, 8, 9, 10)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bundle_writer import HALF, OFF, ON, Key, Ledger, b64, change, note, operation, seal, trust, write

from countersign.bundle import BundleError, verify_bundle, verify_bundles

WITNESS = Key("witness.example.org/w1", 9, kind=4)


@pytest.fixture
def ledger() -> Ledger:
    """Nine entries: a change proposed early and carried out late, and a kill."""
    ledger = Ledger()
    plan = change("CR-1", operation(OFF, HALF), operation(HALF, ON))
    ledger.agree(plan, "user:b")
    ledger.carry_out(plan, 0)
    ledger.carry_out(plan, 1)
    ledger.kill(ON)
    ledger.review_kill(ledger.last)
    ledger.document({**ON, "killed": True}, ON)
    ledger.event("ledger.v1.exported", {})
    return ledger


def span(tmp_path: Path, ledger: Ledger, first: int, size: int, **options: Any) -> Path:
    return write(
        tmp_path / f"{first}-{size}-{len(list(tmp_path.iterdir()))}",
        ledger,
        first=first,
        size=size,
        **options,
    )


def test_a_span_alone_supports_integrity_only(tmp_path: Path, ledger: Ledger) -> None:
    for first in range(1, ledger.size + 1):
        bundle = span(tmp_path, ledger, first, ledger.size)
        report = verify_bundle(bundle, trust(ledger), integrity_only=True)
        assert (report.first, report.size, report.integrity_only) == (first, 9, True)
        with pytest.raises(BundleError, match=f"starts at index {first}"):
            verify_bundle(bundle, trust(ledger))


def test_integrity_only_reads_no_event(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.raw(b"not an event at all")
    bundle = span(tmp_path, ledger, 0, 2)
    assert "unreviewed" not in verify_bundle(bundle, trust(ledger), integrity_only=True).as_json()
    with pytest.raises(BundleError, match="is not JSON"):
        verify_bundle(bundle, trust(ledger))


def test_spans_verify_in_sequence_at_every_border(tmp_path: Path, ledger: Ledger) -> None:
    for border in range(1, ledger.size):
        parts = [span(tmp_path, ledger, 0, border), span(tmp_path, ledger, border, ledger.size)]
        first, second = verify_bundles(parts, trust(ledger))
        assert (*first.log_vouched, *second.log_vouched) == (3, 4)
        assert (*first.emergency, *second.emergency) == (5,)
        assert second.emergency_unreviewed == ()


def test_what_holds_from_one_entry_to_the_next_holds_across_bundles(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.document(None, ON)
    ledger.document(OFF, ON)
    parts = [span(tmp_path, ledger, 0, 2), span(tmp_path, ledger, 2, 3)]
    with pytest.raises(
        BundleError, match=r"2-3-1: entries.ndjson line 1 \(index 2\): 'before' is not the last"
    ):
        verify_bundles(parts, trust(ledger))


def test_spans_with_a_gap_an_overlap_or_out_of_order_are_refused(tmp_path: Path, ledger: Ledger) -> None:
    start, rest = span(tmp_path, ledger, 0, 4), span(tmp_path, ledger, 4, 9)
    for other in (span(tmp_path, ledger, 5, 9), span(tmp_path, ledger, 3, 9), start):
        for integrity_only in (False, True):
            with pytest.raises(BundleError, match="the bundle before it ends at size 4"):
                verify_bundles([start, other], trust(ledger), integrity_only=integrity_only)
    with pytest.raises(BundleError):
        verify_bundles([rest, start], trust(ledger))


def test_a_span_of_a_forked_log_does_not_follow(tmp_path: Path, ledger: Ledger) -> None:
    fork = Ledger()
    for number in range(8):
        fork.document(None, ON, f"project/shop/flag/f{number}")
    parts = [span(tmp_path, ledger, 0, 4), span(tmp_path, fork, 4, 9)]
    with pytest.raises(BundleError, match="prefix: does not fold to the root"):
        verify_bundles(parts, trust(ledger))


@pytest.mark.parametrize(
    "prefix", [b"", b64(bytes(32)).encode() + b"\n", b"AAAA\n", b"\xff\n", b"A" * 20_000]
)
def test_a_prefix_that_does_not_fit_is_refused(tmp_path: Path, ledger: Ledger, prefix: bytes) -> None:
    bundle = span(tmp_path, ledger, 5, 9)
    (bundle / "prefix").write_bytes(prefix)
    seal(bundle, ledger.key, size=9, first=5, withheld=0)
    with pytest.raises(BundleError):
        verify_bundle(bundle, trust(ledger), integrity_only=True)


def test_an_earlier_checkpoint_is_proved_for_every_size(tmp_path: Path, ledger: Ledger) -> None:
    for previous in range(1, ledger.size + 1):
        seen = ledger.head(previous)
        verify_bundle(span(tmp_path, ledger, 0, 9, previous=previous), trust(ledger, seen=seen))


def test_an_earlier_checkpoint_of_another_history_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    fork = Ledger()
    fork.document(None, HALF)
    for integrity_only in (False, True):
        bundle = span(tmp_path, ledger, 0, 9, previous=2, extra={})
        (bundle / "previous.checkpoint").write_text(fork.checkpoint(2), encoding="utf-8")
        seal(bundle, ledger.key, size=9, first=0, withheld=0, previous=2)
        with pytest.raises(BundleError, match="consistency: "):
            verify_bundle(bundle, trust(ledger), integrity_only=integrity_only)


def test_the_manifest_names_the_earlier_size(tmp_path: Path, ledger: Ledger) -> None:
    bundle = span(tmp_path, ledger, 0, 9, previous=2)
    seal(bundle, ledger.key, size=9, first=0, withheld=0, previous=3)
    with pytest.raises(BundleError, match=r"previous.checkpoint: has another size"):
        verify_bundle(bundle, trust(ledger))


def test_what_the_auditor_has_seen_must_be_the_earlier_checkpoint(tmp_path: Path, ledger: Ledger) -> None:
    with_previous, without = span(tmp_path, ledger, 0, 9, previous=4), span(tmp_path, ledger, 0, 9)
    for bundle, seen in [
        (without, ledger.head(4)),
        (with_previous, ledger.head(5)),
        (with_previous, {**ledger.head(4), "root": b64(bytes(32))}),
    ]:
        for integrity_only in (False, True):
            with pytest.raises(BundleError, match="'seen'"):
                verify_bundle(bundle, trust(ledger, seen=seen), integrity_only=integrity_only)


def test_the_auditors_limit_on_kills_is_for_the_whole_log(tmp_path: Path, ledger: Ledger) -> None:
    ledger.kill(ON)
    parts = [span(tmp_path, ledger, 0, 7), span(tmp_path, ledger, 7, ledger.size)]
    verify_bundles(parts, trust(ledger, max_emergency=2))
    with pytest.raises(BundleError, match="max_emergency"):
        verify_bundles(parts, trust(ledger, max_emergency=1))


def restored(old: Ledger, size: int | None = None, override: dict[str, Any] | None = None) -> Ledger:
    """A new log that continues ``old`` from this size; ``override`` changes what it says of it."""
    continues = {"origin": old.origin, **old.head(size), "checkpoint": old.checkpoint(size)}
    return Ledger(old.origin + "/2", 8, continues=continues | (override or {}))


def test_a_restored_log_follows_the_one_it_continues(tmp_path: Path, ledger: Ledger) -> None:
    new = restored(ledger)
    new.document(OFF, HALF)  # nothing carries over: the first document of a log is free
    parts = [span(tmp_path, ledger, 0, 9), span(tmp_path, new, 0, 2)]
    old_report, report = verify_bundles(parts, trust(ledger, new))
    assert old_report.continues is None
    assert report.continues is not None
    assert (report.continues.origin, report.continues.size) == (ledger.origin, 9)
    assert report.continues.signature_checked


def test_a_restored_log_may_continue_from_further_on_but_not_from_before(
    tmp_path: Path, ledger: Ledger
) -> None:
    parts = [span(tmp_path, ledger, 0, 5), span(tmp_path, restored(ledger, 7), 0, 1)]
    verify_bundles(parts, trust(ledger, restored(ledger, 7)))
    parts[1] = span(tmp_path, restored(ledger, 4), 0, 1)
    with pytest.raises(BundleError, match="smaller tree"):
        verify_bundles(parts, trust(ledger, restored(ledger, 4)))


def test_a_restored_log_names_the_root_of_the_bundle_before_it(tmp_path: Path, ledger: Ledger) -> None:
    fork = Ledger()
    for number in range(8):
        fork.document(None, ON, f"project/shop/flag/f{number}")
    new = restored(fork)
    with pytest.raises(BundleError, match="another root"):
        verify_bundles([span(tmp_path, ledger, 0, 9), span(tmp_path, new, 0, 1)], trust(ledger, new))


def test_a_log_that_continues_nothing_does_not_follow(tmp_path: Path, ledger: Ledger) -> None:
    new = Ledger("flags.example.com/ledger/2", 8)
    parts = [span(tmp_path, ledger, 0, 9), span(tmp_path, new, 0, 1)]
    for integrity_only, reason in ((False, "does not continue"), (True, "another log")):
        with pytest.raises(BundleError, match=reason):
            verify_bundles(parts, trust(ledger, new), integrity_only=integrity_only)


def test_a_continued_log_that_is_not_known_is_reported_as_not_checked(accept, ledger: Ledger) -> None:
    report = accept(restored(ledger))
    assert report.continues is not None
    assert not report.continues.signature_checked
    assert "not checked" in report.as_text()


def test_a_report_prints_nothing_that_a_terminal_would_obey(accept, ledger: Ledger) -> None:
    origin = "flags.example.com/\x9b2J\u2028\u202eledger"
    text = ledger.checkpoint().replace(ledger.origin, origin, 1)
    report = accept(restored(ledger, override={"origin": origin, "checkpoint": text}))
    assert "flags.example.com/\\x9b2J\\u2028\\u202eledger at size 9" in report.as_text()
    assert report.as_text().isascii()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"size": 8}, "other values"),
        ({"size": "9"}, "wrong kind"),
        ({"root": b64(bytes(32))}, "other values"),
        ({"root": "AAAA"}, "root of 'continues'"),
        ({"origin": "flags.example.com/other"}, "other values"),
        ({"origin": "flags.example.com/ledger/2"}, "continues itself"),
        ({"checkpoint": "nonsense"}, "checkpoint of 'continues'"),
        ({"checkpoint": None}, "wrong kind"),
        ({"checkpoint": note("x\n", Key("flags.example.com/ledger", 7))}, "three lines"),
        ({"more": 1}, "does not belong there"),
    ],
)
def test_a_continuation_that_does_not_add_up_is_refused(
    refuse, ledger: Ledger, members: dict[str, Any], reason: str
) -> None:
    refuse(restored(ledger, override=members), reason)


def test_the_checkpoint_of_a_known_log_is_signed_by_its_key(tmp_path: Path, ledger: Ledger) -> None:
    head = ledger.head()
    text = f"{ledger.origin}\n{head['size']}\n{head['root']}\n"
    for forged in (note(text, Key(ledger.origin, 66)), note(text, WITNESS)):
        new = restored(ledger, override={"checkpoint": forged})
        bundle = span(tmp_path, new, 0, 1)
        with pytest.raises(BundleError, match="not signed by a known key"):
            verify_bundle(bundle, trust(ledger, new, witnesses=[WITNESS.vkey]))


def test_a_continuation_does_not_drop_what_the_auditor_has_seen(tmp_path: Path, ledger: Ledger) -> None:
    new = restored(ledger, 5)
    bundle = span(tmp_path, new, 0, 1)
    for size in (4, 5):
        verify_bundle(bundle, trust(ledger, new, seen=ledger.head(size)))
    for seen in (ledger.head(6), {"size": 5, "root": b64(bytes(32))}):
        with pytest.raises(BundleError, match="'seen'"):
            verify_bundle(bundle, trust(ledger, new, seen=seen))
