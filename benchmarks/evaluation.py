"""What one flag check costs in a service, by kind of flag, and what loading 10,000 flags does.

Each is asked of the snapshot, of the client, and of the client through OpenFeature's SDK, whose own no-op
provider is the measure of the last; a lookup in a dict is the measure of the others.

Run it with `make bench`. It asserts nothing about time: read the ratios, and the medians as of this machine.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider.no_op_provider import NoOpProvider

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.interleaved import measure, table
from countersign import Client, Snapshot
from countersign.openfeature import CountersignProvider

ROUNDS, INNER = 60, 2_000
LOADED_FLAGS, LOADS = 10_000, 15
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
    "rules": _flag(
        rules=[
            {
                "id": f"r{number}",
                "constraints": [_constraint("country", "in", f"C{number}" if number < 9 else "DK")],
                "serve": {"variant": "on"},
            }
            for number in range(10)
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


class Case(NamedTuple):
    """A flag, and the context that it is asked for."""

    flag: str
    context: dict[str, Any]


CASES = {
    "boolean, default variant": Case("boolean", CONTEXT),
    "50 % split": Case("split", CONTEXT),
    "1,000 targets, a hit": Case("targets", CONTEXT),
    "1,000 targets, a miss": Case("targets", {**CONTEXT, "targetingKey": "visitor-1"}),
    "five constraints, all hold": Case("constraints", CONTEXT),
    "ten rules, the last holds": Case("rules", CONTEXT),
}


def _signed_snapshot(flags: dict[str, Any]) -> bytes:
    """A snapshot with the flags, signed by a key that is thrown away."""
    lines = [{"segments": {}}, *([key, flags[key]] for key in sorted(flags))]
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


def _check(snapshot: Snapshot, case: Case) -> Callable[[], None]:
    evaluate, (key, context) = snapshot.evaluate, case

    def check() -> None:
        evaluate(key, context)

    return check


def _ask(client: Client, case: Case) -> Callable[[], None]:
    get, (key, context) = client.get_boolean_value, case

    def ask() -> None:
        get(key, False, context)

    return ask


def _ask_openfeature(client: OpenFeatureClient, case: Case) -> Callable[[], None]:
    get, key = client.get_boolean_value, case.flag
    attributes = dict(case.context)
    context = EvaluationContext(attributes.pop("targetingKey"), attributes)

    def ask() -> None:
        get(key, False, context)

    return ask


def _openfeature_client(provider: Any) -> OpenFeatureClient:
    """A client with a domain of its own, so that several providers serve side by side."""
    domain = type(provider).__name__
    api.set_provider_and_wait(provider, domain)
    return api.get_client(domain)


def _client_of(raw: bytes) -> Client:
    with tempfile.NamedTemporaryFile(suffix=".snapshot") as file:
        file.write(raw)
        file.flush()
        return Client.from_file(file.name)


def _check_answers(snapshot: Snapshot) -> None:
    answers = {name: snapshot.evaluate(*case) for name, case in CASES.items()}
    causes = [answer.metadata.get("cause") for answer in answers.values()]
    if causes != ["default", "default", "target", "default", "rule", "rule"]:
        raise SystemExit(f"These are not the answers that were to be measured: {answers}")


def _measure_checks() -> None:
    raw = _signed_snapshot(FLAGS)
    snapshot, client = Snapshot.parse(raw), _client_of(raw)
    _check_answers(snapshot)
    plain = {f"flag-{number}": True for number in range(1_000)}

    def look_up() -> None:
        plain.get("flag-500", False)

    dict_lookup, no_op = "plain dict lookup", "OpenFeature's no-op provider"
    rows: dict[str, Callable[[], None]] = {dict_lookup: look_up}
    rows |= {f"evaluate: {name}": _check(snapshot, case) for name, case in CASES.items()}
    rows |= {f"Client: {name}": _ask(client, case) for name, case in CASES.items()}
    rows[no_op] = _ask_openfeature(_openfeature_client(NoOpProvider()), CASES["boolean, default variant"])
    ours = _openfeature_client(CountersignProvider(client))
    rows |= {f"OpenFeature: {name}": _ask_openfeature(ours, case) for name, case in CASES.items()}
    times = measure(rows, rounds=ROUNDS, inner=INNER)
    mmh3 = "with mmh3" if "mmh3" in sys.modules else "without mmh3"
    title = (
        f"Evaluation, Python {platform.python_version()}, {mmh3}: "
        f"{ROUNDS} interleaved rounds of {INNER:,} calls, time per call"
    )
    own = {name: values for name, values in times.items() if not name.startswith("OpenFeature")}
    print(table(title, own, unit="ns", baseline=dict_lookup))
    through = {name: values for name, values in times.items() if name not in own}
    print(table("\nThrough openfeature-sdk, same rounds", through, unit="ns", baseline=no_op))


def _measure_loading() -> None:
    raw = _signed_snapshot({f"flag-{number:05}": FLAGS["constraints"] for number in range(LOADED_FLAGS)})
    times: list[float] = []
    for _ in range(LOADS):
        started = time.perf_counter()
        Snapshot.parse(raw)
        times.append(time.perf_counter() - started)
    tracemalloc.start()
    snapshot = Snapshot.parse(raw)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(
        f"\nLoading {len(snapshot):,} flags ({len(raw) / 1e6:.1f} MB), median of {LOADS}: "
        f"{statistics.median(times) * 1e3:.1f} ms, and {held / 1e6:.1f} MB beside the file's own bytes"
    )


def main() -> None:
    """Measure and print."""
    _measure_checks()
    _measure_loading()
    api.shutdown()


if __name__ == "__main__":
    main()
