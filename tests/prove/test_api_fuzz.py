"""Schemathesis against a served installation with the demo's data, as each of four roles.

No answer is a 5xx, has a status, content type or body that the OpenAPI document does not tell, accepts what
the document rules out or refuses as unreadable what it allows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Installation

CONFIG = Path(__file__).parent / "schemathesis.toml"
# With these, whoever asks can take their own token or role away: they come last.
LAST = ("tokens_revoke", "memberships_destroy")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "40")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """What `make run` gives: on SQLite, or with `TEST_DATABASE=postgresql` on a PostgreSQL of the tests'."""
    made = Installation(tmp_path_factory.mktemp("fuzzed") / "data", os.environ.get("DATABASE_URL", ""))
    with pytest.MonkeyPatch.context() as patched:
        # Told to wait, nobody reaches what is behind the limit; the limit has tests of its own.
        patched.setenv("COUNTERSIGN_API_RATE", "0")
        made.start()
        yield made
    made.stop()


@pytest.mark.parametrize("role", ["auditor", "editor", "service-account", "administrator"])
def test_nothing_breaks_the_api(installation: Installation, role: str, tmp_path: Path) -> None:
    status, _, raw = installation.get(
        "/api/schema/", Accept="application/vnd.oai.openapi+json, application/json"
    )
    assert status == 200
    schema = tmp_path / "schema.json"
    schema.write_bytes(raw)
    assert json.loads(raw)["openapi"] == "3.1.0"
    excluded = [part for name in LAST for part in ("--exclude-operation-id", name)]
    included = [part for name in LAST for part in ("--include-operation-id", name)]
    for chosen in (excluded, included):
        done = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(CONFIG), "run"),
                *(str(schema), "--url", installation.base_url, "--seed", "20261125", "--no-shrink"),
                *("--max-examples", EXAMPLES, "--continue-on-failure", "--no-color"),
                *("-H", f"Authorization: Bearer {installation.demo['tokens'][role]}", *chosen),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        # Cut line by line, for one body of a thousand names would hide which operation it was sent to.
        told = "\n".join(line[:500] for line in done.stdout.splitlines())
        assert done.returncode == 0, told + done.stderr[-2_000:]
    log = installation.log()
    assert "Traceback" not in log, log[-5_000:]
