"""What flag checks cost, ours and the peers', side by side; and ours through OpenFeature's SDK.

Run it with `make bench`. Every product has the same flags in its memory and answers the same questions
through its own public API, by turns in one process; what is compared is the fastest round of each, which the
machine's other work disturbs least. Nothing is asserted about time, but that every answer is the right one.
"""

from __future__ import annotations

import platform
import sys
from itertools import cycle
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider.no_op_provider import NoOpProvider

from benchmarks import workload
from benchmarks.interleaved import Call, measure
from benchmarks.peers import Product
from benchmarks.peers.countersign import Countersign
from benchmarks.peers.eppo import Eppo
from benchmarks.peers.growthbook import Growthbook
from benchmarks.peers.launchdarkly import LaunchDarkly
from benchmarks.peers.unleash import Unleash
from countersign.openfeature import CountersignProvider

PRODUCTS: tuple[type[Product], ...] = (Countersign, Eppo, Growthbook, LaunchDarkly, Unleash)
ROUNDS, BULK_FLAGS, BULK_ROUNDS = 200, 500, 60
THROUGH_OPENFEATURE = 1.1
SPLIT_BY_TURNS = "50 % split, units by turns"
GOALS: dict[str, float | None] = {
    "boolean, the default": 0.10,
    "50 % split": 0.15,
    SPLIT_BY_TURNS: None,
    "1,000 targets, a hit": 0.08,
    "1,000 targets, a miss": 0.08,
    "five constraints, all hold": 0.6,
    "ten rules, the last holds": 0.4,
    "all of 500 flags": 0.3,
}
"""The share of the fastest peer's time that ours may take. Ours remembers the unit that a split was asked about
last, as a request asks several times; the row of units by turns, which has no goal, is without that. So is that of
all flags.
"""


def _checked(product: str, row: str, call: Call, expected: Any) -> Call:
    """The call, once it was seen to answer what was to be measured and no default of an error's."""
    answer = call.answer()
    if answer != expected:
        raise SystemExit(f"{product} answers {answer!r}, not {expected!r}: {row}")
    return call


def _check_calls() -> dict[tuple[str, str], Call]:
    calls: dict[tuple[str, str], Call] = {}
    for product in PRODUCTS:
        loaded = product(product.document(workload.KINDS))
        for row, (flag, unit, answer) in workload.CHECKS.items():
            if flag == "split":
                unit = _unit_in_the_half(loaded)
            call = loaded.check(flag, unit, workload.ATTRIBUTES, not answer)
            calls[row, product.name] = _checked(product.name, row, call, answer)
            if flag == "split":
                turns = loaded.check_by_turns(flag, workload.UNITS, workload.ATTRIBUTES, not answer)
                if not 400 < sum(turns.answer() for _ in workload.UNITS) < 600:
                    raise SystemExit(f"{product.name} has not half of the units in a 50 % split by turns")
                calls[SPLIT_BY_TURNS, product.name] = turns
    return calls


def _unit_in_the_half(loaded: Product) -> str:
    """A unit that the product's own hash has in its first half, and not one that an error leaves there."""
    on = [unit for unit in workload.UNITS if loaded.check("split", unit, workload.ATTRIBUTES, False).answer()]
    if not 400 < len(on) < 600:
        raise SystemExit(f"{loaded.name} has {len(on)} of 1,000 in a 50 % split")
    return on[0]


def _bulk_calls() -> dict[tuple[str, str], Call]:
    flags = workload.many(BULK_FLAGS, tuple(workload.KINDS))
    calls: dict[tuple[str, str], Call] = {}
    for product in PRODUCTS:
        loaded = product(product.document(flags))
        # Two units in the middle of the targets, so that a product that looks through them always has as far.
        units = workload.UNITS[500:502]
        call = loaded.check_all(list(flags), units, workload.ATTRIBUTES)
        # Whom a split takes is each product's own; all others are on.
        answers = {key: on for key, on in call.answer().items() if flags[key].default != "half"}
        if answers != {key: True for key, flag in flags.items() if flag.default != "half"}:
            raise SystemExit(f"{product.name} does not answer for all {BULK_FLAGS} flags")
        calls["all of 500 flags", product.name] = call
    return calls


def _values_by_turns_calls() -> dict[str, Call]:
    """Ours alone, asked with other values at every call: what nothing that is remembered makes quicker."""
    ours = Countersign(Countersign.document(workload.KINDS))
    contexts = [
        {
            **workload.ATTRIBUTES,
            "targetingKey": unit,
            "age": 18 + number % 80,
            "orders": 4 + number,
            "email_domain": f"shop-{number}.example.com",
        }
        for number, unit in enumerate(workload.UNITS)
    ]
    calls: dict[str, Call] = {}
    for row in ("five constraints, all hold", "ten rules, the last holds"):
        names = {"ask": ours.client.get_boolean_value, "contexts": cycle(contexts)}
        names |= {"flag": workload.CHECKS[row].flag}
        calls[row] = _checked("countersign", row, Call("ask(flag, False, next(contexts))", names), True)
    return calls


def _openfeature_calls() -> dict[str, Call]:
    ours = Countersign(Countersign.document(workload.KINDS))
    calls: dict[str, Call] = {}
    no_op, asked = NoOpProvider(), CountersignProvider(ours.client)
    for name, provider in (("no-op provider", no_op), ("ours", asked)):
        api.set_provider_and_wait(provider, name)  # a domain each, so that both serve side by side
    for row, (flag, unit, answer) in workload.CHECKS.items():
        context = EvaluationContext(unit, dict(workload.ATTRIBUTES))
        if flag == "split":
            context = EvaluationContext(_unit_in_the_half(ours), dict(workload.ATTRIBUTES))
        names = {"ask": api.get_client("ours").get_boolean_value, "context": context, "flag": flag}
        call = Call("ask(flag, default, context)", {**names, "default": not answer})
        calls[row] = _checked("CountersignProvider", row, call, answer)
    names = {"ask": api.get_client("no-op provider").get_boolean_value, "context": context}
    calls["no-op provider"] = Call("ask('boolean', False, context)", names)
    return calls


def _verdict(share: float, goal: float | None) -> str:
    if goal is None:
        return f"{share:>6.3f}"
    return f"{share:>6.3f} {goal:>6.2f}  {'met' if share <= goal else 'MISSED'}"


def _print_against_peers(title: str, best: dict[tuple[str, str], float], unit: str) -> None:
    scale = {"ns": 1e9, "µs": 1e6}[unit]
    names = [product.name for product in PRODUCTS]
    print(f"\n{title}, {unit}")
    print(f"  {'':27}{''.join(f'{name:>13}' for name in names)}   share   goal")
    for row in dict.fromkeys(row for row, _ in best):
        times = [best[row, name] for name in names]
        shown = "".join(f"{seconds * scale:>13,.0f}" for seconds in times)
        print(f"  {row:27}{shown}  {_verdict(times[0] / min(times[1:]), GOALS[row])}")


def main() -> None:
    """Measure and print."""
    mmh3 = "with mmh3" if "mmh3" in sys.modules else "without mmh3"
    print(f"Flag checks, Python {platform.python_version()}, {mmh3}; share: ours of the fastest peer's")
    times = measure(_check_calls(), rounds=ROUNDS)
    best = {name: min(values) for name, values in times.items()}
    _print_against_peers(f"One check, the fastest of {ROUNDS} rounds", best, "ns")
    bulk = measure(_bulk_calls(), rounds=BULK_ROUNDS, inner=1)
    best = {name: min(values) for name, values in bulk.items()}
    _print_against_peers(f"All flags for one context, the fastest of {BULK_ROUNDS}", best, "µs")
    print("\nOurs with other values at every call, ns")
    for row, values in measure(_values_by_turns_calls(), rounds=ROUNDS).items():
        print(f"  {row:27}{min(values) * 1e9:>13,.0f}")
    through = measure(_openfeature_calls(), rounds=ROUNDS)
    fastest = {name: min(values) for name, values in through.items()}
    no_op = fastest.pop("no-op provider")
    print(f"\nThrough openfeature-sdk, ns; share: of its no-op provider's {no_op * 1e9:,.0f} ns")
    for row, seconds in fastest.items():
        print(f"  {row:27}{seconds * 1e9:>13,.0f}  {_verdict(seconds / no_op, THROUGH_OPENFEATURE)}")
    api.shutdown()


if __name__ == "__main__":
    main()
