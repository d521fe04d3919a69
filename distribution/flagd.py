"""The flagd document of what an environment serves now, from its newest snapshot in the database."""

from __future__ import annotations

from functools import lru_cache

from countersign.flagd import Export, export
from countersign.snapshot import Snapshot as SnapshotFile
from distribution.models import Snapshot
from flags.models import Environment


def newest_export(environment: Environment, hash: str) -> Export | None:
    """What flagd clients with this hash get; None where nothing was published yet."""
    newest = Snapshot.objects.filter(environment=environment).order_by("-version").values_list("pk", "head")
    row = newest.first()
    return None if row is None else _export(*row, hash)


# A snapshot never changes, and a large one takes a second or two. The signed head says which one it is.
@lru_cache(maxsize=4)
def _export(snapshot: int, head: str, hash: str) -> Export:
    return export(SnapshotFile.parse(Snapshot.objects.get(pk=snapshot).raw), hash)
