"""The gate's state machine for minutes, on both databases, with other examples each time.

`GATE_EXAMPLES`: how many at once, of up to 60 steps each; 20 take two minutes or three. There are up to four times
as many, until each verb that matters has come up.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_minutes_of_random_verbs_serve_nothing_that_was_not_allowed(database: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--show-capture=no", "tests/gate/test_machine.py"],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE": database, "GATE_EXAMPLES": os.environ.get("GATE_EXAMPLES", "20")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
