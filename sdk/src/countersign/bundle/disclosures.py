"""Personal data beside the ledger: each disclosure opens one salted digest of one event (section 6)."""

from __future__ import annotations

import hashlib

from countersign.bundle.encoding import canonical, is_integer, read_b64u, read_canonical, read_object
from countersign.bundle.events import Event
from countersign.bundle.files import BundleFiles
from countersign.bundle.refusal import BundleError, RuleError

MAX_LINE = 2**20
MIN_SALT = 16
"""Bytes of random salt below which a digest could be guessed."""

_FILE = "disclosures.ndjson"
_MEMBERS = frozenset({"index", "name", "salt", "value"})


class Disclosures:
    """The salted digests of one bundle's events, and how many of them were disclosed."""

    def __init__(self) -> None:
        self._closed: dict[tuple[int, str], bytes] = {}
        self.disclosed = 0

    @property
    def erased(self) -> int:
        """How many digests nothing was disclosed for."""
        return len(self._closed)

    def expect(self, event: Event) -> None:
        """Note the personal data of an event that the bundle carries."""
        for name, digest in event.personal.items():
            self._closed[event.index, name] = digest

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
        triple = read_object(read_canonical(line), "a disclosure", _MEMBERS, frozenset())
        index, name, salt = triple["index"], triple["name"], triple["salt"]
        if not is_integer(index) or not isinstance(name, str):
            raise RuleError("a disclosure has a member of the wrong kind")
        if len(read_b64u(salt, "the salt")) < MIN_SALT:
            raise RuleError(f"the salt is shorter than {MIN_SALT} bytes")
        expected = self._closed.pop((index, name), None)
        if expected is None:
            raise RuleError(f"the event at index {index} has no such digest, or it is disclosed twice")
        if hashlib.sha256(canonical([salt, name, triple["value"]])).digest() != expected:
            raise RuleError(f"does not match the digest in the event at index {index}")
        self.disclosed += 1
