"""The last-known-good directory: what this machine served last, for starting while every store is away.

`<root>/<project>/<environment>.snapshot` and `.keyring`, each the published bytes. A file appears whole or
not at all; a bad one is found by its signature and costs that one environment only.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from distribution.read_plane.store import is_environment

logger = logging.getLogger(__name__)

# The version is the fourth line of both formats; this is ample for the longest first four lines.
_HEAD_BYTES = 2048


class DirectoryStore:
    """A Store in a directory, written by the processes that serve from it."""

    def __init__(self, root: Path) -> None:
        """`root` is created when first written to."""
        self._root = root

    def get_snapshot(self, environment: str) -> bytes | None:
        """The file's bytes; None where there is no file. Raises OSError when it cannot be read."""
        return self._read(environment, "snapshot")

    def get_keyring(self, environment: str) -> bytes | None:
        """The file's bytes; None where there is no file. Raises OSError when it cannot be read."""
        return self._read(environment, "keyring")

    def versions(self) -> Mapping[str, tuple[int, int]]:
        """The versions that the files claim; files which cannot be read are left out."""
        found: dict[str, tuple[int, int]] = {}
        for suffix, position in (("snapshot", 0), ("keyring", 1)):
            for path in sorted(self._root.glob(f"*/*.{suffix}")):
                environment = f"{path.parent.name}/{path.name.removesuffix('.' + suffix)}"
                version = _claimed_version(path) if is_environment(environment) else 0
                if version:
                    pair = list(found.get(environment, (0, 0)))
                    pair[position] = version
                    found[environment] = (pair[0], pair[1])
        return found

    def put_snapshot(self, environment: str, raw: bytes) -> None:
        """Keep `raw`, which the caller has verified, in place of what is there. Raises OSError."""
        self._write(environment, "snapshot", raw)

    def put_keyring(self, environment: str, raw: bytes) -> None:
        """Keep `raw`, which the caller has verified, in place of what is there. Raises OSError."""
        self._write(environment, "keyring", raw)

    def _path(self, environment: str, suffix: str) -> Path:
        if not is_environment(environment):
            raise ValueError(f"environment: {environment!r} is not <project>/<environment>")
        project, _, name = environment.partition("/")
        return self._root / project / f"{name}.{suffix}"

    def _read(self, environment: str, suffix: str) -> bytes | None:
        try:
            return self._path(environment, suffix).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, environment: str, suffix: str, raw: bytes) -> None:
        # No comparison with the version on disk: that file may be damaged and claim anything, while the
        # caller's document is verified and newer than all that could be loaded.
        path = self._path(environment, suffix)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_directory(path.parent)


def _claimed_version(path: Path) -> int:
    try:
        with path.open("rb") as file:
            lines = file.read(_HEAD_BYTES).split(b"\n")
        word, _, number = lines[3].partition(b" ")
        return int(number) if word == b"version" and number.isdigit() and len(number) <= 16 else 0
    except (OSError, IndexError) as error:
        logger.warning("last known good: %s left out: %s", path, error)
        return 0


def _sync_directory(directory: Path) -> None:
    """Make the rename itself survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
