"""Whether a published flagd client decides from our document as our evaluator does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from countersign.document import validate_flag, validate_segment
from countersign.flagd import export
from countersign.result import Result
from countersign.snapshot import Snapshot
from tests.clients.random_flags import SEGMENTS, RandomFlags
from tests.read_plane.publisher import Publisher

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_PYTHON = str(HERE / "flagd_python.py")
CLIENTS: dict[str, tuple[list[str], str]] = {
    "Python 0.5": ([str(ROOT / ".venv/flagd-0.5/bin/python"), _PYTHON], "murmur3"),
    "Python 0.6": ([str(ROOT / ".venv/flagd-0.6/bin/python"), _PYTHON], "murmur3-cbor"),
    "Node": (["node", str(HERE / "flagd_node.mjs")], "murmur3"),
}
"""A client's name, how to ask it, and which hash it has."""

_DEFAULTS = {
    "boolean": True,
    "string": "caller",
    "integer": 123456789,
    "float": 0.123,
    "object": {"caller": 1},
}


def require(client: str) -> None:
    """Leave the test out on a machine that cannot run the client, which CI=true forbids."""
    if client == "Node" and shutil.which("node") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is not installed, and CI=true forbids leaving its tests out")
        pytest.skip("node is not installed")


def random_snapshot(seed: int, number: int, hash: str) -> tuple[RandomFlags, Snapshot]:
    """A snapshot with so many random flags, each of which a writer may publish."""
    source = RandomFlags(seed, hash)
    for name, segment in source.segments.items():
        validate_segment(name, segment)
    flags = {f"flag-{position}": source.flag(f"flag-{position}") for position in range(number)}
    for key, flag in flags.items():
        validate_flag(key, flag, segments=SEGMENTS)
    return source, Snapshot.parse(Publisher().snapshot(flags=flags, segments=source.segments))


def answers_of(
    client: str, document: Path, flags: list[tuple[str, str]], contexts: str
) -> list[list[list[Any]]]:
    """For each context, for each flag (key, type): value, variant, reason and error."""
    require(client)
    asked = f'{{"document":{json.dumps(str(document))},"flags":{json.dumps(flags)},"contexts":{contexts}}}'
    done = subprocess.run(
        CLIENTS[client][0], input=asked, capture_output=True, text=True, cwd=HERE, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def differences(client: str, snapshot: Snapshot, contexts: str, at: Path) -> list[str]:
    """Every decision in which the client and the evaluator differ, in words."""
    document = at / "flags.flagd.json"
    document.write_bytes(export(snapshot, CLIENTS[client][1]).document)
    flags = [(key, str(snapshot.flag_type(key))) for key in json.loads(document.read_bytes())["flags"]]
    found: list[str] = []
    for context, answers in zip(
        json.loads(contexts), answers_of(client, document, flags, contexts), strict=True
    ):
        if client != "Node" and context.get("targetingKey") == "":
            context["targetingKey"] = None  # OpenFeature's SDK for Python hands an empty one on as none
        for (key, kind), answer in zip(flags, answers, strict=True):
            ours = snapshot.evaluate(key, context, kind)
            value, variant, reason, error = answer
            expected = ours.value if ours.has_value else _DEFAULTS[kind]
            if (value, type(value) is bool, variant, error) != (
                expected, type(expected) is bool, ours.variant, None,
            ) or reason not in _reasons(ours):  # fmt: skip
                found.append(f"{client}: {key} for {json.dumps(context)[:600]}: {answer}, not {ours}")
    return found


def _reasons(ours: Result) -> tuple[str, ...]:
    """What flagd calls our reasons: it knows neither splits nor flags that are off."""
    if ours.reason == "DEFAULT" and ours.variant is not None:
        return ("TARGETING_MATCH", "DEFAULT", "STATIC")
    if ours.reason in ("TARGETING_MATCH", "SPLIT"):
        return ("TARGETING_MATCH",)
    if ours.reason == "STATIC" or (
        ours.metadata["cause"] in ("killed", "disabled") and ours.variant is not None
    ):
        return ("STATIC",)
    return ("DEFAULT",)
