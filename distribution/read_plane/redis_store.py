"""Published documents in Redis: both sides of it, the publisher's writing and the read plane's reading.

countersign:snapshot:<environment>   the signed snapshot
countersign:keyring:<environment>    the signed keyring
countersign:versions                 hash, `snapshot:<environment>` and `keyring:<environment>` -> version
countersign:announcements            channel, {"environment", "snapshot", "keyring"} when one was published
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

VERSIONS_KEY = "countersign:versions"
CHANNEL = "countersign:announcements"

# Seconds. A Redis on the same network answers in milliseconds; who waits longer delays a revocation.
_TIMEOUT = 1.0
_LISTEN_STEP = 0.5
_HEALTH_CHECK = 5

# Document and version change together or not at all, and time only runs forward, also for two publishers at
# once. The same version may be written again: that repairs a document which was lost or damaged here.
_PUT = """
local held = redis.call('HGET', KEYS[2], ARGV[1])
if held and tonumber(held) and tonumber(held) > tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
"""


class RedisStore:
    """A Store in Redis. Methods raise redis.RedisError when it is away, within about two seconds."""

    def __init__(self, url: str) -> None:
        """`url` as redis-py takes it (`redis://`, `rediss://`, `unix://`); nothing is contacted yet."""
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            socket_keepalive=True,
            health_check_interval=_HEALTH_CHECK,
            # Whoever calls has a rhythm of their own; hidden retries multiply waits.
            retry=Retry(NoBackoff(), 0),
        )
        self._put = self._redis.register_script(_PUT)

    def get_snapshot(self, environment: str) -> bytes | None:
        """The signed snapshot as published; None where there is none."""
        return cast("bytes | None", self._redis.get(_document_key("snapshot", environment)))

    def get_keyring(self, environment: str) -> bytes | None:
        """The signed keyring as published; None where there is none."""
        return cast("bytes | None", self._redis.get(_document_key("keyring", environment)))

    def versions(self) -> Mapping[str, tuple[int, int]]:
        """Environment -> (snapshot version, keyring version), in one round trip."""
        found: dict[str, tuple[int, int]] = {}
        fields = cast("dict[bytes, bytes]", self._redis.hgetall(VERSIONS_KEY))
        for field, value in fields.items():
            kind, _, environment = field.decode("utf-8", "replace").partition(":")
            if not (value.isdigit() and len(value) <= 16):
                continue
            snapshot, keyring = found.get(environment, (0, 0))
            if kind == "snapshot":
                found[environment] = (int(value), keyring)
            elif kind == "keyring":
                found[environment] = (snapshot, int(value))
        return found

    def put_snapshot(self, environment: str, version: int, raw: bytes) -> bool:
        """Store a signed snapshot; False, and nothing changed, when a newer one is there."""
        return self._store("snapshot", environment, version, raw)

    def put_keyring(self, environment: str, version: int, raw: bytes) -> bool:
        """Store a signed keyring; False, and nothing changed, when a newer one is there."""
        return self._store("keyring", environment, version, raw)

    def announce(self, environment: str) -> None:
        """Tell every listener that `environment` has something new, with the versions stored here."""
        numbers = self._redis.hmget(VERSIONS_KEY, [f"snapshot:{environment}", f"keyring:{environment}"])
        snapshot, keyring = (int(number or 0) for number in cast("list[bytes | None]", numbers))
        message = {"environment": environment, "snapshot": snapshot, "keyring": keyring}
        self._redis.publish(CHANNEL, json.dumps(message))

    def listen(self, callback: Callable[[str | None], None], stop: threading.Event) -> None:
        """Call `callback(environment)` for each announcement until `stop` is set; blocks.

        It is first called with None, once subscribed: what was announced before that moment is unknown, so
        the caller looks at everything. Raises redis.RedisError when contact is lost.
        """
        with self._redis.pubsub() as subscription:
            subscription.subscribe(CHANNEL)
            while not stop.is_set():
                message = subscription.get_message(timeout=_LISTEN_STEP)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    callback(None)
                elif message["type"] == "message":
                    callback(_announced(message["data"]))

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()

    def _store(self, kind: str, environment: str, version: int, raw: bytes) -> bool:
        keys = [_document_key(kind, environment), VERSIONS_KEY]
        return bool(self._put(keys=keys, args=[f"{kind}:{environment}", version, raw]))


def _document_key(kind: str, environment: str) -> str:
    return f"countersign:{kind}:{environment}"


def _announced(data: Any) -> str | None:
    """The environment named; None (look at everything) for a message that cannot be read."""
    try:
        environment = json.loads(data)["environment"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return environment if isinstance(environment, str) else None
