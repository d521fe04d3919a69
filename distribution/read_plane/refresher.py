"""Keeps the holder fresh from every source at once, and the last-known-good directory behind it.

One thread a source, so that a source which hangs delays nobody else; each asks for versions, fetches what is
newer, and lets the holder judge it. Announcements only wake the threads: a lost one costs one interval.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from distribution.read_plane.dependency import Dependency
from distribution.read_plane.directory_store import DirectoryStore
from distribution.read_plane.holder import DocumentRefusedError, Holder, Kind
from distribution.read_plane.store import Store, is_environment

logger = logging.getLogger(__name__)

# Seconds.
_LONGEST_WAIT = 2.0  # between attempts on a failing source: so long a revocation waits when contact returns
_REFUSED_AGAIN = 5.0  # before a refused document of the same version is fetched again
_KEEP_AGAIN = 5.0  # before a file that could not be written is tried again
_CONFIRMED = 5.0  # since another source confirmed a version: one that names an older one is only late
_STOPPING = 3.0  # for threads to end; they are daemons and hold nothing

# Keyrings first: a revocation must not wait for megabytes of snapshots.
_KINDS: tuple[tuple[Kind, int], ...] = (("keyring", 1), ("snapshot", 0))


class Announcer(Protocol):
    """Something that can be listened to for published environments (see RedisStore.listen)."""

    def listen(self, callback: Callable[[str | None], None], stop: threading.Event) -> None:
        """Call back for each announcement until `stop`; with None when everything must be looked at."""
        ...


class Refresher:
    """The threads that keep a holder fresh. `start`, `stop` and `announce` may be called from any thread."""

    def __init__(
        self,
        holder: Holder,
        sources: Sequence[tuple[str, Store]],
        *,
        announcer: Announcer | None = None,
        last_known_good: DirectoryStore | None = None,
        interval: float = 0.5,
    ) -> None:
        """`sources` are (name for /readyz, store); `interval` is seconds between polls of each of them."""
        self._holder = holder
        self._stop = threading.Event()
        self._pollers = [
            _Poller(name, store, holder, interval, self._stop, self._swapped) for name, store in sources
        ]
        self._listener = _Listener(announcer, self._stop, self._wake_pollers) if announcer else None
        self._keeper = _Keeper(last_known_good, holder, self._stop) if last_known_good else None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Load the last-known-good directory, then keep the holder fresh in the background. Once."""
        if self._threads:
            return
        if self._keeper:
            self._keeper.load()
        workers = [*self._pollers, *(worker for worker in (self._listener, self._keeper) if worker)]
        for worker in workers:
            thread = threading.Thread(
                target=worker.run, name=f"read-plane-{worker.dependency.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the threads; waits a few seconds at most. A stopped refresher stays stopped."""
        self._stop.set()
        self._wake_pollers()
        if self._keeper:
            self._keeper.wake.set()
        deadline = time.monotonic() + _STOPPING
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def announce(self, environment: str) -> None:
        """Say that something of `environment` was just published: all sources are asked at once."""
        logger.debug("announced: %a", environment)
        self._wake_pollers()

    def dependencies(self) -> list[Dependency]:
        """Everything this depends on, in the order in which it is asked."""
        listener = [self._listener.dependency] if self._listener else []
        keeper = [self._keeper.dependency] if self._keeper else []
        return [*(poller.dependency for poller in self._pollers), *listener, *keeper]

    def published(self) -> frozenset[str]:
        """Environments of which a source or the last-known-good directory claims to have a snapshot."""
        keeper = self._keeper.published if self._keeper else frozenset()
        return keeper.union(*(poller.published for poller in self._pollers))

    def older(self) -> dict[str, dict[Kind, int]]:
        """Environment -> kind -> the version that a store names though a newer one is in use.

        Only what no source has confirmed lately: a store that is late is none of this, one that was restored
        from a backup is. What it publishes is refused, revoked keys included, until its versions are higher.
        """
        found: dict[str, dict[Kind, int]] = {}
        for poller in self._pollers:
            for (environment, kind), version in poller.older.items():
                found.setdefault(environment, {})[kind] = version
        return found

    def in_contact(self) -> bool:
        """Whether a source was read through since the start, or the last-known-good directory gave any."""
        return any(poller.passed for poller in self._pollers) or bool(self._keeper and self._keeper.loaded)

    def _wake_pollers(self) -> None:
        for poller in self._pollers:
            poller.wake.set()

    def _swapped(self) -> None:
        if self._keeper:
            self._keeper.wake.set()


class _Poller:
    """Asks one source for versions, again and again, and fetches what is newer than what is held."""

    def __init__(
        self,
        name: str,
        store: Store,
        holder: Holder,
        interval: float,
        stop: threading.Event,
        swapped: Callable[[], None],
    ) -> None:
        self.dependency = Dependency(name)
        self.wake = threading.Event()
        self.passed = False
        self.published: frozenset[str] = frozenset()
        self._store = store
        self._holder = holder
        self._interval = interval
        self._stop = stop
        self._swapped = swapped
        self.older: Mapping[tuple[str, Kind], int] = {}
        # What was refused: its version, when to ask for it again (monotonic seconds), and what the log was told.
        self._refused: dict[tuple[str, Kind], tuple[int, float, str]] = {}

    def run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self.wake.clear()  # before asking, so that an announcement during the pass causes another one
            try:
                self._pass()
                failures = 0
            except Exception as error:  # noqa: BLE001 - a source may fail in any way, and serving goes on
                failures += 1
                self.dependency.failed(error)
            self.wake.wait(min(self._interval * 2 ** min(failures, 8), max(_LONGEST_WAIT, self._interval)))

    def _pass(self) -> None:
        self.dependency.asked()
        versions = {name: pair for name, pair in self._store.versions().items() if is_environment(name)}
        for kind, position in _KINDS:
            for environment, pair in versions.items():
                if self._stop.is_set():
                    return
                if pair[position] > self._holder.version(environment, kind):
                    self._fetch(environment, kind, pair[position])
        self._compare(versions)
        self._refused = {of: told for of, told in self._refused.items() if of[0] in versions}
        self.published = frozenset(name for name, (snapshot, _) in versions.items() if snapshot)
        self.passed = True
        self.dependency.worked()

    def _fetch(self, environment: str, kind: Kind, version: int) -> None:
        refused, again, told = self._refused.get((environment, kind), (0, 0.0, ""))
        if refused == version and time.monotonic() < again:
            return
        self.dependency.asked()  # each answer is a sign of life of its own
        get = self._store.get_keyring if kind == "keyring" else self._store.get_snapshot
        raw = get(environment)
        if raw is None:
            return
        try:
            swapped = self._holder.accept(environment, kind, bytes(raw), source=self.dependency.name)
        except DocumentRefusedError as error:
            self._refused[environment, kind] = (version, time.monotonic() + _REFUSED_AGAIN, str(error))
            if told != str(error):
                logger.error("%s", error)
            return
        self._refused.pop((environment, kind), None)
        if swapped:
            logger.info(
                "%s of %s: version %s is in use", kind, environment, self._holder.version(environment, kind)
            )
            self._swapped()

    def _compare(self, versions: Mapping[str, tuple[int, int]]) -> None:
        """Note which documents in use the store confirms, and of which it knows an older one only."""
        older: dict[tuple[str, Kind], int] = {}
        for environment, pair in versions.items():
            for kind, position in _KINDS:
                named, held = pair[position], self._holder.version(environment, kind)
                if named and named == held:
                    self._holder.confirm(environment, kind)
                elif 0 < named < held and self._unconfirmed(environment, kind):
                    older[environment, kind] = named
                    if (environment, kind) not in self.older:
                        logger.error(
                            "%s of %s: %s names version %s, and %s is in use; nothing older is taken, so after a "
                            "restore from backup run `manage.py recover`",
                            *(kind, environment, self.dependency.name, named, held),
                        )
        self.older = older

    def _unconfirmed(self, environment: str, kind: Kind) -> bool:
        age = self._holder.confirmed_age(environment, kind)
        return age is None or age > _CONFIRMED


class _Listener:
    """Stays subscribed to announcements, and wakes the pollers at each."""

    def __init__(self, announcer: Announcer, stop: threading.Event, wake_pollers: Callable[[], None]) -> None:
        self.dependency = Dependency("announcements")
        self._announcer = announcer
        self._stop = stop
        self._wake_pollers = wake_pollers

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self._announcer.listen(self._heard, self._stop)
            except Exception as error:  # noqa: BLE001 - polling covers for it, whatever happened
                self.dependency.failed(error)
            self._stop.wait(_LONGEST_WAIT)

    def _heard(self, environment: str | None) -> None:
        self.dependency.worked()
        self._wake_pollers()


class _Keeper:
    """Loads the last-known-good directory at the start, and writes what is taken later.

    A thread of its own, because a disk may be full or slow; what could not be written is tried again.
    """

    def __init__(self, directory: DirectoryStore, holder: Holder, stop: threading.Event) -> None:
        self.dependency = Dependency("last known good")
        self.wake = threading.Event()
        self.loaded = False
        self.published: frozenset[str] = frozenset()
        self._directory = directory
        self._holder = holder
        self._stop = stop
        self._kept: dict[tuple[str, Kind], int] = {}

    def load(self) -> None:
        """Take what the directory has; never raises."""
        try:
            versions = self._directory.versions()
        except OSError as error:
            self.dependency.failed(error)
            return
        for environment, pair in versions.items():
            for kind, position in _KINDS:
                if pair[position]:
                    self._load_one(environment, kind)
        self.published = frozenset(name for name, (snapshot, _) in versions.items() if snapshot)
        self.dependency.worked()

    def run(self) -> None:
        while not self._stop.is_set():
            self.wake.clear()
            complete = self._keep_all()
            self.wake.wait(None if complete else _KEEP_AGAIN)

    def _load_one(self, environment: str, kind: Kind) -> None:
        get = self._directory.get_keyring if kind == "keyring" else self._directory.get_snapshot
        try:
            raw = get(environment)
            if raw is None:
                return
            self._holder.accept(environment, kind, raw, source=self.dependency.name)
        except (OSError, DocumentRefusedError) as error:
            logger.error("last known good: %s of %s left out: %s", kind, environment, error)
            return
        self._kept[environment, kind] = self._holder.version(environment, kind)
        self.loaded = True

    def _keep_all(self) -> bool:
        """Write every document that is newer than its file; whether all of them are written now."""
        failure: OSError | None = None
        for environment in self._holder.environments():
            for kind, _ in _KINDS:
                document = self._holder.document(environment, kind)
                if document is None or document.version == self._kept.get((environment, kind)):
                    continue
                put = self._directory.put_keyring if kind == "keyring" else self._directory.put_snapshot
                try:
                    put(environment, document.raw)
                except OSError as error:
                    failure = error
                else:
                    self._kept[environment, kind] = document.version
        if failure is not None:
            self.dependency.failed(failure)
            return False
        self.dependency.worked()
        return True
