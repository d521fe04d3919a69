"""The stored tree: roots of perfect subtrees, so that a proof reads some hundred hashes and not all leaves.

A tile is the root over 256 leaves (level 1), or over 256 tiles of the level below. Whoever signs a checkpoint
writes the tiles that were completed since the one before, from the same leaf hashes by which the head is
checked, and in the same transaction. So there are tiles for all that is signed, appending costs nothing more,
and a database from before there were tiles gets them at its next checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from audit import tree
from audit.models import Event, Log, Tile

HEIGHT = 8  # of a tile, as in c2sp.org/tlog-tiles: 2^8 hashes
WIDTH = 1 << HEIGHT
_CHUNK = 10_000  # leaf hashes in memory


def stored_nodes(log: Log) -> tree.Node:
    """Reads the root of any perfect subtree that is signed: one query for each 256 hashes, asked once.

    Raises LookupError for a subtree that is not stored whole.
    """
    read: dict[tuple[int, int], list[bytes]] = {}

    def node(height: int, index: int) -> bytes:
        level, above = divmod(height, HEIGHT)
        first = index << above  # of the hashes of this level that the subtree covers
        tile, offset = divmod(first, WIDTH)
        if (level, tile) not in read:
            read[level, tile] = _hashes(log, level, tile * WIDTH)
        nodes = read[level, tile][offset : offset + (1 << above)]
        if len(nodes) != 1 << above:
            raise LookupError(f"{log.origin}: the tree hash {index} at height {height} is missing")
        return tree.perfect_root(nodes)

    return node


def _hashes(log: Log, level: int, first: int) -> list[bytes]:
    """Up to 256 hashes of a level, without a gap."""
    inside = {"log": log, "index__gte": first, "index__lt": first + WIDTH}
    rows = (
        Tile.objects.filter(level=level, **inside).values_list("index", "root")
        if level
        else Event.objects.filter(**inside).values_list("index", "leaf_hash")
    )
    return [bytes(root) for n, (index, root) in enumerate(rows.order_by("index")) if index == first + n]


def leaves(log: Log, start: int, end: int) -> Iterator[bytes]:
    """The stored leaf hashes from `start` to before `end`; fewer where some are missing."""
    for first in range(start, end, _CHUNK):
        rows = log.events.filter(index__gte=first, index__lt=min(first + _CHUNK, end)).order_by("index")
        for leaf in rows.values_list("leaf_hash", flat=True):
            yield bytes(leaf)


def covered(log: Log) -> int:
    """How many leaves the tiles cover, without a gap from the first."""
    last = Tile.objects.filter(log=log, level=1).order_by("-index").values_list("index", flat=True).first()
    return 0 if last is None else (last + 1) * WIDTH


def collector(log: Log) -> tuple[list[Tile], Callable[[int, int, bytes], None]]:
    """A list, and what `tree.grow` tells of completed subtrees: of those, the list gets the tiles."""
    tiles: list[Tile] = []

    def completed(height: int, index: int, root: bytes) -> None:
        if height % HEIGHT == 0:
            tiles.append(Tile(log=log, level=height // HEIGHT, index=index, root=root))

    return tiles, completed
