"""The flags and contexts that ours and every peer are asked about, in the words of no product.

Each product in `benchmarks.peers` writes them down in its own format.
"""

from __future__ import annotations

from typing import NamedTuple


class Condition(NamedTuple):
    """A test of one attribute; the values of an `in` are ORed, the other operators have one."""

    attribute: str
    operator: str  # in, ends_with, gt, gte
    values: tuple[str | int, ...]


class Flag(NamedTuple):
    """A boolean flag: on for its targets and for whom a rule matches; everyone else has its default."""

    default: str  # on, off, or half: a split, 50 % on
    targets: tuple[str, ...] = ()
    rules: tuple[tuple[Condition, ...], ...] = ()


class Check(NamedTuple):
    """What is asked, and what the answer must be: the other value is passed as the caller's default."""

    flag: str
    unit: str
    answer: bool


KINDS = {
    "boolean": Flag("on"),
    "split": Flag("half"),
    "targets": Flag("off", targets=tuple(f"customer-{number}" for number in range(1_000, 2_000))),
    "constraints": Flag(
        "off",
        rules=(
            (
                Condition("country", "in", ("SE", "NO", "DK")),
                Condition("plan", "in", ("gold", "platinum")),
                Condition("age", "gte", (18,)),
                Condition("email_domain", "ends_with", (".example.com",)),
                Condition("orders", "gt", (3,)),
            ),
        ),
    ),
    "rules": Flag(
        "off",
        # By turns of three attributes, so that it is not one lookup; the context matches the last.
        rules=(
            *(
                (Condition(("country", "plan", "email_domain")[number % 3], "in", (f"other-{number}",)),)
                for number in range(9)
            ),
            (Condition("country", "in", ("DK",)),),
        ),
    ),
}
ATTRIBUTES: dict[str, str | int] = {
    "country": "DK",
    "plan": "gold",
    "age": 30,
    "email_domain": "shop.example.com",
    "orders": 7,
}
UNIT = "customer-1500"
UNITS = [f"customer-{number}" for number in range(1_000, 2_000)]
CHECKS = {
    "boolean, the default": Check("boolean", UNIT, True),
    "50 % split": Check("split", UNIT, True),
    "1,000 targets, a hit": Check("targets", UNIT, True),
    "1,000 targets, a miss": Check("targets", "customer-2500", False),
    "five constraints, all hold": Check("constraints", UNIT, True),
    "ten rules, the last holds": Check("rules", UNIT, True),
}


def many(count: int, kinds: tuple[str, ...]) -> dict[str, Flag]:
    """So many flags, of the kinds by turns."""
    return {f"flag-{number:05}": KINDS[kinds[number % len(kinds)]] for number in range(count)}
