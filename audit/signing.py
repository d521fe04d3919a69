"""Signing: the ledger's key and the snapshots' key, each for one purpose, and signed notes.

Format: c2sp.org/signed-note with Ed25519 keys. The verifier lives in the `countersign` package; the two
share no code, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from audit.secret_files import kept_secret

_ED25519 = b"\x01"


class Signer(Protocol):
    """Something that holds a key and signs with it."""

    @property
    def name(self) -> str:
        """The key's name: the log's origin, or the installation's with `/snapshots`."""
        ...

    @property
    def vkey(self) -> str:
        """The verifier key, `name+<hex key id>+<base64>`."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature (64 bytes) over `message`."""
        ...

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || LF || type || public key)."""
        ...


@dataclass(frozen=True)
class LocalSigner:
    """A signer whose key is in this process."""

    name: str
    private_key: Ed25519PrivateKey

    @property
    def _typed_key(self) -> bytes:
        return _ED25519 + self.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed_key).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._typed_key).decode()}"

    def sign(self, message: bytes) -> bytes:
        return self.private_key.sign(message)


def signed_note(text: str, signer: Signer) -> str:
    """`text` (which ends in LF) with the signer's line under it."""
    if not text.endswith("\n"):
        raise ValueError("a note's text ends with a line feed")
    signature = base64.b64encode(signer.key_id + signer.sign(text.encode())).decode()
    return f"{text}\n— {signer.name} {signature}\n"


def ledger_signer() -> Signer:
    """Signs checkpoints and export manifests; its name is the ledger's origin."""
    return _signer(f"{settings.ORIGIN}/ledger", settings.LEDGER_KEY, "ledger")


def snapshot_signer() -> Signer:
    """Signs snapshots and keyrings, nothing else."""
    return _signer(f"{settings.ORIGIN}/snapshots", settings.SNAPSHOT_KEY, "snapshots")


@cache
def _signer(name: str, seed: str, file_name: str) -> Signer:
    if not seed:
        seed = kept_secret(
            settings.DATA_DIR / "keys" / file_name,
            lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
        )
    return LocalSigner(name, Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed, validate=True)))
