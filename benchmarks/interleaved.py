"""Measuring several things against each other on a machine that has other things to do.

Each round runs every candidate once, in a random order, so that a slow moment of the machine hits all of
them alike. What is compared are medians over the rounds; a ratio travels between machines, a time does not.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Candidate = Callable[[], None]


def measure(candidates: Mapping[str, Candidate], *, rounds: int, inner: int) -> dict[str, list[float]]:
    """Seconds per call of each candidate, one number a round: the mean of `inner` calls in a row."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    shuffle = random.Random(1).shuffle  # noqa: S311  (an order, not a secret)
    for candidate in candidates.values():
        candidate()  # whatever is made at first use is made before the clock runs
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            candidate = candidates[name]
            started = time.perf_counter()
            for _ in range(inner):
                candidate()
            times[name].append((time.perf_counter() - started) / inner)
    return times


def table(title: str, times: Mapping[str, Sequence[float]], *, unit: str, baseline: str) -> str:
    """A table: median, spread (quartiles) and the ratio of medians to `baseline`. `unit`: ns, us or ms."""
    scale = {"ns": 1e9, "us": 1e6, "ms": 1e3}[unit]
    width = max(len(name) for name in times)
    base = statistics.median(times[baseline])
    lines = [title, f"  {'':{width}}  {'median':>10}  {'quartiles':>23}  {'ratio':>8}"]
    for name, seconds in times.items():
        low, median, high = (value * scale for value in statistics.quantiles(seconds, n=4))
        spread = f"{low:,.1f} to {high:,.1f}"
        lines.append(
            f"  {name:{width}}  {median:>7,.1f} {unit}  {spread:>23}  {median / scale / base:>7.2f}x"
        )
    return "\n".join(lines)
