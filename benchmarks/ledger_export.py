"""A large ledger: how long its export takes and how much memory, by the command that operators use.

    benchmarks/ledger_export.py [--events N] [--keep DIRECTORY]

The events are those of a busy installation (changes with approvals, kills with reviews, large documents,
names behind salted digests) and come from the real recording, many in a transaction. The database is one of
its own and is thrown away. `--keep` writes the bundle to `DIRECTORY`, and beside it `DIRECTORY.trust.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

EVENTS = 1_000_000
PROJECTS = ("shop", "bank", "travel", "games")
FLAGS = 250  # in each project
TRANSACTION = 1_000  # changes
_REQUEST = "approvals.v1.change_request"


def main() -> None:
    """Make the log, export it and print."""
    parser = argparse.ArgumentParser(description="Export a large ledger and measure it.")
    parser.add_argument("--events", type=int, default=EVENTS, help="about how many (default 1,000,000)")
    parser.add_argument("--keep", type=Path, help="where to write the bundle; must not exist yet")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        set_up(directory)
        started = time.perf_counter()
        size = fill(options.events)
        filled = time.perf_counter() - started
        bundle: Path = (options.keep or Path(directory) / "bundle").absolute()
        print(
            f"\nLedger export, Python {platform.python_version()}, SQLite, "
            f"{size:,} events (made in {filled:.0f} s)"
        )
        seconds, megabytes = export(bundle)
        length = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
        print(
            f"  whole log   {seconds:6.1f} s  {megabytes:5.0f} MB of memory  {length / 1e6:7,.0f} MB on disk"
        )
        if options.keep:
            write_trust(bundle.with_name(f"{bundle.name}.trust.json"))


def set_up(directory: str) -> None:
    """Django on an empty SQLite database below `directory`; the installation that is there is not touched."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ.update(
        COUNTERSIGN_DATA=directory,
        COUNTERSIGN_ORIGIN="flags.example.com",
        DJANGO_SETTINGS_MODULE="config.settings",
        EMAIL_URL="dummymail://",
        LOG_LEVEL="ERROR",
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)


def fill(events: int) -> int:
    """Append about so many events; returns the size of the log."""
    from audit.ledger import current_log
    from audit.recording import recording

    past = BusyPast()
    size = current_log().size
    while size < events:
        with recording(_person("author", 0)) as record:
            for _ in range(TRANSACTION):
                past.go_on(record)
                if size + len(record.pending) >= events:
                    break
        size = current_log().size
    return size


def export(bundle: Path) -> tuple[float, float]:
    """Seconds and megabytes (10^6 bytes, of the whole process at its largest) of `export_bundle`."""
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603  (our own command)
        [sys.executable, str(ROOT / "manage.py"), "export_bundle", str(bundle)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"export_bundle ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6


def write_trust(path: Path) -> None:
    """The trust file of an auditor of all that was made here: every production is reviewed."""
    from django.core.management import call_command

    with redirect_stdout(StringIO()) as out:
        call_command("ledger_trust")
    required = [f"project/{project}/environment/production/" for project in PROJECTS]
    path.write_text(json.dumps({**json.loads(out.getvalue()), "review_required": required}, indent=1))


class BusyPast:
    """What happens in an installation, one change or kill after the other, for ever; the same each time."""

    def __init__(self) -> None:
        self._choose = random.Random(1)  # noqa: S311  (not secret)
        self._number = 0
        self._standing: dict[str, Any] = {}
        self._versions: dict[str, int] = {}

    def go_on(self, record: Any) -> None:
        """Declare the events of the next change: four, or two of a kill."""
        self._number += 1
        project = self._choose.choice(PROJECTS)
        flag = f"flag-{self._choose.randrange(FLAGS):03d}"
        subject = f"project/{project}/environment/production/flag/{flag}"
        people = [_person(role, self._choose.randrange(40)) for role in ("author", "reviewer")]
        before = self._standing.get(subject)
        if self._number % 50 == 0 and before and not before.get("killed"):
            self._kill(record, people, subject, before)
        else:
            self._change(record, people, subject, before)

    def _kill(self, record: Any, people: list[Any], subject: str, before: dict[str, Any]) -> None:
        from audit.jcs import digest

        after = {**before, "killed": True}
        record.actor, reviewer = people
        kill = record.event("flags.v1.configuration.killed", subject, before=before, after=after)
        record.actor = reviewer
        review = {"event": str(kill.id), "digest": digest(kill.data)}
        record.event("approvals.v1.emergency.reviewed", data=review, project=kill.project)
        self._standing[subject] = after

    def _change(self, record: Any, people: list[Any], subject: str, before: Any) -> None:
        from audit import blobs
        from audit.jcs import digest

        type_, after = "flags.v1.configuration.updated", self._document(subject)
        id_, project = f"CR-{self._number}", subject.split("/")[1]
        change = {
            "id": id_,
            "title": "The next step of the roll-out in production",
            "rationale": "The last stage held for two days without an alert; support agrees.",
            "ticket": f"{project.upper()}-{self._number}",
            "required_approvals": 1,
            "base": {subject: self._versions.get(subject, 0)},
            "operations": [{"subject": subject, "type": type_, "before": before, "after": after}],
        }
        shown = blobs.event_change(change)
        if shown != change:
            blobs.keep_change(change)
        named = {"change_id": id_, "digest": digest(shown)}
        where = {"project": project, "change_id": id_}
        reference = {"change_request": {"id": id_, "digest": named["digest"], "operation": 0}}
        record.actor, reviewer = people
        record.event(f"{_REQUEST}.proposed", f"change/{id_}", {"change": shown}, **where)
        record.actor = reviewer
        record.event(f"{_REQUEST}.approved", f"change/{id_}", named, **where)
        record.event(type_, subject, reference, before=before, after=after, change_id=id_)
        record.event(f"{_REQUEST}.applied", f"change/{id_}", named, **where)
        self._standing[subject] = after
        self._versions[subject] = self._versions.get(subject, 0) + 1

    def _document(self, subject: str) -> dict[str, Any]:
        on = self._choose.randrange(101)
        split = {
            "by": "targetingKey",
            "seed": subject.rpartition("/")[2],
            "hash": "murmur3",
            "weights": [["on", on], ["off", 100 - on]],
        }
        document: dict[str, Any] = {"enabled": True, "off": "off", "default": {"split": split}}
        if self._number % 1_000 == 1:
            keys = sorted({f"user-{self._choose.randrange(10**6):06d}" for _ in range(1_000)})
            document["targets"] = {"on": keys}
        return document


@cache
def _person(role: str, number: int) -> Any:
    from audit.actor import Actor

    return Actor(f"user:{role}{number:02d}", "ui", "", {"name": f"{role.title()} Number {number}"})


if __name__ == "__main__":
    main()
