"""Ours: `Client.get_boolean_value`, and `get_all` for all flags."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.interleaved import Call
from benchmarks.peers import Attributes, Product
from benchmarks.workload import Condition, Flag
from countersign import Client

KEY_NAME = "flags.example.com/snapshots"


def _constraint(condition: Condition) -> dict[str, Any]:
    return {**condition._asdict(), "values": list(condition.values)}


def _flag(key: str, flag: Flag) -> dict[str, Any]:
    weights = [["on", 50_000], ["off", 50_000]]
    half = {"by": "targetingKey", "seed": key, "hash": "murmur3", "weights": weights}
    line: dict[str, Any] = {
        "type": "boolean",
        "version": 1,
        "variants": {"on": True, "off": False},
        "off": "off",
        "enabled": True,
        "default": {"split": half} if flag.default == "half" else {"variant": flag.default},
        "fail_safe": "off",
    }
    if flag.targets:
        line["targets"] = {"on": list(flag.targets)}
    if flag.rules:
        line["rules"] = [
            {
                "id": f"r{number}",
                "constraints": [_constraint(part) for part in rule],
                "serve": {"variant": "on"},
            }
            for number, rule in enumerate(flag.rules)
        ]
    return line


class Countersign(Product):
    """A client from a snapshot file, without static context or `max_staleness`."""

    name = "countersign"

    @staticmethod
    def document(flags: Mapping[str, Flag]) -> bytes:
        """A snapshot, signed by a key that is thrown away."""
        lines = [{"segments": {}}, *([key, _flag(key, flags[key])] for key in sorted(flags))]
        body = b"".join(rfc8785.dumps(line) + b"\n" for line in lines)  # type: ignore[arg-type]
        text = (
            "countersign-snapshot/v1\norigin flags.example.com\nenvironment shop/production\nversion 1\n"
            f"created 2026-11-21T12:00:00.000000Z\nledger 0 {base64.b64encode(bytes(32)).decode()}\n"
            f"body sha256:{hashlib.sha256(body).hexdigest()} {len(body)}\n"
        )
        key = Ed25519PrivateKey.generate()
        public = b"\x01" + key.public_key().public_bytes_raw()
        key_id = hashlib.sha256(f"{KEY_NAME}\n".encode() + public).digest()[:4]
        signature = base64.b64encode(key_id + key.sign(text.encode())).decode()
        return f"{text}\n— {KEY_NAME} {signature}\n\n".encode() + body

    def __init__(self, document: bytes) -> None:
        with tempfile.NamedTemporaryFile(suffix=".snapshot") as file:
            file.write(document)
            file.flush()
            self.client = Client.from_file(file.name)

    def check(self, flag: str, unit: str, attributes: Attributes, default: bool) -> Call:
        names = {"ask": self.client.get_boolean_value, "context": {"targetingKey": unit, **attributes}}
        names |= {"flag": flag, "default": default}
        return Call("ask(flag, default, context)", names)

    def check_by_turns(self, flag: str, units: Sequence[str], attributes: Attributes, default: bool) -> Call:
        contexts = cycle([{"targetingKey": unit, **attributes} for unit in units])
        names = {"ask": self.client.get_boolean_value, "contexts": contexts, "flag": flag, "default": default}
        return Call("ask(flag, default, next(contexts))", names)

    def check_all(self, flags: list[str], units: Sequence[str], attributes: Attributes) -> Call:
        contexts = cycle([{"targetingKey": unit, **attributes} for unit in units])
        return Call("ask_all(next(contexts))", {"ask_all": self.client.get_all, "contexts": contexts})
