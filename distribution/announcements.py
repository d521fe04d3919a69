"""Telling the read planes: by Redis where there is one, and always those in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

from django.conf import settings
from redis import RedisError

from distribution.read_plane import RedisStore

logger = logging.getLogger(__name__)
# Read planes of this process, which hear of a new version at once.
_listeners: list[Callable[[str], None]] = []


def listen(callback: Callable[[str], None]) -> None:
    """Call back with an environment's path whenever this process publishes something of it."""
    _listeners.append(callback)


@cache
def _redis(url: str) -> RedisStore:
    return RedisStore(url)


def announce_snapshot(environment: str, version: int, raw: bytes) -> None:
    """Put a snapshot where read planes look first, and tell them. A failure costs latency only."""
    _announce(environment, lambda store: store.put_snapshot(environment, version, raw))


def announce_keyring(environment: str, version: int, raw: bytes) -> None:
    """The same for a keyring."""
    _announce(environment, lambda store: store.put_keyring(environment, version, raw))


def _announce(environment: str, put: Callable[[RedisStore], object]) -> None:
    if settings.REDIS_URL:
        store = _redis(settings.REDIS_URL)
        try:
            put(store)
            store.announce(environment)
        except (RedisError, OSError):
            logger.warning(
                "Redis did not take %s; read planes find it in the database", environment, exc_info=True
            )
    for callback in _listeners:
        try:
            callback(environment)
        except Exception:
            logger.exception("A read plane did not hear of %s; it will find it in a store", environment)
