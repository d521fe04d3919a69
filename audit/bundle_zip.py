"""A bundle as a zip file that is made while it is sent: nothing of it is kept here."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

from django.utils import timezone

from audit.bundle import Members

PIECE = 64 * 1024  # bytes


class _Outgoing:
    """What the archive wrote and nobody took yet. It cannot seek, so sizes follow each file's content."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.length = 0

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        self.length += len(piece)
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        whole = b"".join(self._pieces)
        self._pieces, self.length = [], 0
        return whole


def stream(name: str, members: Members) -> Iterator[bytes]:
    """The archive with the files below the folder `name`, a piece at a time.

    What the members raise ends it before the manifest and the archive's own directory: nobody can take
    what arrived so far for a bundle.
    """
    outgoing = _Outgoing()
    now = timezone.now().timetuple()[:6]
    archive = zipfile.ZipFile(outgoing, "w", zipfile.ZIP_DEFLATED, compresslevel=1)  # type: ignore[call-overload]
    for path, pieces in members:
        entry = zipfile.ZipInfo(f"{name}/{path}", now)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        with archive.open(entry, "w", force_zip64=True) as file:
            for piece in pieces:
                file.write(piece)
                if outgoing.length >= PIECE:
                    yield outgoing.take()
    archive.close()
    yield outgoing.take()
