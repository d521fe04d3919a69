"""What one flag check costs in a service, by kind of flag, against looking a value up in a dict.

Run it with `make bench`. It asserts nothing about time: read the ratios, and the medians as of this machine.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.interleaved import measure, table
from countersign import Client, Snapshot

ROUNDS, INNER = 60, 2_000
NAME = "flags.example.com/snapshots"


def _flag(**changes: Any) -> dict[str, Any]:
    return {
        "type": "boolean",
        "version": 1,
        "variants": {"on": True, "off": False},
        "off": "off",
        "enabled": True,
        "default": {"variant": "off"},
        "fail_safe": "off",
        **changes,
    }


def _constraint(attribute: str, operator: str, *values: Any) -> dict[str, Any]:
    return {"attribute": attribute, "operator": operator, "values": list(values)}


FLAGS = {
    "boolean": _flag(default={"variant": "on"}),
    "split": _flag(
        default={
            "split": {
                "by": "targetingKey",
                "seed": "split",
                "hash": "murmur3",
                "weights": [["on", 50_000], ["off", 50_000]],
            }
        }
    ),
    "targets": _flag(targets={"on": [f"customer-{number}" for number in range(1_000)]}),
    "constraints": _flag(
        rules=[
            {
                "id": "r1",
                "constraints": [
                    _constraint("country", "in", "SE", "NO", "DK"),
                    _constraint("plan", "in", "gold", "platinum"),
                    _constraint("age", "gte", 18),
                    _constraint("email_domain", "ends_with", ".example.com"),
                    _constraint("orders", "gt", 3),
                ],
                "serve": {"variant": "on"},
            }
        ]
    ),
}
CONTEXT = {
    "targetingKey": "customer-500",
    "country": "DK",
    "plan": "gold",
    "age": 30,
    "email_domain": "shop.example.com",
    "orders": 7,
}


def _signed_snapshot() -> bytes:
    """A snapshot with the flags above, signed by a key that is thrown away."""
    lines = [{"segments": {}}, *([key, FLAGS[key]] for key in sorted(FLAGS))]
    body = b"".join(rfc8785.dumps(line) + b"\n" for line in lines)  # type: ignore[arg-type]
    text = (
        "countersign-snapshot/v1\norigin flags.example.com\nenvironment shop/production\nversion 1\n"
        f"created 2026-11-21T12:00:00.000000Z\nledger 0 {base64.b64encode(bytes(32)).decode()}\n"
        f"body sha256:{hashlib.sha256(body).hexdigest()} {len(body)}\n"
    )
    key = Ed25519PrivateKey.generate()
    key_id = hashlib.sha256(f"{NAME}\n".encode() + b"\x01" + key.public_key().public_bytes_raw()).digest()[:4]
    signature = base64.b64encode(key_id + key.sign(text.encode())).decode()
    return f"{text}\n— {NAME} {signature}\n\n".encode() + body


def _check(snapshot: Snapshot, key: str) -> Callable[[], None]:
    evaluate, context = snapshot.evaluate, CONTEXT

    def check() -> None:
        evaluate(key, context)

    return check


def _ask(client: Client, key: str) -> Callable[[], None]:
    get, context = client.get_boolean_value, CONTEXT

    def ask() -> None:
        get(key, False, context)

    return ask


def main() -> None:
    """Measure and print."""
    raw = _signed_snapshot()
    snapshot = Snapshot.parse(raw)
    answers = {key: snapshot.evaluate(key, CONTEXT) for key in FLAGS}
    if any(answer.error_code for answer in answers.values()) or answers["constraints"].value is not True:
        raise SystemExit(f"These are not the answers that were to be measured: {answers}")
    plain = {f"flag-{number}": True for number in range(1_000)}

    def look_up() -> None:
        plain.get("flag-500", False)

    names = {
        "boolean, default variant": "boolean",
        "50 % split": "split",
        "1,000 targets, a hit": "targets",
        "five constraints, all hold": "constraints",
    }
    rows: dict[str, Callable[[], None]] = {"plain dict lookup": look_up}
    rows |= {f"evaluate: {name}": _check(snapshot, key) for name, key in names.items()}
    with tempfile.NamedTemporaryFile(suffix=".snapshot") as file:
        file.write(raw)
        file.flush()
        client = Client.from_file(file.name)
    rows |= {f"Client: {name}": _ask(client, key) for name, key in names.items()}
    times = measure(rows, rounds=ROUNDS, inner=INNER)
    mmh3 = "with mmh3" if "mmh3" in sys.modules else "without mmh3"
    title = (
        f"Evaluation, Python {platform.python_version()}, {mmh3}: "
        f"{ROUNDS} interleaved rounds of {INNER:,} calls, time per call"
    )
    print(table(title, times, unit="ns", baseline="plain dict lookup"))
    against_boolean = {name: values for name, values in times.items() if name.startswith("evaluate: ")}
    print(
        table(
            "\nThe same, against the simplest flag",
            against_boolean,
            unit="ns",
            baseline="evaluate: boolean, default variant",
        )
    )


if __name__ == "__main__":
    main()
