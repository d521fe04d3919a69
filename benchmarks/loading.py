"""What loading 10,000 flags costs, in time and memory, ours and the peers'.

Run it with `make bench`. Each load happens in a process of its own, by turns, so that nobody finds another's
memory; what counts is how much larger the process is afterwards, for a core in Rust does not ask Python for
memory. Nothing is asserted about time or memory.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import workload
from benchmarks.peers import Product

FLAGS, LOADS, GOAL = 10_000, 3, 0.4
KINDS = ("boolean", "split", "constraints", "rules")
PRODUCTS = {
    "countersign": "Countersign",
    "eppo": "Eppo",
    "growthbook": "Growthbook",
    "launchdarkly": "LaunchDarkly",
    "unleash": "Unleash",
}


def _product(name: str) -> type[Product]:
    found: type[Product] = getattr(import_module(f"benchmarks.peers.{name}"), PRODUCTS[name])
    return found


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def load(name: str, path: str) -> None:
    """In a process of its own: loads the file, and prints milliseconds of CPU and megabytes, as JSON."""
    product = _product(name)
    # One flag first, so that what a product makes once, threads and modules, is not counted.
    kept = [product(product.document(workload.many(1, KINDS)))]
    flags = list(workload.many(FLAGS, KINDS))
    gc.collect()
    before = _resident()
    started = time.process_time()
    document = Path(path).read_bytes()
    loaded = product(document)
    seconds = time.process_time() - started
    del document
    gc.collect()
    grown = _resident() - before
    started = time.process_time()
    answers = loaded.check_all(flags, [workload.UNIT], workload.ATTRIBUTES).answer()
    first = time.process_time() - started
    if len(answers) != FLAGS or answers[flags[0]] is not True:
        raise SystemExit(f"{name} does not answer for all {FLAGS:,} flags")
    kept.append(loaded)
    print(json.dumps([seconds * 1e3, grown / 1e6, first * 1e3, (_resident() - before) / 1e6]), flush=True)
    os._exit(0)  # without waiting for anybody's threads


def main() -> None:
    """Measure and print."""
    figures: dict[str, list[list[float]]] = {name: [] for name in PRODUCTS}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name in PRODUCTS:
            document = _product(name).document(workload.many(FLAGS, KINDS))
            sizes[name] = len(document)
            Path(directory, name).write_bytes(document)
        for _ in range(LOADS):
            for name in PRODUCTS:
                command = [sys.executable, __file__, name, str(Path(directory, name))]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
                figures[name].append(json.loads(out))
    best = {name: [min(column) for column in zip(*rows, strict=True)] for name, rows in figures.items()}
    print(
        f"\nLoading {FLAGS:,} flags, CPU time, Python {platform.python_version()}: the best of {LOADS} processes"
    )
    print(f"  {'':13}{'document':>12}{'load':>12}{'memory':>12}{'ask all once':>15}{'memory then':>14}")
    for name, (seconds, grown, first, asked) in best.items():
        row = f"  {name:13}{sizes[name] / 1e6:>9.1f} MB{seconds:>9.1f} ms{grown:>9.1f} MB"
        print(f"{row}{first:>12.1f} ms{asked:>11.1f} MB")
    ours = best.pop("countersign")
    for column, what in ((0, "time"), (1, "memory")):
        share = ours[column] / min(row[column] for row in best.values())
        verdict = "met" if share <= GOAL else "MISSED"
        print(f"  {what} to load, of the best peer's: {share:.2f}, goal {GOAL}: {verdict}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        load(sys.argv[1], sys.argv[2])
    else:
        main()
