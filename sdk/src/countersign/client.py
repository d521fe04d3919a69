"""The client: flags evaluated in this process, from a snapshot that a thread keeps up to date."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar

from countersign.details import EvaluationDetails
from countersign.dsn import DsnError, read_dsn
from countersign.fetching import Fetcher, FetchError
from countersign.flag import BrokenFlag
from countersign.last_known_good import LastKnownGood
from countersign.result import Check, Result, Ways, boolean_ways
from countersign.snapshot import Snapshot, SnapshotError

T = TypeVar("T")

LONGEST_BACKOFF = 60.0
"""Seconds between polls after many failures; a server's Retry-After may ask for up to five times that."""
LONGEST_INTERVAL = 86_400.0
"""Seconds: a wait that the operating system's timers take for sure."""
_NO_CONTEXT: Mapping[str, Any] = {}
_NO_METADATA: MappingProxyType[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class ClientStatus:
    """How a client is doing.

    ``snapshot_version`` and ``etag``: of the snapshot in use, or None. ``age``: seconds since the server
    last answered with it or confirmed it; None without a snapshot, and for a client from a file. ``stale``:
    past ``max_staleness``. ``last_error``: why the last poll brought nothing, or None after a good one.
    ``failures``: failed polls in a row.
    """

    ready: bool
    environment: str | None
    snapshot_version: int | None
    etag: str | None
    age: float | None
    stale: bool
    last_error: str | None
    failures: int


class Client:
    """Evaluates the flags of one environment. Its evaluation methods never raise and never wait.

    A daemon thread polls the server; the client keeps the snapshot it has while the server is away, and
    refuses one that is not signed, not this environment's, older, or another of the same version.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        context: Mapping[str, Any] | None = None,
        poll_interval: float = 1.0,
        max_staleness: float | None = None,
        timeout: float = 10.0,
        max_bytes: int = 64 * 1024 * 1024,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        """Starts to poll; ``wait_until_ready`` waits for the first snapshot.

        ``dsn``: see ``countersign.dsn``; the environment variable COUNTERSIGN_DSN when omitted. ``context``:
        static attributes of this process (service, region, …). ``poll_interval``: seconds. ``timeout``:
        seconds for each wait on the network; a whole answer may take six times as long.
        ``max_staleness``: seconds after the server's last answer from which flags take their safe state;
        None for never. ``max_bytes``: a longer snapshot is refused. ``cache_dir``: a directory for the last
        snapshot, to start from while the server is away. Raises DsnError, or ValueError for other settings.
        """
        text = dsn if dsn is not None else os.environ.get("COUNTERSIGN_DSN")
        if not text:
            raise DsnError("no DSN; pass one, or set COUNTERSIGN_DSN (an environment's page shows it)")
        if not 0 < poll_interval <= LONGEST_INTERVAL or not 0 < timeout <= LONGEST_INTERVAL:
            raise ValueError("poll_interval and timeout are seconds, above 0 and no more than a day's")
        if max_staleness is not None and not max_staleness >= 0:
            raise ValueError("max_staleness is in seconds, 0 or more; None is for never")
        if max_bytes <= 0:
            raise ValueError("max_bytes is above 0; leave it out for 64 MiB")
        parsed = read_dsn(text)
        self._setup(context, parsed.verify, parsed.environment, max_staleness)
        self._poll_interval = poll_interval
        self._fetcher: Fetcher | None = Fetcher(parsed, timeout=timeout, max_bytes=max_bytes)
        self._cache = None if cache_dir is None else LastKnownGood(cache_dir, parsed.environment)
        if self._cache is not None:
            self._start_from_cache(self._cache)
        self._start()
        _clients.add(self)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        verify: Sequence[str] = (),
        environment: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Client:
        """A client of one snapshot file, which is read now, never polled and never stale.

        ``verify``, ``environment``: as in ``Snapshot.parse``. Raises OSError or SnapshotError.
        """
        client = cls.__new__(cls)
        client._setup(context, tuple(verify), environment, None)
        client._fetcher, client._cache = None, None
        client._use(Snapshot.parse(Path(path).read_bytes(), verify=verify, environment=environment), None)
        return client

    def _setup(
        self,
        context: Mapping[str, Any] | None,
        verify: tuple[str, ...],
        environment: str | None,
        max_staleness: float | None,
    ) -> None:
        self._context = dict(context or {})
        self._region = self._context.get("region")
        self._verify = verify
        self._environment = environment
        self._max_staleness = max_staleness
        self._snapshot: Snapshot | None = None
        self._booleans: dict[str, Ways] = {}  # of the flags of the snapshot in use that were asked for
        self._kept: Snapshot | None = None  # what the file in cache_dir holds
        self._answered: float | None = None  # monotonic seconds of the server's last answer
        self._last_error: str | None = None
        self._failures = 0
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._ready = threading.Event()

    # Life

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        """Waits until there is a snapshot, at most ``timeout`` seconds; whether there is one."""
        return self._ready.wait(timeout)

    def close(self) -> None:
        """Ends polling. The client goes on to answer from what it has."""
        self._closing.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closing.is_set()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def status(self) -> ClientStatus:
        """How this client is doing, for health checks and logs."""
        snapshot, answered = self._snapshot, self._answered
        return ClientStatus(
            ready=snapshot is not None,
            environment=snapshot.environment if snapshot is not None else self._environment,
            snapshot_version=None if snapshot is None else snapshot.version,
            etag=None if snapshot is None else snapshot.etag,
            age=None if snapshot is None or answered is None else time.monotonic() - answered,
            stale=self._is_stale(),
            last_error=self._last_error,
            failures=self._failures,
        )

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot in use."""
        return self._snapshot

    # Evaluation, by OpenFeature's names

    def get_boolean_value(
        self, flag_key: str, default_value: bool, context: Mapping[str, Any] | None = None
    ) -> bool:
        """The flag's value, or ``default_value``."""
        # Most flags are boolean, and two thirds of such a check's time were the calls of _evaluate and below.
        try:
            by, known, decide_text, decide = self._booleans[flag_key]
            if by is None:
                if decide is None:
                    return known  # type: ignore[no-any-return]  # a boolean flag's
                if context is None:
                    context = _NO_CONTEXT
                result = decide(context, None)
            else:
                if context is None:
                    context = _NO_CONTEXT
                text = context.get(by)
                if type(text) is str:
                    found = known.get(text)
                    if found is not None:
                        return found.value  # type: ignore[no-any-return]  # likewise
                    result = decide_text(text, context)
                else:
                    result = decide(context, None)  # type: ignore[misc]  # never None beside a lookup
            value = result.value
        except Exception:  # noqa: BLE001  # asked for the first time, or _evaluate says what is wrong
            value = self._evaluate_boolean(flag_key, context).value
        return default_value if value is None else value

    def get_boolean_details(
        self, flag_key: str, default_value: bool, context: Mapping[str, Any] | None = None
    ) -> EvaluationDetails[bool]:
        """The flag's value, or ``default_value``, and why."""
        return self._details(flag_key, default_value, context, "boolean")

    def get_string_value(
        self, flag_key: str, default_value: str, context: Mapping[str, Any] | None = None
    ) -> str:
        """The flag's value, or ``default_value``."""
        result = self._evaluate(self._snapshot, flag_key, context, "string")
        return default_value if result.variant is None else result.value

    def get_string_details(
        self, flag_key: str, default_value: str, context: Mapping[str, Any] | None = None
    ) -> EvaluationDetails[str]:
        """The flag's value, or ``default_value``, and why."""
        return self._details(flag_key, default_value, context, "string")

    def get_integer_value(
        self, flag_key: str, default_value: int, context: Mapping[str, Any] | None = None
    ) -> int:
        """The flag's value, or ``default_value``."""
        result = self._evaluate(self._snapshot, flag_key, context, "integer")
        return default_value if result.variant is None else result.value

    def get_integer_details(
        self, flag_key: str, default_value: int, context: Mapping[str, Any] | None = None
    ) -> EvaluationDetails[int]:
        """The flag's value, or ``default_value``, and why."""
        return self._details(flag_key, default_value, context, "integer")

    def get_float_value(
        self, flag_key: str, default_value: float, context: Mapping[str, Any] | None = None
    ) -> float:
        """The flag's value, or ``default_value``; an integer flag answers a float too."""
        result = self._evaluate(self._snapshot, flag_key, context, "float")
        return default_value if result.variant is None else result.value

    def get_float_details(
        self, flag_key: str, default_value: float, context: Mapping[str, Any] | None = None
    ) -> EvaluationDetails[float]:
        """The flag's value, or ``default_value``, and why; an integer flag answers a float too."""
        return self._details(flag_key, default_value, context, "float")

    def get_object_value(
        self, flag_key: str, default_value: T, context: Mapping[str, Any] | None = None
    ) -> T:
        """The flag's value, a copy that is the caller's own, or ``default_value``."""
        result = self._evaluate(self._snapshot, flag_key, context, "object")
        return default_value if result.variant is None else result.value

    def get_object_details(
        self, flag_key: str, default_value: T, context: Mapping[str, Any] | None = None
    ) -> EvaluationDetails[T]:
        """The flag's value, a copy that is the caller's own, or ``default_value``, and why."""
        return self._details(flag_key, default_value, context, "object")

    def get_all(self, context: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The values of all flags by key, None where the caller's default would apply.

        Empty without a snapshot.
        """
        snapshot = self._snapshot  # read once, so that all values are of one moment
        if snapshot is None:
            return {}
        try:
            merged = {**self._context} if context is None else {**self._context, **context}
            return snapshot.values(merged, region=self._region, stale=self._is_stale())
        except Exception:  # noqa: BLE001  # one flag's trouble with a context must not hide the others
            keys = snapshot.keys()
            return {key: self._evaluate(snapshot, key, context, None).value for key in keys}

    def evaluate(
        self, flag_key: str, context: Mapping[str, Any] | None = None, expected_type: str | None = None
    ) -> Result:
        """The evaluator's own answer, with the static context merged and staleness applied. Never raises."""
        return self._evaluate(self._snapshot, flag_key, context, expected_type)

    def _evaluate(
        self,
        snapshot: Snapshot | None,
        flag_key: str,
        context: Mapping[str, Any] | None,
        expected_type: str | None,
    ) -> Result:
        if snapshot is None:
            return self._not_ready()
        try:
            stale = self._max_staleness is not None and self._is_stale()
            check = snapshot.check(flag_key, expected_type, stale)
            if check.settled is not None:
                return check.settled
            if context is None:
                context = self._context
            elif self._context:
                context = {**self._context, **context}
            decide = check.decide
            return decide(context, self._region)
        except Exception as error:  # noqa: BLE001  # a flag check must never take its caller down
            return _general_error(snapshot, flag_key, error)

    def _evaluate_boolean(self, flag_key: str, context: Mapping[str, Any] | None) -> Result:
        """As ``_evaluate``, and the ways there are kept for the next time."""
        # Read in the reverse of the order in which _use writes them: nothing old is ever kept for what is new.
        booleans = self._booleans
        snapshot = self._snapshot
        result = self._evaluate(snapshot, flag_key, context, "boolean")
        if snapshot is not None and result.error_code != "GENERAL" and flag_key not in booleans:
            # It is a string, or nothing could be evaluated; an enumeration's member is kept as the string that it is.
            key = str.__str__(flag_key)
            if key in snapshot:  # for a caller may ask for any number of other keys
                booleans[key] = self._ways(snapshot, key)
        return result

    def _ways(self, snapshot: Snapshot, key: str) -> Ways:
        """The ways to this client's answers: the check's own, or through its own context or its limit of age."""
        if self._max_staleness is not None:
            return (
                None,
                None,
                None,
                lambda context, _: self._evaluate(self._snapshot, key, context, "boolean"),
            )
        check = snapshot.check(key, "boolean")
        if not self._context:
            return boolean_ways(check)
        own, region, decide = self._context, self._region, check.decide
        return boolean_ways(Check(check.settled, lambda context, _: decide({**own, **context}, region)))

    def _details(
        self, flag_key: str, default: T, context: Mapping[str, Any] | None, expected_type: str
    ) -> EvaluationDetails[T]:
        result = self._evaluate(self._snapshot, flag_key, context, expected_type)
        return EvaluationDetails(
            flag_key,
            default if result.variant is None else result.value,
            result.variant,
            result.reason,
            result.error_code,
            result.error_message,
            result.metadata,
        )

    def _is_stale(self) -> bool:
        limit, answered = self._max_staleness, self._answered
        return limit is not None and answered is not None and time.monotonic() - answered > limit

    def _not_ready(self) -> Result:
        message = f"no snapshot yet: {self._last_error or 'the first poll is under way'}"
        return Result(None, None, "ERROR", "PROVIDER_NOT_READY", message, _NO_METADATA)

    # Polling

    def _start_from_cache(self, cache: LastKnownGood) -> None:
        try:
            found = cache.read()
            if found is not None:
                raw, age = found
                self._use(Snapshot.parse(raw, verify=self._verify, environment=self._environment), age)
                self._kept = self._snapshot
        except (OSError, SnapshotError) as error:
            self._last_error = f"{cache.path} is not used: {error}"

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._poll, name="countersign", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._closing.is_set():
            asked_to_wait = self._poll_once()
            if self._closing.wait(self._pause(asked_to_wait)):
                break
        if self._fetcher is not None:
            self._fetcher.close()

    def _poll_once(self) -> float | None:
        """One request, and what follows from it; the seconds that the server asked to wait, or None."""
        fetcher, snapshot = self._fetcher, self._snapshot
        if fetcher is None:
            return None
        try:
            raw = fetcher.fetch(None if snapshot is None else snapshot.etag)
            if raw is None:
                self._answered = time.monotonic()
            else:
                fresh = Snapshot.parse(raw, verify=self._verify, environment=self._environment)
                self._use(fresh, 0.0)
        except (FetchError, SnapshotError) as error:
            self._failures += 1
            self._last_error = str(error)
            return error.retry_after if isinstance(error, FetchError) else None
        except Exception as error:  # noqa: BLE001  # whatever a server sends, the thread goes on
            self._failures += 1
            self._last_error = f"unexpected {type(error).__name__}: {error}"
            return None
        self._failures = 0
        self._last_error = self._keep()
        return None

    def _use(self, fresh: Snapshot, age: float | None) -> None:
        """Swaps a snapshot for another at once, so that every evaluation sees one of them whole.

        ``age`` is None from a file.
        """
        if fresh.supersedes(self._snapshot):
            # Two steps next to each other, with nothing between them, in the order that _evaluate_boolean needs.
            self._snapshot, self._booleans = fresh, {}
        self._answered = None if age is None else time.monotonic() - age
        self._ready.set()

    def _keep(self) -> str | None:
        """Keeps the snapshot that the server just confirmed for the next start; why that failed, or None."""
        snapshot = self._snapshot
        if self._cache is None or snapshot is None:
            return None
        try:
            # Only a file that holds this snapshot is confirmed: an older one must not look fresh.
            if self._kept is snapshot:
                self._cache.confirm()
            else:
                self._cache.write(snapshot.raw)
                self._kept = snapshot
        except OSError as error:
            self._kept = None  # whatever happened to the file, it is written whole next time
            return f"{self._cache.path} cannot be written: {error}; check cache_dir"
        return None

    def _pause(self, asked_to_wait: float | None) -> float:
        """Seconds until the next poll: twice as long with each failure, or what the server asks for."""
        backoff = self._poll_interval * 2.0 ** min(self._failures, 16)
        pause = min(backoff, max(LONGEST_BACKOFF, self._poll_interval))
        if asked_to_wait is not None:
            pause = max(pause, min(asked_to_wait, 5 * LONGEST_BACKOFF))
        # A tenth of jitter, so that clients spread; only upwards where the server said "not before".
        low = 1.0 if asked_to_wait is not None else 0.9
        return pause * random.uniform(low, 1.1)  # noqa: S311  # spreads load, keeps no secret

    def _restart_in_child(self) -> None:
        """After a fork the thread is gone, and the connection and the locks are the parent's."""
        self._booleans = {}  # the parent may have been between a snapshot and the next
        if self._closing.is_set():
            return
        ready = self._snapshot is not None
        self._closing, self._ready = threading.Event(), threading.Event()
        if ready:
            self._ready.set()
        if self._fetcher is not None:
            self._fetcher = self._fetcher.afresh()
        self._start()


def _general_error(snapshot: Snapshot, flag_key: object, error: Exception) -> Result:
    # Kinds and not values: what the caller passed may be unable to show itself, or too private to.
    flag = f"flag {flag_key!r}" if type(flag_key) is str else f"a flag key of type {type(flag_key).__name__}"
    message = f"{flag} cannot be evaluated: {type(error).__name__}; check the context and the key"
    metadata: Mapping[str, Any] = {"snapshot_version": snapshot.version}
    with contextlib.suppress(Exception):
        found = snapshot.flag(flag_key) if type(flag_key) is str else None
        if found is not None:
            metadata = found.error.metadata if isinstance(found, BrokenFlag) else found.metadata
    return Result(None, None, "ERROR", "GENERAL", message, MappingProxyType(dict(metadata)))


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _restart_all_in_child() -> None:
    for client in list(_clients):
        client._restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all_in_child)
