"""The file from which a client starts while the server is away."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path


class LastKnownGood:
    """The last snapshot that a client accepted, in a directory that survives the process.

    The file's modification time is when the server last confirmed it, so that a start from the file knows
    how old its decisions are.
    """

    def __init__(self, directory: str | os.PathLike[str], environment: str) -> None:
        """``environment``: ``project/environment``; each has a file of its own."""
        # "~" cannot be part of a key, so two environments never share a name.
        self.path = Path(directory) / f"{environment.replace('/', '~')}.snapshot"

    def read(self) -> tuple[bytes, float] | None:
        """The bytes and the seconds since the server last confirmed them; None where there is no file."""
        try:
            raw = self.path.read_bytes()
            return raw, max(0.0, time.time() - self.path.stat().st_mtime)
        except FileNotFoundError:
            return None

    def write(self, raw: bytes) -> None:
        """Replaces the file whole, so that a reader sees the old bytes or the new ones. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=self.path.name, dir=self.path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def confirm(self) -> None:
        """Notes that the server just confirmed the file's content. Raises OSError."""
        os.utime(self.path)
