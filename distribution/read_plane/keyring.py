"""The keyring: which SDK keys open an environment, signed like a snapshot.

It carries hashes, never keys. SDK keys are long random strings, so a plain SHA-256 is the right hash: there
is nothing to guess that salt or stretching would slow down, and a lookup must cost nothing.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import rfc8785

from countersign.notes import ED25519, NoteError, VerifierKey, open_note

Side = Literal["server", "client"]

_TEXT = re.compile(
    r"countersign-keyring/v1\n"
    r"origin (?P<origin>[^\s+]+)\n"
    r"environment (?P<environment>[A-Za-z0-9._-]+/[A-Za-z0-9._-]+)\n"
    r"version (?P<version>[1-9][0-9]{0,15})\n"
    r"created (?P<created>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)\n"
    r"body sha256:(?P<hash>[0-9a-f]{64}) (?P<length>0|[1-9][0-9]{0,11})\n",
    re.ASCII,
)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class KeyringError(ValueError):
    """A keyring that must not be used; the message names the member and the reason."""


@dataclass(frozen=True, slots=True)
class SdkKey:
    """One SDK key as the read plane knows it: its id, which side may hold it, and what it opens.

    `origins`: those whose pages may use it from a browser; `*` for all. Empty for server-side keys.
    """

    id: str
    side: Side
    environment: str
    origins: frozenset[str] = frozenset()

    def allows(self, origin: str) -> bool:
        """Whether pages of `origin`, as browsers write it, may read answers to this key."""
        return origin in self.origins or "*" in self.origins


def hash_of(key: str) -> str:
    """Lower-case hex SHA-256 of an SDK key, as it stands in keyrings."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def compose(
    *,
    origin: str,
    environment: str,
    version: int,
    created: str,
    keys: Iterable[tuple[str, str, Side, Sequence[str]]],
) -> tuple[bytes, bytes]:
    """The two halves of a keyring file, for the publisher to sign: (note text, body).

    `keys` are (hash, id, side, allowed origins); `created` is `YYYY-MM-DDTHH:MM:SS.ffffffZ`. The file is the
    text made a signed note by `<origin>/snapshots`, then one LF, then the body.
    """
    entries = [
        {"hash": hash_, "id": id_, "side": side, **({"origins": sorted(origins)} if origins else {})}
        for hash_, id_, side, origins in sorted(keys)
    ]
    body = rfc8785.dumps({"keys": cast(Any, entries)}) + b"\n"
    text = (
        f"countersign-keyring/v1\norigin {origin}\nenvironment {environment}\nversion {version}\n"
        f"created {created}\nbody sha256:{hashlib.sha256(body).hexdigest()} {len(body)}\n"
    )
    return text.encode(), body


@dataclass(frozen=True, slots=True)
class Keyring:
    """A verified keyring. `keys` maps the SHA-256 of a key to what it opens."""

    raw: bytes
    origin: str
    environment: str
    version: int
    created: str
    body_sha256: str
    keys: dict[str, SdkKey]

    @classmethod
    def parse(cls, raw: bytes, *, verify: Sequence[str], environment: str | None = None) -> "Keyring":
        """Read and verify a keyring file.

        `verify` are verifier keys (vkeys); one named `<origin>/snapshots` must have signed. Unlike a
        snapshot, a keyring is never read unverified, because it decides who gets in. Raises KeyringError.
        """
        note, body = _split(raw)
        try:
            text = note[: note.index(b"\n\n") + 1].decode("ascii")
        except UnicodeDecodeError:
            raise KeyringError("keyring text: not ASCII") from None
        head = _TEXT.fullmatch(text)
        if head is None:
            raise KeyringError("keyring text: not the six lines of countersign-keyring/v1")
        _check_signature(note, text, head["origin"], verify)
        if environment is not None and head["environment"] != environment:
            raise KeyringError(f"environment: is {head['environment']}, expected {environment}")
        if len(body) != int(head["length"]):
            raise KeyringError(f"body: {len(body)} bytes long, the signed text says {head['length']}")
        if hashlib.sha256(body).hexdigest() != head["hash"]:
            raise KeyringError("body: its SHA-256 is not the one in the signed text")
        return cls(
            raw=raw,
            origin=head["origin"],
            environment=head["environment"],
            version=int(head["version"]),
            created=head["created"],
            body_sha256=head["hash"],
            keys=_read_keys(body, head["environment"]),
        )


def _split(raw: bytes) -> tuple[bytes, bytes]:
    text_end = raw.find(b"\n\n")
    note_end = raw.find(b"\n\n", text_end + 2) if text_end >= 0 else -1
    if note_end < 0:
        raise KeyringError("keyring: not a signed note followed by a body")
    return raw[: note_end + 1], raw[note_end + 2 :]


def _check_signature(note: bytes, text: str, origin: str, verify: Sequence[str]) -> None:
    # Only this origin's own key counts: a key trusted for another origin must not speak for this one.
    name = f"{origin}/snapshots"
    try:
        keys = [VerifierKey.parse(vkey) for vkey in verify if vkey.partition("+")[0] == name]
        keys = [key for key in keys if key.type == ED25519]  # a witness only saw a text, it did not make it
        if not keys:
            raise KeyringError(f"origin: no verifier key named {name} is configured")
        if open_note(note, keys).text != text:
            raise KeyringError("keyring text: differs from the text that was signed")
    except NoteError as error:
        raise KeyringError(f"signature: {error}") from error


def _read_keys(body: bytes, environment: str) -> dict[str, SdkKey]:
    try:
        document = json.loads(body)
        # Canonical or nothing: this refuses duplicate members and every other second way to write it.
        if rfc8785.dumps(document) + b"\n" != body:
            raise KeyringError("body: not canonical JSON and one LF")
        entries = document["keys"]
        keys: dict[str, SdkKey] = {}
        for position, entry in enumerate(entries):
            hash_, id_, side = entry["hash"], entry["id"], entry["side"]
            if not (isinstance(hash_, str) and _HASH.fullmatch(hash_)):
                raise KeyringError(f"keys[{position}].hash: not 64 lower-case hex digits")
            if hash_ in keys:
                raise KeyringError(f"keys[{position}].hash: stands there twice")
            if not (isinstance(id_, str) and id_):
                raise KeyringError(f"keys[{position}].id: not a non-empty string")
            if side not in ("server", "client"):
                raise KeyringError(f"keys[{position}].side: neither server nor client")
            origins = entry.get("origins", [])  # not in keyrings of before there were any
            if not (isinstance(origins, list) and all(isinstance(each, str) and each for each in origins)):
                raise KeyringError(f"keys[{position}].origins: not a list of non-empty strings")
            if origins and side != "client":
                raise KeyringError(f"keys[{position}].origins: a server-side key has none")
            keys[hash_] = SdkKey(id=id_, side=side, environment=environment, origins=frozenset(origins))
    except KeyringError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        rfc8785.CanonicalizationError,
    ) as error:
        raise KeyringError(f"body: not a keyring ({type(error).__name__})") from error
    return keys
