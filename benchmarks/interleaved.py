"""Measuring several things against each other on a machine that has other things to do.

Each round runs every candidate once, in a random order, so that a slow moment of the machine hits all of
them alike. What is compared travels between machines as a ratio; a time does not.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Hashable, Mapping, Sequence
from timeit import Timer
from typing import Any, NamedTuple, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Call(NamedTuple):
    """An expression, and the objects that its names stand for: what is measured and what is checked are one.

    As text it is compiled into the measuring loop itself. A function around it would cost about 40 ns a call,
    most of what the fastest call here takes.
    """

    expression: str
    names: dict[str, Any]

    def timer(self) -> Timer:
        """What measures it; `timeit` switches the garbage collector off meanwhile, for everybody."""
        return Timer(self.expression, globals=self.names)

    def answer(self) -> Any:
        """What it answers, asked once."""
        return eval(self.expression, self.names)  # noqa: S307  # the text is this repository's own


def measure(
    candidates: Mapping[Name, Call] | Mapping[Name, Callable[[], object]],
    *,
    rounds: int,
    inner: int | None = None,
) -> dict[Name, list[float]]:
    """Seconds per call of each candidate, one number a round: the mean of `inner` calls in a row.

    Without `inner`, as many as take about a millisecond: few find the machine's caches cold, and few are
    interrupted.
    """
    timers = {
        name: candidate.timer() if isinstance(candidate, Call) else Timer(candidate)
        for name, candidate in candidates.items()
    }
    times: dict[Name, list[float]] = {name: [] for name in timers}
    order = list(timers)
    shuffle = random.Random(1).shuffle  # noqa: S311  (an order, not a secret)
    calls: dict[Name, int] = {}
    for name, timer in timers.items():
        timer.timeit(1)  # whatever is made at first use is made before the clock runs
        calls[name] = inner or max(1, round(0.001 / min(timer.repeat(5, 10)) * 10))
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            times[name].append(timers[name].timeit(calls[name]) / calls[name])
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
