"""The stored tree: what is read from tiles is what the leaves give, and what disagrees is not signed."""

from __future__ import annotations

import base64

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit import checkpoints, tiles, tree
from audit.checkpoints import sign_current
from audit.ledger import LedgerError, current_log
from audit.models import Checkpoint, Event, Tile
from audit.proofs import consistency, event_proof, prefix, root_of
from audit.recording import recording
from tests.cast import Cast


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four hashes a tile, so that a hundred events have three levels of them."""
    monkeypatch.setattr(tiles, "HEIGHT", 2)
    monkeypatch.setattr(tiles, "WIDTH", 4)


def append(cast: Cast, count: int) -> None:
    with recording(cast.actor("root")) as record:
        for number in range(count):
            record.event("test.v1.counted", data={"number": number})


def check_all(checkpoint: Checkpoint) -> None:
    """Every proof under the checkpoint is the one that its leaves give, and every tile is there once."""
    log, size = checkpoint.log, checkpoint.size
    leaves = list(tiles.leaves(log, 0, size))

    def node(height: int, index: int) -> bytes:
        return tree.perfect_root(leaves[index << height : (index + 1) << height])

    stored = tiles.stored_nodes(log)
    for index in range(size):
        assert tree.inclusion(stored, index, size) == tree.inclusion(node, index, size)
    for old in range(1, size + 1):
        assert tree.consistency(stored, old, size) == tree.consistency(node, old, size)
    for first in range(size + 1):
        assert prefix(checkpoint, first) == tree.grow([], 0, leaves[:first])[0]
    expected = {(level, n) for level in (1, 2, 3) for n in range(size >> 2 * level)}
    assert set(Tile.objects.filter(log=log).values_list("level", "index")) == expected
    assert Tile.objects.count() == len(expected)


def test_tiles_are_stored_with_each_checkpoint_however_much_came_between(cast: Cast) -> None:
    sizes = [0, 1, 2, 3, 5, 4, 16, 1, 40]
    earlier: list[Checkpoint] = []
    for count in sizes:
        append(cast, count)
        checkpoint = sign_current()
        assert sign_current() == checkpoint
        for each in earlier:
            consistency(checkpoint, each)
        earlier.append(checkpoint)
    assert checkpoint.size > 64
    check_all(checkpoint)


def test_a_database_from_before_there_were_tiles_gets_them_at_the_next_checkpoint(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(cast, 70)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "checked_tiles", lambda log, last: [])
        old = sign_current()
    assert not Tile.objects.exists()
    event_proof(Event.objects.get(index=3))  # one that is asked for earlier signs at once
    check_all(old)


@pytest.mark.parametrize("when", ["before any checkpoint", "after one"])
def test_a_tile_that_is_not_of_the_tree_is_neither_signed_nor_handed_out(cast: Cast, when: str) -> None:
    if when == "after one":
        append(cast, 4 - current_log().size % 4)
        sign_current()
    size = current_log().size
    append(cast, 8)
    Tile.objects.create(log=current_log(), level=1, index=size // 4, root=b"x" * 32)
    signed = Checkpoint.objects.count()
    with pytest.raises(LedgerError, match="nothing was signed"):
        sign_current()
    assert Checkpoint.objects.count() == signed


def test_a_changed_hash_is_found_before_its_proof_leaves(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    append(cast, 30)
    checkpoint = sign_current()
    stored = tiles.stored_nodes

    def changed(log: object) -> tree.Node:
        node = stored(log)  # type: ignore[arg-type]
        return lambda height, index: b"x" * 32 if (height, index) == (2, 1) else node(height, index)

    monkeypatch.setattr(tiles, "stored_nodes", changed)
    with pytest.raises(LedgerError, match="nothing was handed out"):
        event_proof(Event.objects.get(index=1))
    earlier = Checkpoint(log=checkpoint.log, size=8, frontier=[])
    with pytest.raises(LedgerError, match="nothing was handed out"):
        consistency(checkpoint, earlier)


def test_a_tile_that_is_missing_is_told(cast: Cast) -> None:
    append(cast, 30)
    checkpoint = sign_current()
    beyond = Checkpoint(log=checkpoint.log, size=checkpoint.size + 64, frontier=checkpoint.frontier)
    with pytest.raises(LedgerError, match="is missing"):
        prefix(beyond, beyond.size)
    assert base64.b64encode(root_of(checkpoint)).decode() in checkpoint.note


def test_tiles_are_append_only(cast: Cast) -> None:
    append(cast, 8)
    sign_current()
    for change in (Tile.objects.all().delete, lambda: Tile.objects.update(root=b"x" * 32)):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def test_a_proof_reads_two_tiles_a_level_at_most(cast: Cast) -> None:
    append(cast, 90)
    sign_current()
    with CaptureQueriesContext(connection) as captured:
        event_proof(Event.objects.select_related("log").get(index=5))
    asked = [query["sql"] for query in captured if '"root"' in query["sql"] or "leaf_hash" in query["sql"]]
    assert len(asked) <= 1 + 2 * 4  # the event itself, and four levels
