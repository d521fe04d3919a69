"""Signing: the ledger's key and the snapshots' key, each for one purpose, and signed notes.

Format: c2sp.org/signed-note with Ed25519 keys. The verifier lives in the `countersign` package; the two
share no code, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from audit.secret_files import held, kept_secret, replace_secret

_ED25519 = b"\x01"


def _key_id(name: str, typed_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + typed_key).digest()[:4]


def _vkey(name: str, typed_key: bytes) -> str:
    return f"{name}+{_key_id(name, typed_key).hex()}+{base64.b64encode(typed_key).decode()}"


def renamed(vkey: str, name: str) -> str:
    """The verifier key of the same key under another name."""
    return _vkey(name, base64.b64decode(vkey.split("+", 2)[2], validate=True))


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
        return _key_id(self.name, self._typed_key)

    @property
    def vkey(self) -> str:
        return _vkey(self.name, self._typed_key)

    def sign(self, message: bytes) -> bytes:
        return self.private_key.sign(message)


def signed_note(text: str, signers: Sequence[Signer]) -> str:
    """`text` (which ends in LF) with a line of each signer under it; while keys rotate there are two."""
    if not text.endswith("\n"):
        raise ValueError("a note's text ends with a line feed")
    lines = [
        f"— {signer.name} {base64.b64encode(signer.key_id + signer.sign(text.encode())).decode()}\n"
        for signer in signers
    ]
    if not lines:
        raise ValueError("a note has a signature")
    return f"{text}\n{''.join(lines)}"


def snapshots_name() -> str:
    """The name under which snapshots and keyrings are signed."""
    return f"{settings.ORIGIN}/snapshots"


def host_signers(name: str) -> list[Signer]:
    """The keys that this host has for a name, newest first; whether they may sign is for `audit.keys` to say.

    The ledger's key signs checkpoints and export manifests under the origin of a log, the snapshots' key
    snapshots and keyrings; neither signs anything else.
    """
    return [LocalSigner(name, _private_key(seed)) for seed in _seeds(_purpose(name))]


def make_key(name: str) -> None:
    """Put a new key first into the file of this host's keys.

    Raises ValueError where they come from the environment, which only the operator can change.
    """
    purpose = _purpose(name)
    if _configured(purpose):
        variable = f"COUNTERSIGN_{_SETTINGS[purpose]}"
        raise ValueError(
            f"{variable}: has the present key only. Set it to `<new seed>,<present seed>` on every host "
            "(`head -c32 /dev/urandom | base64` makes a seed), restart them, then run this again."
        )
    with held(_file(purpose)):
        replace_secret(_file(purpose), "\n".join([_new_seed(), *_seeds(purpose)]) + "\n")


def forget_keys(name: str, keep: Callable[[], Collection[str]]) -> int:
    """Leave only the keys whose vkey is in `keep` in the file of this host's keys; how many went.

    `keep` is asked while nobody else makes or forgets one. Keys from the environment stay: the operator
    removes them there.
    """
    purpose = _purpose(name)
    if _configured(purpose):
        return 0
    with held(_file(purpose)):
        staying, seeds = keep(), _seeds(purpose)
        kept = [seed for seed in seeds if LocalSigner(name, _private_key(seed)).vkey in staying]
        if kept and len(kept) < len(seeds):
            replace_secret(_file(purpose), "\n".join(kept) + "\n")
            return len(seeds) - len(kept)
    return 0


_SETTINGS = {"ledger": "LEDGER_KEY", "snapshots": "SNAPSHOT_KEY"}


def _purpose(name: str) -> str:
    return "snapshots" if name.endswith("/snapshots") else "ledger"


def _configured(purpose: str) -> str:
    return str(getattr(settings, _SETTINGS[purpose]))


def _file(purpose: str) -> Path:
    return Path(settings.DATA_DIR) / "keys" / purpose


def _new_seed() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _seeds(purpose: str) -> list[str]:
    """Base64 seeds, newest first; of the file anew each time, since a rotation may have changed it."""
    text = _configured(purpose) or kept_secret(_file(purpose), _new_seed)
    return text.replace(",", " ").split()


@cache
def _private_key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed, validate=True))
