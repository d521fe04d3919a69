"""Signed notes: a text with the signatures of the keys that stand for it.

The format is c2sp.org/signed-note; witnesses' signatures are c2sp.org/tlog-cosignature version 1.
Ledger checkpoints, bundle manifests and snapshot heads are all notes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = 0x01
"""Key type of a log: its signature is over the note's text."""

COSIGNATURE = 0x04
"""Key type of a witness: its signature also states when the text was seen."""

MAX_SIGNATURES = 64

_KEY_ID_HEX = re.compile(r"[0-9a-f]{8}")
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_MARK = "— "
_NAME_SHOWN = 80  # characters: a hostile note's name may be as long as the note, and reasons are kept


class NoteError(ValueError):
    """The note or key is malformed, or its signatures do not hold. The text says why, in one line."""


def decode_base64(text: str) -> bytes:
    """Decode RFC 4648 section 4 base64 with padding, canonical form only.

    Raises ValueError when encoding the result again would not give ``text``: otherwise two texts
    would stand for the same bytes, and a signed file could be altered unseen.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    if base64.b64encode(data).decode("ascii") != text:
        raise ValueError("base64 is not in its canonical form")
    return data


@dataclass(frozen=True)
class VerifierKey:
    """A public key that may sign notes, with the name it signs under.

    ``type`` is the key's algorithm byte (``ED25519`` or ``COSIGNATURE``), ``public_key`` the 32 bytes
    of an Ed25519 key, ``key_id`` the 4 bytes that name the key in a signature line.
    """

    name: str
    key_id: bytes
    type: int
    public_key: bytes

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read a key from its text, ``name+hex(key id)+base64(type || public key)``.

        Raises NoteError when the text is malformed, the type is not known here, or the key id is
        not the one that c2sp.org/signed-note computes for this name and key.
        """
        parts = vkey.split("+", 2)  # base64 may itself contain a plus
        if len(parts) != 3:
            raise NoteError("verifier key is not name+key id+key")
        name, key_id_hex, encoded = parts
        if not _is_name(name):
            raise NoteError("verifier key has an invalid name")
        if not _KEY_ID_HEX.fullmatch(key_id_hex):
            raise NoteError(f"verifier key of {name!r} has an invalid key id")
        try:
            data = decode_base64(encoded)
        except ValueError as error:
            raise NoteError(f"verifier key of {name!r}: {error}") from None
        if not data or data[0] not in (ED25519, COSIGNATURE):
            raise NoteError(f"verifier key of {name!r} is of an unsupported type")
        if len(data) != 33:
            raise NoteError(f"verifier key of {name!r} has a public key of the wrong length")
        key_id = hashlib.sha256(name.encode("utf-8") + b"\n" + data).digest()[:4]
        if key_id.hex() != key_id_hex:
            raise NoteError(f"verifier key of {name!r} has a key id that is not its own")
        return cls(name, key_id, data[0], data[1:])

    def __str__(self) -> str:
        """The vkey text that ``parse`` reads."""
        encoded = base64.b64encode(bytes([self.type]) + self.public_key).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


@dataclass(frozen=True)
class Signature:
    """One signature line as it stands in a note, checked or not."""

    name: str
    key_id: bytes
    data: bytes
    """What follows the key id: for a log 64 bytes of signature, for a witness 8 bytes of time before it."""


@dataclass(frozen=True)
class Signer:
    """A key whose signature on a note was checked and holds."""

    key: VerifierKey
    timestamp: int | None
    """When a witness saw the text, in whole seconds since 1970-01-01T00:00:00Z; None for a log key."""


@dataclass(frozen=True)
class Note:
    """A signed text. ``signers`` names the keys that were checked: empty after ``read_note``."""

    text: str
    signatures: tuple[Signature, ...]
    signers: tuple[Signer, ...] = ()


def read_note(data: bytes) -> Note:
    """Take a note apart without checking any signature.

    Raises NoteError when it is malformed: not UTF-8, control characters other than LF, no text that
    ends in LF, no empty line before the signatures, not 1 to 64 well-formed signature lines.
    """
    if _CONTROL.search(data):
        raise NoteError("note contains a control character")
    if data.startswith(b"\xef\xbb\xbf"):
        raise NoteError("note starts with a byte order mark")
    border = data.rfind(b"\n\n")
    if border < 0:
        raise NoteError("note has no empty line between text and signatures")
    try:
        text = data[: border + 1].decode("utf-8")
        tail = data[border + 2 :].decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("note is not UTF-8") from None
    if not tail.endswith("\n"):
        raise NoteError("note does not end with a signature line and LF")
    # split("\n"), not splitlines(): the latter also breaks at U+2028 and its like.
    lines = tail[:-1].split("\n", MAX_SIGNATURES)
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"note has more than {MAX_SIGNATURES} signatures")
    return Note(text, tuple(_read_signature(line) for line in lines))


def open_note(data: bytes, keys: Sequence[VerifierKey]) -> Note:
    """Take a note apart and check every signature made by one of ``keys``.

    Signatures by other keys are ignored. Each key appears once in ``signers``, in the order of its
    first signature. Raises NoteError when the note is malformed, when a signature under the name
    and key id of one of ``keys`` does not hold, or when none of ``keys`` signed.
    """
    note = read_note(data)
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise NoteError(f"two different keys of {key.name!r} have the same key id")
    message = note.text.encode("utf-8")
    signers: dict[tuple[str, bytes], Signer] = {}
    for signature in note.signatures:
        ident = (signature.name, signature.key_id)
        if ident not in known:
            continue
        signer = _check(known[ident], signature, message)
        signers.setdefault(ident, signer)
    if not signers:
        raise NoteError("note is not signed by a known key")
    return Note(note.text, note.signatures, tuple(signers.values()))


def _is_name(name: str) -> bool:
    # A lone surrogate, which only a text from JSON can hold, has no UTF-8 form.
    return name != "" and not any(c == "+" or c.isspace() or "\ud800" <= c <= "\udfff" for c in name)


def _read_signature(line: str) -> Signature:
    if not line.startswith(_SIGNATURE_MARK):
        raise NoteError("note has a line after its text that is not a signature")
    name, space, encoded = line[len(_SIGNATURE_MARK) :].partition(" ")
    if not space or not _is_name(name):
        raise NoteError("note has a signature without a valid name")
    try:
        data = decode_base64(encoded)
    except ValueError as error:
        raise NoteError(f"signature by {name[:_NAME_SHOWN]!r}: {error}") from None
    if len(data) < 5:  # a key id and at least one byte of signature
        raise NoteError(f"signature by {name[:_NAME_SHOWN]!r} is too short")
    return Signature(name, data[:4], data[4:])


def _check(key: VerifierKey, signature: Signature, text: bytes) -> Signer:
    """Check one signature over ``text``; c2sp.org/tlog-cosignature gives the message of a witness."""
    invalid = NoteError(f"signature by {key.name!r} does not verify")
    timestamp: int | None = None
    message, data = text, signature.data
    if key.type == COSIGNATURE:
        if len(data) != 8 + 64:
            raise invalid
        timestamp = int.from_bytes(data[:8], "big")
        message = b"cosignature/v1\ntime %d\n" % timestamp + text
        data = data[8:]
    elif key.type != ED25519:
        raise NoteError(f"key of {key.name!r} is of an unsupported type")
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(data, message)
    except (InvalidSignature, ValueError):
        raise invalid from None
    return Signer(key, timestamp)
