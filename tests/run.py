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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


def _without(*names: str) -> list[str]:
    return [part for name in names for part in ("--ignore", name)]


# Whatever only computes gives way to browsers and servers, whose patience has bounds.
GENTLY = ["nice", "-n", "10", *PYTEST]
# What waits for processes more than it computes.
_PROCESSES = ["tests/e2e", "tests/clients", "tests/docs"]
# About half of the rest: access, pages and what is asked of both.
_PAGES = ["tests/access", "tests/ui", "tests/security"]
# The read plane's know no database; `make prove`'s take minutes. Any new folder lands in the rest.
_REST = ["tests", *_without(*_PROCESSES, *_PAGES, "tests/read_plane", "tests/prove")]
_ON_POSTGRESQL = {"TEST_DATABASE": "postgresql"}
# Every door and step as everybody: the same questions of the same rows, which other tests ask of PostgreSQL.
_ONCE = ["tests/access/test_doors.py", "tests/gate/test_steps.py"]
# SQLite lets one write at a time, so races are PostgreSQL's; those that it can lose are in test_at_once.
_RACES = ["tests/gate/test_races.py"]
# Each: what it is, the command, and what it needs that a machine may lack. The longest come first.
SUITES: list[tuple[str, list[str], dict[str, str]]] = [
    ("pages and access on SQLite", [*GENTLY, *_PAGES], {}),
    ("processes and browsers", [*PYTEST, *_PROCESSES], {}),
    ("pages and access on PostgreSQL", [*GENTLY, *_PAGES, *_without(*_ONCE)], _ON_POSTGRESQL),
    ("the rest on PostgreSQL", [*GENTLY, *_REST, *_without(*_ONCE)], _ON_POSTGRESQL),
    ("the rest on SQLite", [*GENTLY, *_REST, *_without(*_RACES)], {}),
    ("read plane", [*PYTEST, "tests/read_plane"], {}),
    ("SDK and verifier", [*PYTEST, "-c", "sdk/tests/pytest.ini", "sdk/tests"], {}),
]
# One more than the two cores that are usual: browsers and processes are waited for.
_AT_ONCE = 3
_COUNT = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")


def main() -> int:
    """Run the suites, some at a time; return the exit code."""
    in_ci = os.environ.get("CI") == "true"
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    failed: list[str] = []
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for name, code, printed in pool.map(_run, SUITES):
            if code:
                failed.append(name)
            for number, word in _COUNT.findall(printed.strip().rpartition("\n")[2]):
                totals["failed" if word.startswith(("fail", "error")) else word] += int(number)
    left_out = [tool for tool in ("redis-server", "chromium", "npm") if shutil.which(tool) is None]
    if left_out:
        print(f"Left out, because this machine has no {' and no '.join(left_out)}: the tests that need it.")
    if totals["skipped"]:
        print(f"{totals['skipped']} tests were skipped; the lines starting with SKIPPED say why.")
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if failed or (in_ci and (left_out or totals["skipped"])) else 0


def _run(suite: tuple[str, list[str], dict[str, str]]) -> tuple[str, int, str]:
    """Run one suite and show what it printed, whole, when it has ended."""
    name, command, extra = suite
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **extra},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    spent = f"exit {done.returncode}, {time.monotonic() - started:.0f} s"
    print(f"== {name}\n{done.stdout}== {name}: {spent}", flush=True)
    return name, done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
