"""From a change that people make to the new decision in a client that polls: median and 95th percentile.

Starts an installation as `make run` does, embedded and in a directory of its own. A flag is turned by the API,
again and again, at random moments; clients that poll at different intervals watch it side by side. Counted is
from asking for the change, and from its answer: the commit lies between. It asserts nothing about time.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from countersign.client import Client
from tests.e2e.installation import Installation

INTERVALS, CHANGES = (1.0, 0.25, 0.05), 30
FLAG, WHERE = "project/shop/flag/bench", "project/shop/environment/development/flag/bench"


class Watcher:
    """Notes when a client's decision became another one."""

    def __init__(self, dsn: str, interval: float) -> None:
        self.client = Client(dsn, poll_interval=interval)
        self.interval = interval

    def wait_for(self, variant: str, seen: dict[float, float]) -> None:
        while self.client.evaluate("bench", {"targetingKey": "customer-1"}).variant != variant:
            time.sleep(0.001)
        seen[self.interval] = time.perf_counter()


def main() -> None:
    """Measure and print."""
    os.environ.update(COUNTERSIGN_KEY_RATE="0", COUNTERSIGN_ADDRESS_RATE="0", COUNTERSIGN_API_RATE="0")
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        installation = Installation(Path(directory) / "data")
        installation.directory.mkdir()
        try:
            installation.start()
            load = os.getloadavg()[0]
            times = _measured(installation)
        finally:
            installation.stop()
    print(
        f"\nFrom a change to the new decision, Python {platform.python_version()}, embedded on SQLite, "
        f"{CHANGES} changes, load {load:.0f} to {os.getloadavg()[0]:.0f}; milliseconds"
    )
    print(f"  {'':<28}{'since the answer':>24}{'since it was asked for':>26}")
    print(f"  {'':<28}{'median':>12}{'p95':>12}{'median':>14}{'p95':>12}")
    for name, (since_answer, since_asked) in times.items():
        numbers = [*_told(since_answer), *_told(since_asked)]
        print(f"  {name:<28}{numbers[0]:>12.0f}{numbers[1]:>12.0f}{numbers[2]:>14.0f}{numbers[3]:>12.0f}")


def _told(seconds: list[float]) -> tuple[float, float]:
    """Median and 95th percentile, in milliseconds."""
    return statistics.median(seconds) * 1_000, statistics.quantiles(seconds, n=20)[-1] * 1_000


def _measured(installation: Installation) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds since the answer and since it was asked for, of each client."""
    definition = {
        "name": "Bench",
        "type": "boolean",
        "kind": "operational",
        "variants": {"on": True, "off": False},
        "permanent_reason": "It is measured.",
    }
    _change(installation, {FLAG: (0, definition), WHERE: (0, _serving("off"))})
    watchers = [Watcher(installation.demo["dsn"]["shop/development"], interval) for interval in INTERVALS]
    times: dict[str, tuple[list[float], list[float]]] = {
        f"polled every {watcher.interval:g} s": ([], []) for watcher in watchers
    }
    for watcher in watchers:
        watcher.wait_for("off", {})
    pause = random.Random(1).uniform  # noqa: S311  (a moment, not a secret)
    for number in range(1, CHANGES + 1):
        variant, seen = ("off", "on")[number % 2], dict[float, float]()
        threads = [
            threading.Thread(target=each.wait_for, args=(variant, seen), daemon=True) for each in watchers
        ]
        for thread in threads:
            thread.start()
        time.sleep(pause(0, 1))  # wherever in their intervals the clients are
        asked = time.perf_counter()
        _change(installation, {WHERE: (number, _serving(variant))})
        answered = time.perf_counter()
        for thread in threads:
            thread.join(timeout=60)
        for watcher, (since_answer, since_asked) in zip(watchers, times.values(), strict=True):
            since_answer.append(max(0.0, seen[watcher.interval] - answered))
            since_asked.append(seen[watcher.interval] - asked)
    for watcher in watchers:
        watcher.client.close()
    return times


def _serving(variant: str) -> dict[str, Any]:
    return {"enabled": True, "off": "off", "default": {"variant": variant}}


def _change(installation: Installation, wanted: dict[str, tuple[int, dict[str, Any]]]) -> None:
    """Ask for these documents, each made for a version, where nobody has to approve; they are applied at once."""
    status, answer = installation.api(
        "editor",
        "POST",
        "change-requests",
        {
            "project": "shop",
            "title": "Measured",
            "rationale": "To be measured.",
            "operations": [{"subject": subject, "after": after} for subject, (_, after) in wanted.items()],
            "base": {subject: version for subject, (version, _) in wanted.items()},
        },
    )
    if status != 201 or answer["state"] != "applied":
        raise RuntimeError(f"the change was not applied: {status} {answer}")


if __name__ == "__main__":
    main()
