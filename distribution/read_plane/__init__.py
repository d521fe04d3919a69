"""The read plane: snapshots, OFREP and health, answered from memory in front of Django.

It imports no Django, DRF or Celery; what it needs of the database comes in as a `Store`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from distribution.read_plane.app import Application, ReadPlane
from distribution.read_plane.directory_store import DirectoryStore
from distribution.read_plane.holder import Holder
from distribution.read_plane.limits import Rates
from distribution.read_plane.redis_store import RedisStore
from distribution.read_plane.refresher import Refresher
from distribution.read_plane.store import Store

__all__ = ["Rates", "ReadPlane", "RedisStore", "Store", "build"]


def build(
    next_app: Application,
    *,
    origin: str,
    verify: Sequence[str] | Callable[[], Sequence[str]],
    redis_url: str | None,
    database: Store | None,
    directory: Path | None,
    rates: Rates | None = None,
) -> ReadPlane:
    """Put the read plane together; `start` it once the server runs.

    `origin` is the installation's name, `verify` the vkeys of `<origin>/snapshots` (several while keys
    rotate; at least one, else ValueError), or what says them anew for each document. `redis_url`, `database`
    and `directory` (last known good) are what it reads from. `rates`: how often it may be asked; without them,
    any number of times.
    """
    redis = RedisStore(redis_url) if redis_url else None
    sources: list[tuple[str, Store]] = []
    if redis is not None:
        sources.append(("redis", redis))
    if database is not None:
        sources.append(("database", database))
    holder = Holder(origin=origin, verify=verify)
    last_known_good = DirectoryStore(directory) if directory is not None else None
    refresher = Refresher(holder, sources, announcer=redis, last_known_good=last_known_good)
    return ReadPlane(holder, refresher, next_app=next_app, rates=rates)
