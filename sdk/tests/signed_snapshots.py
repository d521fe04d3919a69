"""Snapshots as a server publishes them, made here from the format's description alone."""

from __future__ import annotations

import base64
import hashlib

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORIGIN = "flags.example.com"
ENVIRONMENT = "shop/production"
ROOT = base64.b64encode(bytes(32)).decode()


class SigningKey:
    """An Ed25519 key with the name it signs under."""

    def __init__(self, name: str = f"{ORIGIN}/snapshots", seed: bytes | None = None) -> None:
        """``seed``: 32 bytes, for a key that is the same every time; another each time where omitted."""
        self.name = name
        self._private = (
            Ed25519PrivateKey.from_private_bytes(seed) if seed is not None else Ed25519PrivateKey.generate()
        )
        self._public = b"\x01" + self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._key_id = hashlib.sha256(name.encode() + b"\n" + self._public).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self._key_id.hex()}+{base64.b64encode(self._public).decode()}"

    def line(self, text: str) -> str:
        signature = self._private.sign(text.encode())
        return f"— {self.name} {base64.b64encode(self._key_id + signature).decode()}\n"


_ANY_KEY = SigningKey()


def body_of(flags: dict[str, object], segments: dict[str, object] | None = None) -> bytes:
    lines = [{"segments": segments or {}}, *([key, flags[key]] for key in sorted(flags))]
    return b"".join(rfc8785.dumps(line) + b"\n" for line in lines)


def head_of(body: bytes, /, **changes: object) -> str:
    fields = {
        "format": "countersign-snapshot/v1",
        "origin": ORIGIN,
        "environment": ENVIRONMENT,
        "version": 1287,
        "created": "2026-11-20T12:00:00.000000Z",
        "ledger": f"40213 {ROOT}",
        "body": f"sha256:{hashlib.sha256(body).hexdigest()} {len(body)}",
        **changes,
    }
    return "".join(
        f"{value}\n" if name == "format" else f"{name} {value}\n" for name, value in fields.items()
    )


def signed(body: bytes, /, *keys: SigningKey, **changes: object) -> bytes:
    text = head_of(body, **changes)
    lines = "".join(key.line(text) for key in keys or (_ANY_KEY,))
    return f"{text}\n{lines}\n".encode() + body


def a_flag(**changes: object) -> dict[str, object]:
    """A boolean flag that is on for nobody; a change of None takes the member out."""
    flag = {
        "type": "boolean",
        "version": 7,
        "variants": {"on": True, "off": False},
        "off": "off",
        "enabled": True,
        "default": {"variant": "off"},
        "fail_safe": "off",
        **changes,
    }
    return {name: value for name, value in flag.items() if value is not None}
