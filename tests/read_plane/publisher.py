"""The publishing side as the tests need it: real keys, real signed snapshots and keyrings."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from distribution.read_plane.keyring import Side, compose, hash_of

ORIGIN = "flags.example.com"
PRODUCTION = "shop/production"
STAGING = "shop/staging"
SERVER_KEY = "cs_server_" + "s" * 40
CLIENT_KEY = "cs_client_" + "c" * 40
KEYS: list[tuple[str, str, Side]] = [
    (hash_of(SERVER_KEY), "key-1", "server"),
    (hash_of(CLIENT_KEY), "key-2", "client"),
]


def flag(kind: str, variants: dict[str, Any], default: str, **members: Any) -> dict[str, Any]:
    """A flag line's object with what every line must have."""
    line = {
        "type": kind,
        "version": 3,
        "change": "CR-7.1",
        "variants": variants,
        "off": None,
        "enabled": True,
        "default": {"variant": default},
        "fail_safe": "off",
    }
    return {
        name: value for name, value in {**line, **members}.items() if name not in ("off", "change") or value
    }


FLAGS: dict[str, Any] = {
    "banner": flag(
        "boolean", {"on": True, "off": False}, "off", off="off", client_side=True, targets={"on": ["ann"]}
    ),
    "colour": flag("string", {"warm": "red", "cold": "blue"}, "warm"),
    "deferred": flag("string", {"some": "x"}, "some", enabled=False),
    "huge": flag("float", {"big": 1e22}, "big"),
    "limit": flag("integer", {"few": 3, "many": 3000}, "few"),
    "ratio": flag("float", {"whole": 3, "part": 0.25}, "whole"),
    "theme": flag("object", {"dark": {"depth": 3, "ratio": 0.5, "tags": ["a"]}}, "dark"),
    "unreadable": flag("boolean", {"on": True}, "nowhere", client_side=True),
}


def time_text() -> str:
    """Now, in the form of signed texts."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Publisher:
    """A signing key under a name, and what it signs."""

    origin: str = ORIGIN
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def _typed_key(self) -> bytes:
        return b"\x01" + self.key.public_key().public_bytes_raw()

    @property
    def _key_id(self) -> bytes:
        return hashlib.sha256(f"{self.origin}/snapshots\n".encode() + self._typed_key).digest()[:4]

    @property
    def vkey(self) -> str:
        """The verifier key, as clients are configured with it."""
        return f"{self.origin}/snapshots+{self._key_id.hex()}+{base64.b64encode(self._typed_key).decode()}"

    def sign(self, text: bytes, body: bytes) -> bytes:
        """A signed file: note, LF, body."""
        signature = base64.b64encode(self._key_id + self.key.sign(text)).decode()
        return text + f"\n— {self.origin}/snapshots {signature}\n".encode() + b"\n" + body

    def snapshot(
        self,
        version: int = 1,
        *,
        environment: str = PRODUCTION,
        flags: dict[str, Any] | None = None,
        segments: dict[str, Any] | None = None,
    ) -> bytes:
        """A snapshot file."""
        lines: list[Any] = [
            {"segments": segments or {}},
            *([key, line] for key, line in sorted((FLAGS if flags is None else flags).items())),
        ]
        body = b"".join(rfc8785.dumps(line) + b"\n" for line in lines)
        root = base64.b64encode(hashlib.sha256(b"").digest()).decode()
        text = (
            f"countersign-snapshot/v1\norigin {self.origin}\nenvironment {environment}\nversion {version}\n"
            f"created {time_text()}\nledger 12 {root}\n"
            f"body sha256:{hashlib.sha256(body).hexdigest()} {len(body)}\n"
        )
        return self.sign(text.encode(), body)

    def keyring(
        self,
        version: int = 1,
        *,
        environment: str = PRODUCTION,
        keys: list[tuple[str, str, Side]] | None = None,
        origins: dict[str, list[str]] | None = None,
    ) -> bytes:
        """A keyring file; by default with the server key and the client key. `origins`: by a key's id."""
        chosen = KEYS if keys is None else keys
        text, body = compose(
            origin=self.origin,
            environment=environment,
            version=version,
            created=time_text(),
            keys=[(*key, (origins or {}).get(key[1], [])) for key in chosen],
        )
        return self.sign(text, body)


class MemoryStore:
    """A database stand-in: what Django's side injects, without a database. It can be told to fail."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.failure: Exception | None = None
        self.fetched = 0

    def get_snapshot(self, environment: str) -> bytes | None:
        return self._get(environment, "snapshot")

    def get_keyring(self, environment: str) -> bytes | None:
        return self._get(environment, "keyring")

    def versions(self) -> dict[str, tuple[int, int]]:
        if self.failure:
            raise self.failure
        found = {}
        for environment in {environment for environment, _ in self.documents}:
            numbers = [
                self.documents.get((environment, kind), (0, b""))[0] for kind in ("snapshot", "keyring")
            ]
            found[environment] = (numbers[0], numbers[1])
        return found

    def put(self, environment: str, kind: str, version: int, raw: bytes) -> None:
        self.documents[environment, kind] = (version, raw)

    def publish(
        self, publisher: Publisher, version: int = 1, *, environment: str = PRODUCTION, **members: Any
    ) -> None:
        """A snapshot and a keyring of the same version."""
        keys = members.pop("keys", None)
        self.put(
            environment, "snapshot", version, publisher.snapshot(version, environment=environment, **members)
        )
        self.put(
            environment, "keyring", version, publisher.keyring(version, environment=environment, keys=keys)
        )

    def _get(self, environment: str, kind: str) -> bytes | None:
        if self.failure:
            raise self.failure
        self.fetched += 1
        found = self.documents.get((environment, kind))
        return found[1] if found else None


def json_of(body: bytes) -> Any:
    """A JSON body, numbers as Python reads them."""
    return json.loads(body)
