"""The shape of entries and of events, and what must hold from one to the next (sections 5 and 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bundle_writer import HALF, OFF, ON, ORIGIN, Key, Ledger, b64, jcs, stand_in, trust, write

from countersign.bundle import BundleError, verify_bundle

ACTOR = {"id": "user:a", "via": "ui"}


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_log_of_only_its_creation_is_accepted(accept, ledger: Ledger) -> None:
    report = accept(ledger)
    assert (report.origin, report.first, report.size, report.withheld) == (ORIGIN, 0, 1, 0)
    assert report.unreviewed == report.log_vouched == report.reviewed == report.emergency == ()


def test_an_application_event_without_documents_is_accepted_with_any_members(accept, ledger: Ledger) -> None:
    ledger.event("distribution.v1.snapshot.published", {"actor": ACTOR, "version": 3}, traceparent="00-1")
    ledger.event("ledger.v1.exported", {"by": "user:b", "filter": None, "first": 0})
    ledger.event("ledger.v1.pruned", {})
    ledger.event("ledger.v1.log_key.changed", {})
    accept(ledger)


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("specversion", "1.1", "'specversion'"),
        ("specversion", None, "no 'specversion'"),
        ("id", "0f0f0f0f-0f0f-1f0f-8f0f-0f0f0f0f0f0f", "UUIDv4"),
        ("id", "0F0F0F0F-0F0F-4F0F-8F0F-0F0F0F0F0F0F", "UUIDv4"),
        ("id", None, "no 'id'"),
        ("source", "other", "'source'"),
        ("type", "", "'type'"),
        ("type", None, "no 'type'"),
        ("sequence", "1", "'sequence'"),
        ("sequence", "0000000000000002", "'sequence'"),
        ("time", "2026-01-05T09:00:01Z", "'time'"),
        ("time", "2026-01-05T24:00:01.000000Z", "'time'"),
        ("time", "2026-01-05T09:00:01.000000+00:00", "'time'"),
        ("datacontenttype", "text/plain", "'datacontenttype'"),
        ("subject", "", "'subject'"),
        ("subject", "project//flag", "'subject'"),
        ("subject", "project/sh op", "'subject'"),
        ("subject", "project/" + "x" * 129, "'subject'"),
        ("subject", 5, "not a string"),
        ("extension", {}, "not a string"),
        ("data_base64", "AAAA", "invalid name"),
        ("x" * 21, "1", "invalid name"),
        ("data", [], "'data' is not an object"),
        ("data", "text", "'data' is not an object"),
        ("data", None, "no 'data'"),
    ],
)
def test_a_member_that_is_wrong_is_refused(
    refuse, ledger: Ledger, member: str, value: Any, reason: str
) -> None:
    members = {member: value}
    data = members.pop("data", {"actor": ACTOR})
    kind = members.pop("type", "app.v1.happened")
    subject = members.pop("subject", None)
    ledger.event(kind, data, subject, **members)
    line = refuse(ledger, reason)
    assert line.startswith("entries.ndjson line 2 (index 1): ")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"a":1,"a":1}',
        b"\xff",
        b"[" * 60_000,
        b'{"a":' * 5_000,
        b'"' + b'\\"' * 30_000,
        b"9" * 60_000,
        b"1e400",
        b"NaN",
        b'{"leaf_hash":1,"reason":"filtered"}',
    ],
)
def test_a_line_that_is_no_event_is_refused(refuse, ledger: Ledger, line: bytes) -> None:
    ledger.raw(line)
    refuse(ledger, "entries.ndjson line 2 (index 1): ")


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'":', b'": ', 1),
        lambda line: line + b" ",
        lambda line: line + b"\r",
        lambda line: b"\xef\xbb\xbf" + line,
        lambda line: line.replace(b'"number":1', b'"number":1.0'),
        lambda line: line.replace(b'"number":1', b'"number":-0'),
        lambda line: line.replace(b'"number":1', b'"number":1e0'),
        lambda line: line.replace(b'"number":1', b'"number":9007199254740992'),
        lambda line: line.replace(b'"number":1', b'"number":1e+21'),
        lambda line: line.replace(b'"via":"ui"', b'"via":"\\u0075i"'),
        lambda line: line.replace(b'"via":"ui"', b'"via":"\\ud800"'),
        lambda line: line.replace(b'"number":1', b'"number":1,"number":1'),
        lambda line: line.replace(b'"number":1', b'"number":1,"a":1'),
        lambda line: line.replace(b'"number":1', b'"number":' + b"[" * 300 + b"]" * 300),
    ],
)
def test_a_line_that_is_not_canonical_is_refused(refuse, ledger: Ledger, change: Any) -> None:
    ledger.event("app.v1.happened", {"actor": ACTOR, "number": 1})
    changed = change(ledger.lines[-1])
    assert changed != ledger.lines[-1]
    ledger.lines[-1] = changed
    refuse(ledger, "entries.ndjson line 2 (index 1): ")


def test_the_longest_integers_and_fractions_are_accepted(accept, ledger: Ledger) -> None:
    ledger.event("app.v1.happened", {"actor": ACTOR, "n": [2**53 - 1, -(2**53) + 1, 0.5, 1.5]})
    accept(ledger)


def test_a_line_may_have_65535_bytes_and_no_more(accept, refuse, ledger: Ledger) -> None:
    ledger.event("app.v1.happened", {"actor": ACTOR, "text": ""})
    room = 65_535 - len(ledger.lines.pop())
    ledger.event("app.v1.happened", {"actor": ACTOR, "text": "x" * room})
    accept(ledger)
    ledger.lines.pop()
    ledger.event("app.v1.happened", {"actor": ACTOR, "text": "x" * (room + 1)})
    refuse(ledger, "longer than 65535 bytes")


def test_a_last_line_without_an_end_is_refused(refuse, ledger: Ledger) -> None:
    refuse(ledger, "does not end with LF", extra={"entries.ndjson": ledger.lines[0]})


def test_lines_too_many_or_too_few_are_refused(refuse, ledger: Ledger) -> None:
    line = ledger.lines[0] + b"\n"
    refuse(ledger, "has fewer than the 1 entries", extra={"entries.ndjson": b""})
    refuse(ledger, "has more than the 1 entries", extra={"entries.ndjson": line * 2})


def test_entries_of_another_tree_are_refused(refuse, ledger: Ledger) -> None:
    other = Ledger()
    other.lines[0] = other.lines[0].replace(b"T09:00:00", b"T09:00:01")
    refuse(ledger, "do not hash to the checkpoint's root", extra={"entries.ndjson": other.lines[0] + b"\n"})


def test_an_id_used_twice_is_refused(refuse, ledger: Ledger) -> None:
    ledger.event("app.v1.happened", {"actor": ACTOR}, id=ledger.last["id"])
    refuse(ledger, "'id' was used before")


def test_time_may_stand_still_but_not_go_back(accept, refuse, ledger: Ledger) -> None:
    ledger.event("app.v1.happened", {"actor": ACTOR}, time=ledger.last["time"])
    accept(ledger)
    ledger.event("app.v1.happened", {"actor": ACTOR}, time="2026-01-05T08:59:59.999999Z")
    refuse(ledger, "'time' is before")


def test_creation_is_the_first_event_and_no_other(refuse, ledger: Ledger) -> None:
    ledger.event("ledger.v1.created", {"origin": ORIGIN, "log_key": ledger.key.vkey})
    refuse(ledger, "at index 0, always and only")
    empty = Ledger(created=False)
    empty.event("app.v1.happened", {"actor": ACTOR})
    refuse(empty, "at index 0, always and only")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"origin": "other"}, "origin"),
        ({"log_key": "nonsense"}, "'log_key'"),
        ({"log_key": 5}, "'log_key'"),
        ({"log_key": Key(ORIGIN, 55).vkey}, "not a key that the trust file knows"),
        ({"rp_id": 5}, "'rp_id'"),
        ({"more": 1}, "does not belong there"),
    ],
)
def test_a_creation_that_is_wrong_is_refused(refuse, data: dict[str, Any], reason: str) -> None:
    ledger = Ledger(created=False)
    ledger.event("ledger.v1.created", {"origin": ORIGIN, "log_key": ledger.key.vkey, **data})
    refuse(ledger, reason)


@pytest.mark.parametrize(
    "kind",
    [
        "ledger.v1.relying_party.changed",
        "ledger.v1.credential.enrolled",
        "ledger.v1.credential.revoked",
        "ledger.v1.change.proposed",
        "ledger.v1.change.approved",
        "ledger.v1.change.rejected",
        "ledger.v1.emergency.reviewed",
        "ledger.v1.unheard_of",
        "ledger.v2.exported",
        "ledger.",
    ],
)
def test_ledger_types_that_cannot_be_checked_are_refused_and_never_skipped(
    refuse, ledger: Ledger, kind: str
) -> None:
    ledger.event(kind, {})
    refuse(ledger, "unsupported")


@pytest.mark.parametrize(
    "actor", [None, "user:a", {}, {"id": "", "via": "ui"}, {"id": 1, "via": "ui"}, {"id": "a"}]
)
def test_an_application_event_has_an_actor(refuse, ledger: Ledger, actor: Any) -> None:
    ledger.event("app.v1.happened", {} if actor is None else {"actor": actor})
    refuse(ledger, "actor")


def test_a_flag_event_has_both_documents_at_a_subject(refuse) -> None:
    for members, reason in [
        ({"before": ...}, "both 'before' and 'after'"),
        ({"after": ...}, "both 'before' and 'after'"),
        ({"before": ..., "after": ...}, "both 'before' and 'after'"),
        ({"subject": None}, "not at a subject"),
        ({"subject": "change/1"}, "not at a subject"),
        ({"subject": "project"}, "not at a subject"),
    ]:
        ledger = Ledger()
        arguments = {"before": None, "after": ON, **members}
        ledger.document(arguments.pop("before"), arguments.pop("after"), **arguments)
        refuse(ledger, reason)


def test_other_events_have_both_documents_or_none(accept, refuse, ledger: Ledger) -> None:
    ledger.document(None, ON, "access/role/editor", kind="access.v1.role.created")
    assert accept(ledger).unreviewed == (1,)
    ledger.document(ON, ..., "access/role/editor", kind="access.v1.role.updated")
    refuse(ledger, "both 'before' and 'after'")


def test_before_is_the_last_after_of_the_subject(accept, refuse, ledger: Ledger) -> None:
    ledger.document(OFF, ON)  # the first is free: the log may have begun later than the document
    ledger.document(None, OFF, "project/shop/flag/banner")
    ledger.document(ON, HALF)
    accept(ledger)
    ledger.document(ON, HALF)
    refuse(ledger, "'before' is not the last 'after'")


def test_true_is_not_one_when_documents_are_compared(refuse, ledger: Ledger) -> None:
    ledger.document(None, {"enabled": True})
    ledger.document({"enabled": 1}, ON)
    refuse(ledger, "'before' is not the last 'after'")


def test_large_documents_stand_as_blobs_and_others_never_do(accept, refuse) -> None:
    limit = {"t": "x" * (8192 - len(jcs({"t": ""})))}
    longer = {"t": "x" * (8193 - len(jcs({"t": ""})))}
    for document in (limit, stand_in(longer)):
        ledger = Ledger()
        ledger.document(None, document)
        accept(ledger)
    for document, reason in [
        (longer, "does not stand as a blob"),
        (stand_in(limit), "stands as a blob"),
        ({"blob": "sha256:00", "size": 9000}, "digest of a blob"),
        ({**stand_in(longer), "size": "9000"}, "size of a blob"),
        ({**stand_in(longer), "size": True}, "size of a blob"),
    ]:
        ledger = Ledger()
        ledger.document(None, document)
        refuse(ledger, reason)


def test_documents_that_stand_as_blobs_are_compared_by_digest(accept, refuse, ledger: Ledger) -> None:
    big, other = {"t": "x" * 9000}, {"t": "y" * 9000}
    ledger.document(None, stand_in(big))
    ledger.document(stand_in(big), stand_in(other))
    accept(ledger)
    ledger.document(stand_in(big), OFF)
    refuse(ledger, "'before' is not the last 'after'")


def test_a_withheld_entry_is_counted_and_frees_the_next_before(accept, refuse, ledger: Ledger) -> None:
    ledger.document(None, ON)
    ledger.document(ON, HALF)
    ledger.document(HALF, OFF)
    report = accept(ledger, withheld=[2], policy={"max_withheld": 1})
    assert report.withheld == 1
    assert report.unreviewed == (1, 3)
    refuse(ledger, "1 entries are withheld, max_withheld is 0", withheld=[2])


def test_the_creation_is_never_withheld(refuse, ledger: Ledger) -> None:
    refuse(ledger, "is withheld", withheld=[0], policy={"max_withheld": 9})


@pytest.mark.parametrize(
    "entry",
    [
        {"leaf_hash": b64(bytes(32)), "reason": "lost"},
        {"leaf_hash": b64(bytes(31)), "reason": "pruned"},
        {"leaf_hash": b64(bytes(32))},
        {"leaf_hash": b64(bytes(32)), "reason": "pruned", "z": 1},
        {"leaf_hash": None, "reason": "pruned"},
        {"leaf_hash": b64(bytes(32))[:-2] + "B=", "reason": "pruned"},
    ],
)
def test_a_withheld_entry_of_another_form_is_refused(tmp_path: Path, ledger: Ledger, entry: Any) -> None:
    entries = ledger.lines[0] + b"\n" + jcs(entry) + b"\n"
    ledger.document(None, ON)
    bundle = write(tmp_path / "b", ledger, withheld=[1], extra={"entries.ndjson": entries})
    for integrity_only in (False, True):
        with pytest.raises(BundleError, match="line 2"):
            verify_bundle(bundle, trust(ledger, max_withheld=1), integrity_only=integrity_only)


def test_the_manifest_says_how_much_is_withheld(tmp_path: Path, ledger: Ledger) -> None:
    ledger.document(None, ON)
    bundle = write(
        tmp_path / "b", ledger, withheld=[1], extra={"entries.ndjson": b"\n".join(ledger.lines) + b"\n"}
    )
    with pytest.raises(BundleError, match="0 entries are withheld, the manifest says 1"):
        verify_bundle(bundle, trust(ledger, max_withheld=1))
