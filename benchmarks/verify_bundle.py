"""What `countersign verify` takes for a large bundle: seconds of processors and of clock, microseconds an event, peak
memory, each of its two processes together.

    .venv/bin/python benchmarks/verify_bundle.py                    a bundle made here, of 50,000 events
    .venv/bin/python benchmarks/verify_bundle.py 1000000            of as many events as you say
    .venv/bin/python benchmarks/verify_bundle.py BUNDLE TRUST_FILE  one that is there

The bundle made here has what an export of ours has: for each change a proposal, an approval, the change of a
configuration and a record, each with a name that is disclosed. It asserts nothing about time; the processors'
seconds say more than the clock's on a machine that has other things to do.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sdk" / "tests" / "bundle"))

from bundle_writer import Ledger, b64, change, jcs, operation, salted, seal

FLAGS = 1_000
MEASURED = """
import contextlib, io, json, resource, sys, time
from countersign.cli import main
started, out = time.perf_counter(), io.StringIO()
with contextlib.redirect_stdout(out):
    main(["verify", "--json", *sys.argv[1:]])
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
(bundle,) = json.loads(out.getvalue())["bundles"]
print(json.dumps([
    bundle["size"] - bundle["first"],
    time.perf_counter() - started,
    sum(each.ru_utime + each.ru_stime for each in used),
    sum(each.ru_maxrss for each in used) // (2**20 if sys.platform == "darwin" else 2**10),
]))
"""


class LongLedger(Ledger):
    """A log of more than a day: an event a second."""

    def time(self, index: int) -> str:
        moment = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=index)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


class Roots:
    """The root over the lines so far, by keeping the roots of its perfect subtrees."""

    def __init__(self) -> None:
        self.subtrees: list[bytes] = []
        self.size = 0

    def add(self, line: bytes) -> None:
        node, merges = hashlib.sha256(b"\x00" + line).digest(), self.size
        while merges & 1:
            node = hashlib.sha256(b"\x01" + self.subtrees.pop() + node).digest()
            merges >>= 1
        self.subtrees.append(node)
        self.size += 1

    def root(self) -> bytes:
        root = self.subtrees[-1]
        for subtree in reversed(self.subtrees[:-1]):
            root = hashlib.sha256(b"\x01" + subtree + root).digest()
        return root


def make(directory: Path, events: int) -> tuple[Path, Path]:
    """Write a bundle of about this many events and the trust file for it."""
    bundle, roots, ledger = directory / "bundle", Roots(), LongLedger()
    bundle.mkdir()
    documents: dict[str, object] = {}
    salt, closed = salted("name", "Alice Example")
    with (
        (bundle / "entries.ndjson").open("wb") as entries,
        (bundle / "disclosures.ndjson").open("wb") as disclosed,
    ):

        def flush() -> None:
            for line, event in zip(ledger.lines[-4:], ledger.events[-4:], strict=True):
                entries.write(line + b"\n")
                roots.add(line)
                if "personal" in event["data"]:
                    index = int(event["sequence"])
                    disclosed.write(
                        jcs({"index": index, "name": "name", "salt": salt, "value": "Alice Example"}) + b"\n"
                    )
                # The writer only counts its lines from here on: a million of them would fill the memory.
            ledger.lines[-4:] = [b""] * 4
            ledger.events.clear()

        entries.write(ledger.lines[0] + b"\n")
        roots.add(ledger.lines[0])
        person = {"personal": {"name": closed}}
        for number in range(events // 4):
            subject = f"project/shop/environment/production/flag/flag-{number % FLAGS}"
            after = {
                "default": {
                    "split": {
                        "by": "targetingKey",
                        "hash": "murmur3",
                        "seed": subject[-8:],
                        "weights": [["on", number % 100], ["off", 100 - number % 100]],
                    }
                },
                "enabled": True,
                "off": "off",
            }
            step = operation(documents.get(subject), after, subject=subject)
            plan = change(
                f"CR-{number}", step, base={subject: number // FLAGS}, rationale="The last stage held."
            )
            ledger.propose(plan, "user:author", **person)
            ledger.review("approved", "user:reviewer", plan, **person)
            ledger.carry_out(plan, **person)
            ledger.review("applied", "user:reviewer", plan, **person)
            documents[subject] = after
            flush()
    text = f"{ledger.origin}\n{roots.size}\n{b64(roots.root())}\n"
    (bundle / "checkpoint").write_text(text + "\n" + ledger.key.line(text), encoding="utf-8")
    seal(bundle, ledger.key, ledger.origin, size=roots.size, first=0, withheld=0)
    trust = directory / "trust.json"
    members = {
        "origin": ledger.origin,
        "log": [ledger.key.vkey],
        "accept_log_vouched": True,
        "review_required": ["project/shop/environment/production/"],
    }
    trust.write_text(json.dumps(members))
    return bundle, trust


def measure(bundle: Path, trust: Path) -> None:
    """Print one line for the integrity alone and one for everything, each in a process of its own."""
    size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    print(f"Python {platform.python_version()}, a bundle of {size / 1e6:,.0f} MB")
    for what, options in (("integrity", ["--integrity-only"]), ("everything", [])):
        command = [sys.executable, "-c", MEASURED, str(bundle), "--trust", str(trust), *options]
        events, clock, processor, memory = json.loads(
            subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603 (our own)
        )
        print(
            f"  {what:10}  {events:>9,} events  {processor:6.2f} s of processors  {clock:6.2f} s of clock"
            f"  {processor / events * 1e6:5.1f} µs/event  {memory:>4} MB at most"
        )


def main() -> None:
    """Measure the bundle that the arguments name, or one made here."""
    if len(sys.argv) == 3:
        measure(Path(sys.argv[1]), Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as directory:
        measure(*make(Path(directory), int(sys.argv[1]) if len(sys.argv) == 2 else 50_000))


if __name__ == "__main__":
    main()
