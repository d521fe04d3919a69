"""The files of a bundle: the signed manifest names each with its length and digest, and there is no other."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from countersign.bundle.encoding import check_time, read_canonical, read_dec
from countersign.bundle.refusal import BundleError, RuleError

MAX_MANIFEST = 64 * 2**20
"""Bytes of a manifest: about 300,000 files."""

MAX_BLOB = 16 * 2**20
MAX_LINE = 65_535
"""Bytes of a line of entries.ndjson without its LF."""

ENTRIES = "entries.ndjson"
BLOBS = "extra/blobs/"

_TOP = frozenset(
    {"checkpoint", ENTRIES, "prefix", "previous.checkpoint", "consistency", "disclosures.ndjson"}
)
_NAME = re.compile(r"[A-Za-z0-9._/-]{1,1024}")
_HEX = re.compile(r"[0-9a-f]{64}")
_CHUNK = 2**20
_BLOCK = 2**18


@dataclass(frozen=True, slots=True)
class ListedFile:
    """What the manifest says of one file."""

    sha256: str
    length: int


@dataclass(frozen=True)
class Manifest:
    """The text of a manifest. The bundle carries the entries ``first`` to ``size`` - 1."""

    origin: str
    size: int
    first: int
    withheld: int
    previous: int | None
    created: str
    files: dict[str, ListedFile]

    @staticmethod
    def origin_of(text: str) -> str:
        """The log that a manifest's text says it is of: all that is read of it before it is verified.

        Raises RuleError.
        """
        start, origin = (*text.split("\n", 2), "")[:2]
        if start != "ledger-bundle/v1":
            raise RuleError("is not a ledger-bundle/v1 manifest")
        return _member(origin, "origin")

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Read a manifest's text (section 4). Raises RuleError."""
        origin = cls.origin_of(text)
        lines = iter(text.split("\n")[2:-1])
        size = read_dec(_member(next(lines, ""), "size"))
        first = read_dec(_member(next(lines, ""), "first"))
        withheld = read_dec(_member(next(lines, ""), "withheld"))
        line, previous = next(lines, ""), None
        if line.startswith("previous "):
            previous = read_dec(_member(line, "previous"))
            line = next(lines, "")
        created = check_time(_member(line, "created"), "created")
        files: dict[str, ListedFile] = {}
        last = ""
        for line in lines:
            name, listed = _read_listed(line)
            if name <= last:  # names are ASCII, so text order is byte order
                raise RuleError(f"{name!r} is not in bytewise order after {last!r}, or twice")
            files[name] = listed
            last = name
        if size == 0 or first > size or withheld > size - first:
            raise RuleError("size, first and withheld do not go together")
        manifest = cls(origin, size, first, withheld, previous, created, files)
        manifest._check_presence()
        return manifest

    def _check_presence(self) -> None:
        """Section 1: which file is there when."""
        expected = {
            "checkpoint": True,
            ENTRIES: True,
            "prefix": self.first > 0,
            "previous.checkpoint": self.previous is not None,
            "consistency": self.previous is not None,
        }
        for name, present in expected.items():
            if (name in self.files) != present:
                raise RuleError(f"{name!r} must {'' if present else 'not '}be in this bundle")


class BundleFiles:
    """A bundle's directory. Nothing is read but regular files, and no symbolic link is followed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listed: dict[str, ListedFile] = {}

    def read_manifest(self) -> bytes:
        """The bytes of ``manifest``. Raises BundleError."""
        with self._open("manifest") as file:
            return _read(file, "manifest", MAX_MANIFEST)

    def check(self, listed: dict[str, ListedFile]) -> None:
        """Step 1: the files present are those ``listed``, byte for byte. Raises BundleError.

        Of the entries, by far the largest, the length alone: ``blocks`` hashes them as it reads them.
        """
        missing = set(listed)
        for name in self._walk():
            if name == "manifest":
                continue
            if name not in missing:
                raise BundleError(name, "is not in the manifest")
            missing.remove(name)
        if missing:
            raise BundleError(min(missing), "is in the manifest and not in the bundle")
        self.listed = listed
        for name, file in listed.items():
            if name == ENTRIES:
                with self._open(name) as opened:
                    _check_length(opened, name, file)
            else:
                self.check_digest(name)

    def blobs(self) -> dict[str, int]:
        """The carried blobs: hex digest to length in bytes."""
        start = len(BLOBS)
        return {name[start:]: file.length for name, file in self.listed.items() if name.startswith(BLOBS)}

    def read_small(self, name: str, limit: int) -> bytes:
        """The bytes of a listed file of at most ``limit`` bytes. Raises BundleError."""
        with self._open(name) as file:
            data = _read(file, name, limit)
        self._check_unchanged(name, hashlib.sha256(data).hexdigest())
        return data

    def read_blob(self, hex_digest: str) -> bytes:
        """The bytes of a carried blob. Raises BundleError."""
        return self.read_small(BLOBS + hex_digest, MAX_BLOB)

    def lines(self, name: str, limit: int) -> Iterator[tuple[int, bytes]]:
        """Number (from 1) and bytes of each line, without its LF; see ``blocks``."""
        for number, lines in self.blocks(name, limit):
            yield from enumerate(lines, number)

    def blocks(self, name: str, limit: int) -> Iterator[tuple[int, list[bytes]]]:
        """Lines without their LF, as many at a time as there are in some kilobytes, and the number (from 1)
        of the first of them.

        Raises BundleError for a line of more than ``limit`` bytes, for a last line without LF, and at the end
        when these are not the bytes that were checked.
        """
        sha256 = hashlib.sha256()
        number, rest = 1, b""
        with self._open(name) as file:
            while chunk := _read_chunk(file, name, _BLOCK):
                sha256.update(chunk)
                lines = chunk.split(b"\n")
                lines[0] = rest + lines[0]
                rest = lines.pop()
                if lines and len(max(lines, key=len)) > limit:
                    place = next(place for place, line in enumerate(lines, number) if len(line) > limit)
                    raise BundleError(f"{name} line {place}", f"is longer than {limit} bytes")
                if lines:
                    yield number, lines
                number += len(lines)
                if len(rest) > limit:
                    raise BundleError(f"{name} line {number}", f"is longer than {limit} bytes")
        if rest:
            raise BundleError(f"{name} line {number}", "does not end with LF")
        if name == ENTRIES and sha256.hexdigest() != self.listed[name].sha256:
            raise BundleError(name, "has another digest than the manifest says")
        self._check_unchanged(name, sha256.hexdigest())

    def _walk(self) -> Iterator[str]:
        """Names of all files. Raises BundleError for what is neither a file nor a directory."""
        pending = [""]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(self.directory / folder) as entries:
                    for entry in entries:
                        name = folder + entry.name
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(name + "/")
                        elif entry.is_file(follow_symlinks=False):
                            yield name
                        else:
                            raise BundleError(name, "is neither a regular file nor a directory")
            except OSError as error:
                raise BundleError(folder or "bundle", error.strerror or "cannot be read") from None

    def check_digest(self, name: str) -> None:
        """A listed file is the one that the manifest means. Raises BundleError."""
        sha256, listed = hashlib.sha256(), self.listed[name]
        with self._open(name) as file:
            left = _check_length(file, name, listed)
            while left > 0 and (chunk := _read_chunk(file, name, min(left, _CHUNK))):
                sha256.update(chunk)
                left -= len(chunk)
        if sha256.hexdigest() != listed.sha256:
            raise BundleError(name, "has another digest than the manifest says")
        if name.startswith(BLOBS):
            try:
                check_blob(read_canonical(self.read_blob(name[len(BLOBS) :])))
            except RuleError as error:
                raise BundleError(name, error) from None

    def _check_unchanged(self, name: str, sha256: str) -> None:
        # What is used must be what was checked: somebody may change a file between the two readings.
        if sha256 != self.listed[name].sha256:
            raise BundleError(name, "changed while it was read; copy the bundle where nobody else writes")

    def _open(self, name: str) -> BinaryIO:
        # A link that replaced a file since the walk is not followed, and a pipe does not block.
        flags = os.O_RDONLY
        for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, flag, 0)
        try:
            descriptor = os.open(self.directory / name, flags)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise BundleError(name, reason or "cannot be opened") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BundleError(name, "is not a regular file")
        return os.fdopen(descriptor, "rb")


def _check_length(file: BinaryIO, name: str, listed: ListedFile) -> int:
    # Before anything is read: no more than the manifest says there is. A file that grows is not followed.
    if os.fstat(file.fileno()).st_size != listed.length:
        raise BundleError(name, "has another length than the manifest says")
    return listed.length


def _read_chunk(file: BinaryIO, name: str, length: int) -> bytes:
    try:
        return file.read(length)
    except OSError as error:
        raise BundleError(name, error.strerror or "cannot be read") from None


def _read(file: BinaryIO, name: str, limit: int) -> bytes:
    """The rest of the file, which is refused before it is read when it is longer than ``limit`` bytes."""
    try:
        size = os.fstat(file.fileno()).st_size
        # One byte more than there are: a buffer of the limit's size would be the greater part of the memory.
        data = file.read(size + 1) if size <= limit else None
    except OSError as error:
        raise BundleError(name, error.strerror or "cannot be read") from None
    if data is None or len(data) > limit:
        raise BundleError(name, f"is longer than {limit} bytes")
    return data


def check_blob(value: object) -> None:
    """No real value looks like a stand-in for one. Raises RuleError."""
    if isinstance(value, dict) and value.keys() == {"blob", "size"}:
        raise RuleError("is itself of the form that stands for a blob")


def _member(line: str, name: str) -> str:
    start, space, value = line.partition(" ")
    if start != name or not space or not value:
        raise RuleError(f"has no {name!r} where it belongs")
    return value


def _read_listed(line: str) -> tuple[str, ListedFile]:
    parts = line.split(" ")
    if len(parts) != 4 or parts[0] != "file" or not _HEX.fullmatch(parts[1]):
        raise RuleError("has a line that is not 'file <sha256> <length> <name>'")
    sha256, length, name = parts[1], read_dec(parts[2]), parts[3]
    segments = name.split("/")
    if not _NAME.fullmatch(name) or any(segment in ("", ".", "..") for segment in segments):
        raise RuleError(f"{name[:80]!r} is not a name a file of a bundle can have")
    if name not in _TOP and (segments[0] != "extra" or len(segments) == 1):
        raise RuleError(f"{name[:80]!r} is not a file of a bundle")
    if name.startswith(BLOBS):
        if name != BLOBS + sha256:
            raise RuleError(f"{name[:80]!r} is a blob not named by its digest")
        if length > MAX_BLOB:
            raise RuleError(f"{name[:80]!r} is longer than {MAX_BLOB} bytes")
    return name, ListedFile(sha256, length)
