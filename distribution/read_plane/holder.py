"""What this process serves: the newest verified snapshot and keyring of every environment, in memory.

Requests read one reference and never wait. Documents come in from any source and are taken only when the
signature, origin and environment are right and the version is newer than what is held.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from countersign.notes import VerifierKey
from countersign.snapshot import Snapshot, SnapshotError
from distribution.read_plane.compression import SHORTEST, gzip_of
from distribution.read_plane.keyring import Keyring, KeyringError, SdkKey, hash_of

Kind = Literal["snapshot", "keyring"]

# Environments beyond which a refusal of one more is not remembered: a store that is not trusted names them.
_MOST_REMEMBERED = 10_000


class DocumentRefusedError(Exception):
    """A snapshot or keyring that was not taken; what was held before is still served."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the last refused document was refused. `at` is seconds since the epoch."""

    kind: Kind
    source: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Held:
    """One environment: its documents, and what was last refused (None once a newer one of its kind was taken).

    `gzipped`: the snapshot's bytes compressed; empty for a moment after it was taken, and where it is short.
    """

    snapshot: Snapshot | None = None
    gzipped: bytes = b""
    keyring: Keyring | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class _State:
    environments: MappingProxyType[str, Held] = field(default_factory=lambda: MappingProxyType({}))
    keys: MappingProxyType[str, SdkKey] = field(default_factory=lambda: MappingProxyType({}))
    origins: frozenset[str] = frozenset()


class Holder:
    """The documents in use. Reading is lock-free from any thread; taking documents is serialised."""

    def __init__(self, *, origin: str, verify: Sequence[str] | Callable[[], Sequence[str]]) -> None:
        """`origin` and `verify` (vkeys) say whose documents are believed.

        A function says the vkeys anew for each document, so that keys rotate under a running process.

        Raises ValueError for a malformed vkey, and when none is named `<origin>/snapshots`: nothing
        unverified is served.
        """
        self._verify = verify if callable(verify) else lambda: verify
        if f"{origin}/snapshots" not in {VerifierKey.parse(vkey).name for vkey in self._verify()}:
            raise ValueError(
                f"verify: no verifier key named {origin}/snapshots; give the one that signs snapshots"
            )
        self._origin = origin
        self._state = _State()
        self._lock = threading.Lock()
        self._confirmed: dict[tuple[str, Kind], float] = {}

    def environments(self) -> MappingProxyType[str, Held]:
        """Every environment of which anything is held or was refused, as of now; never changes afterwards."""
        return self._state.environments

    def find_key(self, key: str) -> tuple[SdkKey, Snapshot | None] | None:
        """What a presented SDK key opens, and the snapshot of that environment; None for an unknown key."""
        state = self._state  # one read: key and snapshot belong to the same moment
        found = state.keys.get(hash_of(key))
        if found is None:
            return None
        return found, state.environments[found.environment].snapshot

    def allows(self, origin: str) -> bool:
        """Whether any client-side key allows `origin`: all that can be asked before a key is presented."""
        origins = self._state.origins
        return origin in origins or "*" in origins

    def gzipped(self, snapshot: Snapshot) -> bytes:
        """The bytes of `snapshot` compressed, once for all requests; empty where they are not there (yet)."""
        held = self._state.environments.get(snapshot.environment)
        return held.gzipped if held is not None and held.snapshot is snapshot else b""

    def version(self, environment: str, kind: Kind) -> int:
        """The version held of a document; 0 for none."""
        document = self.document(environment, kind)
        return document.version if document is not None else 0

    def document(self, environment: str, kind: Kind) -> Snapshot | Keyring | None:
        """The document held of `environment`; None for none."""
        held = self._state.environments.get(environment, Held())
        return held.snapshot if kind == "snapshot" else held.keyring

    def accept(self, environment: str, kind: Kind, raw: bytes, *, source: str) -> bool:
        """Verify `raw` and serve it from now on; False when exactly this document is held already.

        Raises DocumentRefusedError when it cannot be verified, is older than what is held, or claims the same
        version with other content. The refusal is remembered with `source`, the name of where it came from.
        """
        try:
            document = self._parse(environment, kind, raw)  # slow, so outside the lock
        except (SnapshotError, KeyringError) as error:
            raise self._refuse(environment, kind, source, str(error)) from error
        with self._lock:
            current = self.document(environment, kind)
            reason = self._reason_against(document, current)
            if reason is None and current is not None and document.version == current.version:
                return False
            if reason is None:
                self._swap(environment, document)
        if reason is not None:
            raise self._refuse(environment, kind, source, reason)
        if isinstance(document, Snapshot):
            self._compress(environment, document)
        return True

    def _compress(self, environment: str, snapshot: Snapshot) -> None:
        """Compress what is served already: a kill does not wait for it, nor does the event loop."""
        if len(snapshot.raw) < SHORTEST:
            return
        gzipped = gzip_of(snapshot.raw)
        with self._lock:
            held = self._state.environments[environment]
            if held.snapshot is snapshot:
                held = replace(held, gzipped=gzipped)
                environments = MappingProxyType({**self._state.environments, environment: held})
                self._state = replace(self._state, environments=environments)

    def confirm(self, environment: str, kind: Kind) -> None:
        """Note that a store just named the version held as its newest."""
        self._confirmed[environment, kind] = time.monotonic()

    def confirmed_age(self, environment: str, kind: Kind) -> float | None:
        """Seconds since a store last confirmed what is held of `environment`; None for never."""
        at = self._confirmed.get((environment, kind))
        return None if at is None else time.monotonic() - at

    def _parse(self, environment: str, kind: Kind, raw: bytes) -> Snapshot | Keyring:
        if kind == "snapshot":
            return Snapshot.parse(raw, verify=self._verify(), environment=environment)
        return Keyring.parse(raw, verify=self._verify(), environment=environment)

    def _reason_against(self, document: Snapshot | Keyring, current: Snapshot | Keyring | None) -> str | None:
        if document.origin != self._origin:
            return f"origin: is {document.origin}, expected {self._origin}"
        if current is None or document.version > current.version:
            return None
        if document.version < current.version:
            return f"version: {document.version} is older than {current.version}, which is in use"
        if document.body_sha256 != current.body_sha256:
            return f"version: {document.version} is in use with another body"
        return None

    def _swap(self, environment: str, document: Snapshot | Keyring) -> None:
        held = self._state.environments.get(environment, Held())
        if isinstance(document, Keyring):
            kind: Kind = "keyring"
            held = replace(held, keyring=document)
        else:
            kind = "snapshot"
            held = replace(held, snapshot=document, gzipped=b"")
        if held.refusal is not None and held.refusal.kind == kind:
            held = replace(held, refusal=None)
        environments = {**self._state.environments, environment: held}
        keys, origins = self._state.keys, self._state.origins
        if kind == "keyring":
            keys = MappingProxyType(_merge_keys(environments))
            origins = frozenset().union(*(key.origins for key in keys.values()))
        self._state = _State(MappingProxyType(environments), keys, origins)

    def _refuse(self, environment: str, kind: Kind, source: str, reason: str) -> DocumentRefusedError:
        with self._lock:
            environments = self._state.environments
            if environment in environments or len(environments) < _MOST_REMEMBERED:
                held = environments.get(environment, Held())
                held = replace(held, refusal=Refusal(kind, source, reason, time.time()))
                environments = MappingProxyType({**environments, environment: held})
                self._state = replace(self._state, environments=environments)
        return DocumentRefusedError(f"{kind} of {environment} from {source} refused: {reason}")


def _merge_keys(environments: dict[str, Held]) -> dict[str, SdkKey]:
    """All keyrings as one lookup. A key in two environments opens neither: nobody can say which was meant."""
    keys: dict[str, SdkKey] = {}
    ambiguous: set[str] = set()
    for held in environments.values():
        for hash_, key in (held.keyring.keys if held.keyring else {}).items():
            if keys.setdefault(hash_, key) is not key:
                ambiguous.add(hash_)
    for hash_ in ambiguous:
        del keys[hash_]
    return keys
