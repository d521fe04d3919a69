"""The bundle verifier against a second reading of its rules and against mutated bundles, for minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_minutes_of_random_and_mutated_bundles_find_nothing() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-c", "sdk/tests/pytest.ini", "sdk/tests/prove"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
