"""Personal data beside the ledger: each disclosure opens one salted digest of one event (section 6)."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from array import array
from bisect import bisect_left

from countersign.bundle.encoding import canonical, is_integer, read_b64u, read_canonical, read_object
from countersign.bundle.events import Event
from countersign.bundle.files import BundleFiles
from countersign.bundle.refusal import BundleError, RuleError

MAX_LINE = 2**20
MIN_SALT = 16
"""Bytes of random salt below which a digest could be guessed."""

_MIN_SALT_TEXT = 22
_DIGEST_TEXT = 43
"""Characters of base64url without padding for 16 and for 32 bytes."""

_FILE = "disclosures.ndjson"
_MEMBERS = frozenset({"index", "name", "salt", "value"})


_USUAL = re.compile(
    rb'\{"index":(0|[1-9][0-9]{0,14}),"name":"([^"\\\x00-\x1f]*)"'
    rb',"salt":"((?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?)"'
    rb',"value":"([^"\\\x00-\x1f]*)"\}'
)
"""A canonical line whose texts stand for themselves, the salt in canonical base64url: all but a few are so."""


class Disclosures:
    """The salted digests of one bundle's events, and how many of them were disclosed.

    There may be several for every event, so they are kept in few bytes each: per digest its name, its 43
    characters, and whether it was opened; the digests of an event stand together, in the order of its names.
    """

    def __init__(self) -> None:
        self._indices = array("Q")  # events with personal data, and where their digests start
        self._starts = array("Q")
        self._names: list[str] = []
        self._digests = bytearray()
        self._opened = bytearray()
        self.disclosed = 0

    @property
    def erased(self) -> int:
        """How many digests nothing was disclosed for."""
        return len(self._names) - self.disclosed

    def expect(self, event: Event) -> None:
        """Note the personal data of an event that the bundle carries."""
        if not event.personal:
            return
        self._indices.append(event.index)
        self._starts.append(len(self._names))
        for name, digest in event.personal.items():  # canonical JSON: in the order of UTF-16
            self._names.append(sys.intern(name))
            self._digests += digest.encode("ascii")
            self._opened.append(0)

    def check(self, files: BundleFiles) -> None:
        """Every line of disclosures.ndjson opens a digest of its own. Raises BundleError."""
        if _FILE not in files.listed:
            return
        for number, line in files.lines(_FILE, MAX_LINE):
            try:
                self._open(line)
            except RuleError as error:
                raise BundleError(f"{_FILE} line {number}", error) from None

    def _open(self, line: bytes) -> None:
        index, name, salt, triple = _read_usual(line) or _read_any(line)
        if len(salt) < _MIN_SALT_TEXT:
            raise RuleError(f"the salt is shorter than {MIN_SALT} bytes")
        place = self._find(index, name)
        if place is None or self._opened[place]:
            raise RuleError(f"the event at index {index} has no such digest, or it is disclosed twice")
        opened = base64.urlsafe_b64encode(hashlib.sha256(triple).digest())[:_DIGEST_TEXT]
        if opened != self._digests[place * _DIGEST_TEXT : (place + 1) * _DIGEST_TEXT]:
            raise RuleError(f"does not match the digest in the event at index {index}")
        self._opened[place] = 1
        self.disclosed += 1

    def _find(self, index: int, name: str) -> int | None:
        event = bisect_left(self._indices, index)
        if event == len(self._indices) or self._indices[event] != index:
            return None
        start = self._starts[event]
        end = self._starts[event + 1] if event + 1 < len(self._starts) else len(self._names)
        place = start
        if end - start > 1:
            place = bisect_left(self._names, _utf16(name), start, end, key=_utf16)
        return place if place < end and self._names[place] == name else None


def _read_usual(line: bytes) -> tuple[int, str, str, bytes] | None:
    match = _USUAL.fullmatch(line)
    if match is None:
        return None
    index, name, salt, value = match.groups()
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return int(index), name.decode("utf-8"), salt.decode("ascii"), b'["%b","%b","%b"]' % (salt, name, value)


def _read_any(line: bytes) -> tuple[int, str, str, bytes]:
    """The index, name and salt of a disclosure, and the bytes that its digest is over. Raises RuleError."""
    triple = read_object(read_canonical(line), "a disclosure", _MEMBERS, frozenset())
    index, name, salt = triple["index"], triple["name"], triple["salt"]
    if not is_integer(index) or not isinstance(name, str) or not isinstance(salt, str):
        raise RuleError("a disclosure has a member of the wrong kind")
    read_b64u(salt, "the salt")
    return index, name, salt, canonical([salt, name, triple["value"]])


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")
