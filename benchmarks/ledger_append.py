"""What the ledger adds to a write: one row in a transaction, with and without events, on SQLite.

Run it with `make bench`; it works on a database of its own, which is thrown away. It asserts nothing about
time. SQLite waits for the disk at each commit, so the ratios depend on the disk as well.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.interleaved import measure, table

ROUNDS, INNER = 40, 3
BARE = "one row, no ledger"


def _set_up(directory: str) -> None:
    """Django on an empty SQLite database below `directory`; the installation that is there is not touched."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ.update(
        COUNTERSIGN_DATA=directory,
        DJANGO_SETTINGS_MODULE="config.settings",
        EMAIL_URL="dummymail://",
        LOG_LEVEL="ERROR",
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)


def _candidates() -> dict[str, Callable[[], None]]:
    from django.db import transaction

    from access.models import ServiceAccount, User
    from access.permissions import system_actor, user_actor
    from approvals import workflow
    from audit.recording import recording
    from flags import catalogue

    numbers = count()
    actor = system_actor("benchmark")

    def row() -> None:
        ServiceAccount.objects.create(name=f"account-{next(numbers)}")

    def bare() -> None:
        with transaction.atomic():
            row()

    def recorded(events: int) -> Callable[[], None]:
        def write() -> None:
            with recording(actor) as record:
                row()
                for _ in range(events):
                    record.event("benchmark.v1.row.written", data={"note": "as long as a usual one" * 5})

        return write

    root = User.objects.create(username="root", is_superuser=True)
    founder = user_actor(root, "cli")
    project = catalogue.create_project(founder, "shop", "Shop")
    catalogue.create_environment(founder, project, "development", {"name": "Development"})
    definition = {
        "name": "Banner",
        "type": "boolean",
        "variants": {"on": True, "off": False},
        "kind": "operational",
        "fail_safe": "off",
        "permanent_reason": "It is measured with.",
    }
    workflow.change(
        founder, project, [{"subject": "project/shop/flag/banner", "after": definition}], title="New flag"
    )

    documents = cycle(
        {"enabled": enabled, "off": "off", "default": {"variant": "on"}} for enabled in (True, False)
    )
    subject = "project/shop/environment/development/flag/banner"

    def change() -> None:
        workflow.change(founder, project, [{"subject": subject, "after": next(documents)}], title="Switch")

    return {
        BARE: bare,
        "one row, 1 event": recorded(1),
        "one row, 10 events": recorded(10),
        "a whole change through the gate": change,
    }


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        _set_up(directory)
        times = measure(_candidates(), rounds=ROUNDS, inner=INNER)
        from audit.models import Log

        size = Log.objects.get().size
    title = (
        f"\nLedger append, Python {platform.python_version()}, SQLite: {ROUNDS} interleaved rounds of "
        f"{INNER} transactions, time per transaction; {size:,} events at the end"
    )
    print(table(title, times, unit="ms", baseline=BARE))
    one, ten = (statistics.median(times[f"one row, {name}"]) for name in ("1 event", "10 events"))
    print(f"  each further event in the same transaction: {(ten - one) / 9 * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
