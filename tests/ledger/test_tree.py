"""The head: always what RFC 6962 says of the lines, whoever appends."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from typing import Any

import pytest
from django.db import connections

from audit import tree
from audit.checkpoints import sign_current
from audit.ledger import LedgerError, current_log
from audit.models import Checkpoint, Event, Log
from audit.recording import recording
from tests.cast import Cast


def naive_root(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def check_head() -> None:
    log = current_log()
    events = list(log.events.order_by("index"))
    assert [event.index for event in events] == list(range(log.size))
    assert [json.loads(event.line)["sequence"] for event in events] == [f"{n:016d}" for n in range(log.size)]
    assert log.root == naive_root([event.line.encode() for event in events])


def test_growing_gives_the_root_of_rfc_6962_for_every_size() -> None:
    entries = [str(number).encode() for number in range(140)]
    frontier: list[bytes] = []
    for size, entry in enumerate(entries):
        assert tree.root(frontier) == naive_root(entries[:size])
        frontier, grown = tree.grow(frontier, size, [tree.leaf_hash(entry)])
        assert grown == size + 1
        assert len(frontier) == grown.bit_count()
    for split in (0, 1, 63, 64, 65, 139):
        leaves = [tree.leaf_hash(entry) for entry in entries]
        start, size = tree.grow([], 0, leaves[:split])
        assert tree.root(tree.grow(start, size, leaves[split:])[0]) == naive_root(entries)


def test_the_head_is_the_root_over_the_lines_after_every_recording(cast: Cast) -> None:
    check_head()
    for count in (1, 2, 5, 8):
        with recording(cast.actor("root")) as record:
            for number in range(count):
                record.event("test.v1.counted", data={"number": number})
        check_head()
    cast.flag()
    cast.approve(cast.propose())
    check_head()


def test_of_many_who_append_at_once_each_gets_a_place_and_no_place_is_left_out(committed_cast: Cast) -> None:
    cast, threads, each = committed_cast, 4, 6
    size = Event.objects.count()
    problems: list[BaseException] = []
    barrier = threading.Barrier(threads)

    def append(name: str) -> None:
        try:
            barrier.wait()
            for number in range(each):
                with recording(cast.actor("root")) as record:
                    record.event("test.v1.counted", data={"by": name, "number": number})
        except BaseException as error:
            problems.append(error)
            raise
        finally:
            connections.close_all()

    running = [threading.Thread(target=append, args=(str(number),)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert problems == []
    assert Event.objects.count() == size + threads * each
    check_head()


# --- checkpoints ---------------------------------------------------------------------------------


def test_a_checkpoint_is_signed_once_for_each_size(cast: Cast) -> None:
    first = sign_current()
    assert sign_current() == first
    cast.flag()
    second = sign_current()
    assert second.size > first.size
    assert second.note.split("\n")[:2] == [current_log().origin, str(second.size)]


def tampered(**members: Any) -> None:
    Log.objects.filter(pk=current_log().pk).update(**members)


@pytest.mark.parametrize("when", ["before any checkpoint", "at the checkpoint", "after it"])
@pytest.mark.parametrize("what", ["root", "size"])
def test_a_head_that_was_changed_is_not_signed(cast: Cast, when: str, what: str) -> None:
    if when != "before any checkpoint":
        sign_current()
    if when == "after it":
        cast.flag()
    log, signed = current_log(), Checkpoint.objects.count()
    if what == "root":
        other = hashlib.sha256(b"another history")
        tampered(frontier=[base64.b64encode(other.digest()).decode(), *log.frontier[1:]])
    else:
        tampered(size=log.size - 1)
    with pytest.raises(LedgerError, match="nothing was signed"):
        sign_current()
    assert Checkpoint.objects.count() == signed


def test_an_event_put_in_behind_the_ledger_is_not_signed(cast: Cast) -> None:
    log, signed = current_log(), Checkpoint.objects.count()
    Event.objects.create(
        log=log, index=log.size, time=log.last_time, type="test.v1.forged", line="{}", leaf_hash=b"x" * 32
    )
    with pytest.raises(LedgerError):
        sign_current()
    assert Checkpoint.objects.count() == signed
