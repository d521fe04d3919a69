"""Snapshots: what is refused, what is served all the same, and when a flag's line is read."""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
import rfc8785
from signed_snapshots import ENVIRONMENT, SigningKey, a_flag, body_of, head_of, signed

from countersign import Snapshot, SnapshotError, evaluation

BODY = body_of({"banner": a_flag(), "checkout": a_flag(client_side=True)})


def with_lines(*lines: bytes) -> Snapshot:
    return Snapshot.parse(signed(b"".join(line + b"\n" for line in (b'{"segments":{}}', *lines))))


def line_of(key: str, **changes: object) -> bytes:
    return rfc8785.dumps([key, a_flag(**changes)])


def test_a_snapshot_that_the_given_key_signed_is_accepted():
    key = SigningKey()
    raw = signed(BODY, key)
    snapshot = Snapshot.parse(raw, verify=[key.vkey], environment=ENVIRONMENT)
    assert snapshot.keys() == ["banner", "checkout"]
    assert "banner" in snapshot
    assert "other" not in snapshot
    assert (snapshot.version, snapshot.origin, snapshot.environment) == (
        1287,
        "flags.example.com",
        ENVIRONMENT,
    )
    assert (snapshot.ledger_size, snapshot.created) == (40213, "2026-11-20T12:00:00.000000Z")
    assert snapshot.raw == raw
    assert snapshot.body == BODY
    assert snapshot.head_text == head_of(BODY)
    assert snapshot.etag == f'"1287-{snapshot.body_sha256[:16]}"'


def test_while_keys_rotate_a_client_needs_one_of_them():
    old, new = SigningKey(), SigningKey()
    for trusted in ([old.vkey], [new.vkey], [SigningKey().vkey, new.vkey]):
        assert Snapshot.parse(signed(BODY, old, new), verify=trusted).version == 1287


def test_another_key_of_the_same_name_is_refused():
    with pytest.raises(SnapshotError, match="signature"):
        Snapshot.parse(signed(BODY), verify=[SigningKey().vkey])


def test_a_key_of_another_origin_is_refused_whatever_it_signed():
    key = SigningKey("other.example.com/snapshots")
    with pytest.raises(SnapshotError, match="origin"):
        Snapshot.parse(signed(BODY, key), verify=[key.vkey])


def test_the_ledger_key_of_the_origin_signs_no_snapshots():
    key = SigningKey("flags.example.com/ledger")
    with pytest.raises(SnapshotError, match="origin"):
        Snapshot.parse(signed(BODY, key), verify=[key.vkey])


def test_a_head_changed_after_signing_is_refused():
    key = SigningKey()
    raw = signed(BODY, key).replace(b"version 1287", b"version 1288")
    with pytest.raises(SnapshotError, match="signature"):
        Snapshot.parse(raw, verify=[key.vkey])


def test_a_body_changed_after_signing_is_refused_even_without_a_key():
    with pytest.raises(SnapshotError, match="hash"):
        Snapshot.parse(signed(BODY).replace(b'"enabled":true', b'"enabled":tru3'))


def test_a_body_cut_short_is_refused():
    with pytest.raises(SnapshotError, match="bytes"):
        Snapshot.parse(signed(BODY)[:-1])


def test_another_environment_is_refused():
    with pytest.raises(SnapshotError, match="shop/staging"):
        Snapshot.parse(signed(BODY), environment="shop/staging")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "countersign-snapshot/v2"},
        {"version": "0"},
        {"version": "01"},
        {"version": " 1"},
        {"version": "٣"},
        {"origin": ""},
        {"environment": "shop"},
        {"environment": "shop/-"},
        {"created": "2026-11-20T12:00:00Z"},
        {"created": "2026-13-20T12:00:00.000000Z"},
        {"ledger": "40213"},
        {"ledger": "40213 AAAA"},
        {"ledger": "40213 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB="},
        {"body": f"sha256:{'A' * 64} 10"},
        {"more": "x"},
    ],
)
def test_a_head_that_is_not_exactly_the_seven_lines_is_an_unknown_format(changes):
    with pytest.raises(SnapshotError, match="unknown snapshot format"):
        Snapshot.parse(signed(BODY, **changes))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw.replace(b"\n", b"\r\n", 1),
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: b"\n" + raw,
        lambda raw: raw + b"\n",
        lambda raw: raw + b"\0",
        lambda raw: raw.replace(b"origin ", b"origin  ", 1),
        lambda raw: raw.replace(b"version 1287", b"version +1287", 1),
        lambda raw: raw.replace(b"version 1287", b"version 1287 ", 1),
        lambda raw: raw.replace(b"version 1287", b"Version 1287", 1),
        lambda raw: raw.replace(b"version 1287", b"version " + b"9" * 5000, 1),
        lambda raw: raw.replace(b"\nversion 1287\ncreated", b"\ncreated", 1),
        lambda raw: raw.replace(b"sha256:", b"sha512:", 1),
        lambda raw: raw.replace("\u2014".encode(), b"-", 1),
        lambda raw: raw.replace("\n\u2014".encode(), "\n\n\u2014".encode(), 1),
    ],
)
def test_a_file_in_any_other_form_is_refused(change):
    raw = signed(BODY)
    assert change(raw) != raw
    with pytest.raises(SnapshotError):
        Snapshot.parse(change(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"x" * 10_000_000,
        head_of(BODY, origin="o" * 1_000_000).encode() + b"\n" + "\u2014 o aaaa\n".encode() + b"\n" + BODY,
        head_of(BODY).encode() + b"\n" + "\u2014 ".encode() + b"o" * 1_000_000 + b" a\n\n" + BODY,
        signed(b'{"segments":{}}\n["b",1]\n["' + b"a" * 900_000 + b'",1]\n'),
    ],
    ids=["one line", "origin", "signer", "key"],
)
def test_a_reason_is_short_however_long_the_nonsense(raw):
    with pytest.raises(SnapshotError) as refused:
        Snapshot.parse(raw, verify=[SigningKey().vkey] if b"origin oo" in raw[:100] else ())
    assert len(str(refused.value)) < 500


def test_a_key_that_is_none_is_not_called_a_bad_signature():
    with pytest.raises(SnapshotError, match="a key to verify with cannot be used"):
        Snapshot.parse(signed(BODY), verify=["nonsense"])


@pytest.mark.parametrize(
    "raw", [b"", b"<html>\n\n</html>\n\n", b"\n\n\n\n", head_of(BODY).encode() + b"\n\n" + BODY]
)
def test_what_is_no_snapshot_is_refused(raw):
    with pytest.raises(SnapshotError):
        Snapshot.parse(raw)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"segments":{}}',
        b'{"segments":[]}\n',
        b"[]\n",
        b'{"segments":{},"segments":{}}\n',
        b'["banner",{}]\n',
        b'{"segments":{}}\n\n["a",{}]\n',
        b'{"segments":{}}\n["b",{}]\n["a",{}]\n',
        b'{"segments":{}}\n["a",{}]\n["a",{}]\n',
        b'{"segments":{}}\n["a",{}]',
        b'{"segments":{}}\nnonsense\n',
    ],
)
def test_a_body_that_cannot_be_indexed_is_refused(body):
    with pytest.raises(SnapshotError):
        Snapshot.parse(signed(body))


@pytest.mark.parametrize(
    "line",
    [
        b'["bad",{',
        b'["bad",null]',
        b'["bad",{},1]',
        b'["bad",{"type":"boolean","type":"boolean"}]',
        b'["bad",{"version":NaN}]',
        b'["bad",{"version":1e999}]',
        b'["bad",{"version":' + b"9" * 5000 + b"}]",
        b'["bad",{"x":"\xff"}]',
        b'["bad",{"x":"\\ud800"}]',
        b'["bad",' + b"[" * 40 + b"]" * 40 + b"]",
        b'["bad",' + b"[" * 100_000 + b"]" * 100_000 + b"]",
        b'["bad",{"x":"' + b"x" * 1024 * 1024 + b'"}]',
    ],
)
def test_a_line_that_cannot_be_read_is_an_error_of_its_flag_alone(line):
    snapshot = with_lines(line_of("also"), line, line_of("good"))
    result = snapshot.evaluate("bad", {})
    assert (result.reason, result.error_code, result.variant) == ("ERROR", "PARSE_ERROR", None)
    assert not {"cause", "rule"} & set(result.metadata)
    assert result.metadata["snapshot_version"] == 1287
    assert snapshot.flag_type("bad") is None
    assert not snapshot.flag_is_client_side("bad")
    assert snapshot.evaluate("good", {}).variant == snapshot.evaluate("also", {}).variant == "off"


def test_an_error_tells_version_and_change_where_they_can_be_read():
    result = with_lines(line_of("bad", change="CR-3", fail_safe="x")).evaluate("bad", {})
    assert dict(result.metadata) == {"flag_version": 7, "change": "CR-3", "snapshot_version": 1287}
    assert "fail_safe" in (result.error_message or "")


def test_a_reader_need_not_have_canonical_lines():
    line = b' [ "spaced" , ' + rfc8785.dumps(a_flag()) + b" ] "
    assert with_lines(line).evaluate("spaced", {}).variant == "off"


def test_thirty_two_levels_are_read():
    deep = b'{"a":' * 29 + b"1" + b"}" * 29
    text = line_of("deep", type="object", variants={"on": {}, "off": {"x": 1}})
    assert with_lines(text.replace(b'{"x":1}', deep)).evaluate("deep", {}).variant == "off"
    assert with_lines(text.replace(b'{"x":1}', b'{"a":' + deep + b"}")).evaluate("deep", {}).reason == "ERROR"


def test_a_caller_deep_in_its_own_recursion_does_not_break_a_flag_for_the_others():
    deep = {"type": "object", "variants": {"on": {}, "off": json.loads('{"a":' * 29 + "1" + "}" * 29)}}
    snapshot = with_lines(line_of("deep", **deep))

    def ask_at_the_end_of_the_stack() -> None:
        try:
            ask_at_the_end_of_the_stack()
        except RecursionError:
            snapshot.evaluate("deep", {})  # the first use; it fails in each frame that has too little left

    with contextlib.suppress(RecursionError):
        ask_at_the_end_of_the_stack()
    assert snapshot.evaluate("deep", {}).variant == "off"


def test_a_flag_that_is_not_there_is_an_error_with_the_snapshot_s_version_only():
    result = with_lines().evaluate("nowhere", {})
    assert (result.reason, result.error_code, result.has_value) == ("ERROR", "FLAG_NOT_FOUND", False)
    assert dict(result.metadata) == {"snapshot_version": 1287}


def test_a_mismatch_tells_version_and_change_but_no_cause():
    result = with_lines(line_of("banner", change="CR-3")).evaluate("banner", {}, "string")
    assert (result.error_code, result.value, result.variant) == ("TYPE_MISMATCH", None, None)
    assert dict(result.metadata) == {"flag_version": 7, "change": "CR-3", "snapshot_version": 1287}


def test_what_a_caller_changes_at_any_depth_is_seen_by_nobody_else():
    def deep() -> dict:
        return {"a": [{"b": [[{"c": 1}]]}], "d": {"e": {"f": [2]}}}

    snapshot = with_lines(line_of("banner", type="object", variants={"off": deep(), "on": {}}))
    for expected_type in (None, "object"):
        value = snapshot.evaluate("banner", {}, expected_type).value
        value["a"][0]["b"][0][0]["c"] = value["d"]["e"]["f"][0] = 9
        value["d"]["e"]["g"] = 9
        assert snapshot.evaluate("banner", {}).value == deep()


def test_results_are_shared_and_other_keys_and_types_are_not_kept():
    snapshot = with_lines(line_of("banner"))
    assert snapshot.evaluate("banner", {}) is snapshot.evaluate("banner", {"country": "DK"}, "boolean")
    assert snapshot.check("banner") is snapshot.check("banner")
    for key, expected_type in (("nowhere", None), ("banner", "bool")):
        first = snapshot.check(key, expected_type)
        assert first.decide({}, None).reason == "ERROR"
        assert snapshot.check(key, expected_type) is not first


def test_what_changed_between_two_snapshots_can_be_asked():
    old = Snapshot.parse(signed(body_of({"a": a_flag(), "b": a_flag(), "c": a_flag()})))
    flags = {"a": a_flag(), "b": a_flag(killed=True), "d": a_flag()}
    assert Snapshot.parse(signed(body_of(flags))).changed_keys(old) == ["b", "c", "d"]
    assert Snapshot.parse(signed(body_of(flags, {"beta": {"version": 1}}))).changed_keys(old) is None
    assert old.changed_keys(old) == []


def test_threads_that_meet_at_a_flag_s_first_use_agree():
    needing = {f"f{n}": a_flag(prerequisites=[{"flag": f"f{n + 1}", "variants": ["off"]}]) for n in range(40)}
    raw = signed(body_of({**needing, "f40": a_flag()}))
    for _ in range(5):
        snapshot, start = Snapshot.parse(raw), threading.Barrier(8)

        def ask(snapshot: Snapshot = snapshot, start: threading.Barrier = start) -> list:
            start.wait()
            return [snapshot.evaluate(key, {"targetingKey": "u"}) for key in needing]

        with ThreadPoolExecutor(8) as pool:
            answers = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
        assert all(answer == answers[0] for answer in answers)
        assert {result.reason for result in answers[0]} == {"DEFAULT"}


def test_a_returned_object_is_the_caller_s_own_copy():
    snapshot = with_lines(line_of("banner", type="object", variants={"off": {"list": [1]}, "on": {}}))
    snapshot.evaluate("banner", {}).value["list"].append(2)
    assert snapshot.evaluate("banner", {}).value == {"list": [1]}


def test_type_and_side_of_a_flag_can_be_asked():
    snapshot = Snapshot.parse(signed(BODY))
    assert (snapshot.flag_type("banner"), snapshot.flag_type("nowhere")) == ("boolean", None)
    assert [snapshot.flag_is_client_side(key) for key in ("banner", "checkout", "nowhere")] == [
        False,
        True,
        False,
    ]


def test_a_newer_version_supersedes_and_the_same_changes_nothing():
    old, new = Snapshot.parse(signed(BODY)), Snapshot.parse(signed(BODY, version=1288))
    assert old.supersedes(None)
    assert new.supersedes(old)
    assert not Snapshot.parse(signed(BODY)).supersedes(old)


def test_an_older_version_is_refused():
    old, new = Snapshot.parse(signed(BODY)), Snapshot.parse(signed(BODY, version=1288))
    with pytest.raises(SnapshotError, match="older"):
        old.supersedes(new)


def test_the_same_version_with_another_body_is_refused():
    other = Snapshot.parse(signed(body_of({"banner": a_flag(enabled=False)})))
    with pytest.raises(SnapshotError, match="another body"):
        other.supersedes(Snapshot.parse(signed(BODY)))


def test_many_paths_and_long_chains_of_prerequisites_are_evaluated_once_each():
    on = {"variant": "on"}
    flags: dict[str, object] = {"f0000": a_flag(default=on)}
    for number in range(1, 3000):
        near = [{"flag": f"f{number - step:04}", "variants": ["on"]} for step in (1, 2) if number >= step]
        flags[f"f{number:04}"] = a_flag(default=on, prerequisites=near)
    assert Snapshot.parse(signed(body_of(flags))).evaluate("f2999", {}).variant == "on"


def test_a_wide_graph_of_prerequisites_takes_work_by_its_links_and_no_more(monkeypatch):
    """Layers of flags that each need all of the layer before: the ways through them are far too many to walk."""
    layers, width = 8, 12
    flags: dict[str, object] = {}
    for layer in range(layers):
        needs = [{"flag": f"f{layer - 1}-{n:02}", "variants": ["off"]} for n in range(width if layer else 0)]
        flags |= {
            f"f{layer}-{n:02}": a_flag(default={"variant": "off"}, prerequisites=needs) for n in range(width)
        }
    snapshot = Snapshot.parse(signed(body_of(flags)))
    looks, rows = [], []
    needs_of, first_row = Snapshot._needs, evaluation._first_row
    monkeypatch.setattr(Snapshot, "_needs", lambda self, key: looks.append(key) or needs_of(self, key))
    monkeypatch.setattr(evaluation, "_first_row", lambda *asked: rows.append(asked) or first_row(*asked))
    assert set(snapshot.values({}).values()) == {False}
    assert len(looks) <= 4 * len(flags)  # each looked at four times at most, whoever needs it
    assert len(rows) <= 2 * len(flags)  # each asked once for itself and once for all that need it
    assert {result.reason for _, result in snapshot.evaluate_all({})} == {"DEFAULT", "STATIC"}


def test_a_cycle_stays_one_whatever_was_linked_before():
    needing = {"a": "b", "b": "c", "c": "b", "d": "ac", "e": "f", "f": ""}
    flags = {
        key: a_flag(
            default={"variant": "on"},
            prerequisites=[{"flag": needed, "variants": ["on"]} for needed in needs],
        )
        for key, needs in needing.items()
    }
    raw = signed(body_of(flags))
    for order in permutations(flags):
        snapshot = Snapshot.parse(raw)
        served = {key: snapshot.evaluate(key, {}).variant for key in order}
        assert served == {**dict.fromkeys("abcd", "off"), "e": "on", "f": "on"}
