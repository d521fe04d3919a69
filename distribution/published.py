"""What was published, as told by those who keep it: Redis, last-known-good directories, files, operators.

Only what one of our keys signed counts, and what an operator says in numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audit.models import SigningKey
from audit.signing import host_signers, snapshots_name
from countersign.snapshot import Snapshot, SnapshotError
from distribution.read_plane.keyring import Keyring, KeyringError
from distribution.read_plane.store import Store, is_environment

_NUMBER = re.compile(r"([^=\s]+)=([1-9][0-9]{0,14})")
_LARGEST_FILE = 256 * 2**20


@dataclass
class Published:
    """The newest versions of an environment that anybody shows, and by whom."""

    snapshot: int = 0
    keyring: int = 0
    # SHA-256 of the snapshot's body, and the hashes of the keys in the newest keyring; None where unknown.
    body_sha256: str | None = None
    keys: frozenset[str] | None = None
    sources: set[str] = field(default_factory=set)


@dataclass
class Knowledge:
    """What is known of each environment, and what was asked and did not help."""

    environments: dict[str, Published] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def ask(self, name: str, store: Store) -> None:
        """Take in what a store has."""
        try:
            versions = store.versions()
            for environment, (snapshot, keyring) in versions.items():
                if not is_environment(environment):
                    continue
                for kind, claimed in (("snapshot", snapshot), ("keyring", keyring)):
                    get = store.get_snapshot if kind == "snapshot" else store.get_keyring
                    if claimed and (raw := get(environment)) is not None:
                        self._take(raw, f"{name}: {kind} of {environment}", name)
                self._compare(name, environment, versions)
        except Exception as error:  # noqa: BLE001 - whatever a store raises, it could not answer
            self.problems.append(f"{name} could not be asked: {error}")

    def hear(self, given: str) -> None:
        """Take in what an operator names: `project/environment=version`, a file, or a directory of files.

        Raises ValueError where it is none of these.
        """
        if match := _NUMBER.fullmatch(given):
            if not is_environment(match[1]):
                raise ValueError(f"{given}: {match[1]} is not <project>/<environment>")
            found = self._of(match[1], "an operator")
            version = int(match[2])
            if version > found.snapshot:
                found.snapshot, found.body_sha256 = version, None
            found.keyring = max(found.keyring, version)
            return
        path = Path(given)
        if not path.exists():
            raise ValueError(f"{given}: is neither <project>/<environment>=<version> nor a file or directory")
        for file in _files(path):
            self._take(file.read_bytes(), str(file), given)

    def _take(self, raw: bytes, what: str, source: str) -> None:
        verify = _vkeys()
        try:
            if raw.startswith(b"countersign-keyring/"):
                keyring = Keyring.parse(raw, verify=verify)
                found = self._of(keyring.environment, source)
                if keyring.version > found.keyring:
                    found.keyring, found.keys = keyring.version, frozenset(keyring.keys)
                return
            snapshot = Snapshot.parse(raw, verify=verify)
            found = self._of(snapshot.environment, source)
            if snapshot.version > found.snapshot:
                found.snapshot, found.body_sha256 = snapshot.version, snapshot.body_sha256
        except (SnapshotError, KeyringError) as error:
            self.problems.append(f"{what} counts for nothing: {error}")

    def _of(self, environment: str, source: str) -> Published:
        found = self.environments.setdefault(environment, Published())
        found.sources.add(source)
        return found

    def _compare(self, name: str, environment: str, versions: Mapping[str, tuple[int, int]]) -> None:
        found = self.environments.get(environment, Published())
        for claimed, proved in zip(versions[environment], (found.snapshot, found.keyring), strict=True):
            if claimed > proved:
                self.problems.append(
                    f"{name} names version {claimed} of {environment} and shows nothing signed of it; where that "
                    f"is right, say --published {environment}={claimed}"
                )


def _vkeys() -> list[str]:
    known = set(SigningKey.objects.filter(name=snapshots_name()).values_list("vkey", flat=True))
    return sorted(known | {signer.vkey for signer in host_signers(snapshots_name())})


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        files: Iterable[Path] = [path]
    else:
        files = sorted(file for file in path.rglob("*") if file.suffix in (".snapshot", ".keyring"))
    for file in files:
        if file.is_file() and file.stat().st_size <= _LARGEST_FILE:
            yield file
