"""`make test`: everything this machine can run, on SQLite and on a PostgreSQL of the tests' own.

What had to be left out is said at the end; with CI=true, leaving something out is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
# Each: what it is, the command, and what it needs that a machine may lack.
SUITES: list[tuple[str, list[str], dict[str, str]]] = [
    ("SDK and verifier", [*PYTEST, "-c", "sdk/tests/pytest.ini", "sdk/tests"], {}),
    ("server on SQLite", [*PYTEST, "tests"], {}),
    # The read plane knows no database.
    (
        "server on PostgreSQL",
        [*PYTEST, "tests", "--ignore", "tests/read_plane"],
        {"TEST_DATABASE": "postgresql"},
    ),
]
_COUNT = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")


def main() -> int:
    """Run the suites one after the other; return the exit code."""
    in_ci = os.environ.get("CI") == "true"
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    failed: list[str] = []
    for name, command, extra in SUITES:
        print(f"== {name}", flush=True)
        started = time.monotonic()
        code, last = _run(command, {**os.environ, **extra})
        for number, word in _COUNT.findall(last):
            totals["failed" if word.startswith(("fail", "error")) else word] += int(number)
        print(f"== {name}: exit {code}, {time.monotonic() - started:.0f} s", flush=True)
        if code:
            failed.append(name)
    left_out = [tool for tool in ("redis-server", "chromium") if shutil.which(tool) is None]
    if left_out:
        print(f"Left out, because this machine has no {' and no '.join(left_out)}: the tests that need it.")
    if totals["skipped"]:
        print(f"{totals['skipped']} tests were skipped; pytest's lines starting with SKIPPED say why.")
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if failed or (in_ci and (left_out or totals["skipped"])) else 0


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command, showing what it prints; return its exit code and last line that counts tests."""
    last = ""
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if _COUNT.search(line) and " in " in line:
                last = line
    return process.returncode, last


if __name__ == "__main__":
    sys.exit(main())
