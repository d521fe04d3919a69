"""Large values: an event names them by digest, and their bytes may travel beside the entries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from countersign.bundle.encoding import Encoder, is_integer, read_digest, read_encoded
from countersign.bundle.files import BundleFiles
from countersign.bundle.refusal import BundleError, RuleError

MAX_INLINE = 8_192
"""Bytes of JCS up to which a value stands in the event itself."""

T = TypeVar("T")


class Blobs:
    """The blobs of one bundle: those it carries, and those that its events name."""

    def __init__(self, files: BundleFiles) -> None:
        self._files = files
        self._carried = files.blobs()
        self._named: dict[str, int] = {}
        self._made: dict[tuple[str, str], Any] = {}

    def form_digest(self, value: object, text: str) -> bytes:
        """SHA-256 over the JCS, ``text``, of a document as it stands in an event.

        Raises RuleError when the document does not stand in the form that belongs to its length.
        Two documents are equal exactly when these digests are.
        """
        data = text.encode()
        if is_stand_in(value):
            if self.name(value) <= MAX_INLINE:
                raise RuleError(f"a value of {MAX_INLINE} bytes or less stands as a blob")
        elif len(data) > MAX_INLINE:
            raise RuleError(f"a value of more than {MAX_INLINE} bytes does not stand as a blob")
        return hashlib.sha256(data).digest()

    def name(self, stand_in: object) -> int:
        """Note that an event names this blob; returns its size in bytes. Raises RuleError."""
        digest_hex, size = _read_stand_in(stand_in)
        if self._named.setdefault(digest_hex, size) != size:
            raise RuleError(f"blob {digest_hex} is named with two sizes")
        if self._carried.get(digest_hex, size) != size:
            raise RuleError(f"blob {digest_hex} has another size than the event says")
        return size

    def require(self, value: object, what: str) -> None:
        """A value that stands for a blob has it in the bundle. Raises RuleError."""
        if is_stand_in(value):
            digest_hex, _ = _read_stand_in(value)
            if digest_hex not in self._carried:
                raise RuleError(f"{what} needs blob {digest_hex}, which is not in the bundle")

    def read(self, value: object, encode: Encoder, what: str, make: Callable[[object, Encoder], T]) -> T:
        """What ``make`` makes of the document that ``value`` is or stands for; always the same for ``what``.

        A blob is read once however many events name it, or a few of them could keep a verifier busy for days.
        Raises RuleError, also when the blob is not in the bundle.
        """
        if not is_stand_in(value):
            return make(value, encode)
        self.require(value, what)
        digest_hex, _ = _read_stand_in(value)
        if (what, digest_hex) not in self._made:
            self._made[what, digest_hex] = make(*read_encoded(self._files.read_blob(digest_hex)))
        made: T = self._made[what, digest_hex]
        return made

    def check_named(self) -> None:
        """Every blob carried is named by an event carried. Raises BundleError."""
        for digest_hex in self._carried:
            if digest_hex not in self._named:
                raise BundleError(f"extra/blobs/{digest_hex}", "is not named by an event of this bundle")


def stored_form_digest(document: object, encode: Encoder) -> bytes:
    """SHA-256 over the JCS of a whole document in the form in which it stands in an event."""
    data = encode(document).encode()
    if len(data) > MAX_INLINE:
        data = encode({"blob": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}).encode()
    return hashlib.sha256(data).digest()


def is_stand_in(value: object) -> bool:
    """Whether a value has just the members that no real value has: ``blob`` and ``size``."""
    return isinstance(value, dict) and value.keys() == {"blob", "size"}


def _read_stand_in(value: object) -> tuple[str, int]:
    assert isinstance(value, dict)
    size = value["size"]
    if not is_integer(size):
        raise RuleError("the size of a blob is not an integer >= 0")
    return read_digest(value["blob"], "the digest of a blob").hex(), size
