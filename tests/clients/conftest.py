"""A real server with flags of every type, for clients that nobody here wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distribution.read_plane.directory_store import DirectoryStore
from tests.read_plane.granian import Granian
from tests.read_plane.publisher import ORIGIN, PRODUCTION, Publisher, flag

HERE = Path(__file__).parent
APP = "http://127.0.0.1"
SPLIT = {"by": "targetingKey", "seed": "half", "hash": "murmur3", "weights": [["on", 1], ["off", 1]]}
RULE = {
    "id": "gold",
    "constraints": [{"attribute": "plan", "operator": "in", "values": ["gold"]}],
    "serve": {"variant": "on"},
}
BOOLEAN = {"on": True, "off": False}

# Each reason of the evaluation specification, section 2, each type, and what cannot be answered.
FLAGS: dict[str, Any] = {
    "default": flag("boolean", BOOLEAN, "off", targets={"on": ["ann"]}, off="off", client_side=True),
    "deferred": flag("string", {"some": "x"}, "some", enabled=False, client_side=True),
    "disabled": flag("boolean", BOOLEAN, "on", enabled=False, off="off", client_side=True),
    "float-part": flag("float", {"v": 0.25}, "v", client_side=True),
    "float-whole": flag("float", {"v": 3}, "v", client_side=True),
    "huge": flag("float", {"v": 1e22}, "v", client_side=True),
    "integer": flag("integer", {"v": 3000}, "v", client_side=True),
    "killed": flag("boolean", BOOLEAN, "on", killed=True, off="off", client_side=True),
    "object": flag("object", {"v": {"depth": 3, "tags": ["a"], "none": None}}, "v", client_side=True),
    "rule": flag("boolean", BOOLEAN, "off", rules=[RULE], off="off", client_side=True),
    "secret": flag("string", {"v": "for servers"}, "v"),
    "split": flag("boolean", BOOLEAN, "off", off="off", client_side=True) | {"default": {"split": SPLIT}},
    "string": flag("string", {"v": "grün"}, "v", client_side=True),
    "unreadable": flag("boolean", BOOLEAN, "nowhere"),
}
CONTEXTS: list[dict[str, Any]] = [
    {"targetingKey": "ann", "plan": "gold"},
    {"targetingKey": "bob", "plan": "free", "seats": 3, "share": 0.5, "tags": ["a"], "deep": {"a": None}},
    {"targetingKey": "cleo"},
    {},
]


@pytest.fixture(scope="session")
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture(scope="session")
def serve(publisher: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Granian]]:
    """`serve(origins=…, **environment)`: a granian that serves FLAGS from its last-known-good directory."""
    started: list[Granian] = []

    def start(origins: list[str] | None = None, **environment: str) -> Granian:
        directory = tmp_path_factory.mktemp("kept")
        store = DirectoryStore(directory)
        store.put_snapshot(PRODUCTION, publisher.snapshot(flags=FLAGS))
        store.put_keyring(PRODUCTION, publisher.keyring(origins={"key-2": origins or []}))
        server = Granian(
            READ_PLANE_ORIGIN=ORIGIN,
            READ_PLANE_VERIFY=publisher.vkey,
            READ_PLANE_DIRECTORY=str(directory),
            **environment,
        )
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def server(serve: Callable[..., Granian]) -> Granian:
    return serve()


@pytest.fixture(scope="session")
def node() -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """`node("script.mjs", task)`: what a script of this folder prints."""
    missing = [
        what
        for what, there in (
            ("node", shutil.which("node")),
            ("tests/clients/node_modules (npm ci)", (HERE / "node_modules" / "@openfeature").is_dir()),
        )
        if not there
    ]
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing: {', '.join(missing)}")
        pytest.skip(f"missing: {', '.join(missing)}")

    def run(script: str, task: dict[str, Any]) -> dict[str, Any]:
        done = subprocess.run(
            ["node", str(HERE / script), json.dumps(task)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
