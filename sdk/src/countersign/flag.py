"""A flag's line, read once into predicates and ready-made results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from countersign.bucketing import Split, read_serve
from countersign.constraints import (
    Conditions,
    Scope,
    TextCondition,
    by_conditions,
    conjunction,
    read_conditions,
)
from countersign.context import Context, Predicate, number_of, text_of
from countersign.members import (
    KEY_HINT,
    KEY_PATTERN,
    DocumentError,
    Members,
    integer,
    shown,
    step,
    targeting_keys,
)
from countersign.result import Check, Decider, Lookup, Result, always

TYPES = ("boolean", "string", "integer", "float", "object")
FAIL_SAFES = ("off", "last_known_good")

T = TypeVar("T")

Chooser = Callable[[Context, object], "Result | None"]


class Rule(NamedTuple):
    """A rule: its constraints, and either ``result`` or ``split`` is what it serves."""

    conditions: Conditions
    result: Result | None
    split: Chooser | None


_MEMBERS = frozenset(
    {
        "type", "version", "change", "variants", "off", "enabled", "killed", "regions", "prerequisites",
        "targets", "rules", "default", "fail_safe", "client_side",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Prerequisite:
    """Another flag, the variants of it that let this flag go on, and what this one answers for others."""

    flag: str
    variants: frozenset[str]
    unmet: Result


@dataclass(frozen=True)
class Flag:
    """A flag that was read. Its results are made once, and shared by all evaluations."""

    key: str
    type: str
    client_side: bool
    fail_safe: str
    variants: frozenset[str]
    metadata: Mapping[str, Any]
    shut: Result | None
    """Rows 1 and 2, where they hold for every context."""
    closed_regions: Mapping[str | None, Result]
    """Row 2, by the region where it holds."""
    prerequisites: tuple[Prerequisite, ...]
    off: Callable[[str, str], Result]
    """The off variant with a reason and a cause."""
    serve: Check
    """Rows 4 to 7: targets, rules and the default."""


@dataclass(frozen=True)
class BrokenFlag:
    """A flag whose line cannot be read: everyone gets this error, and other flags are served."""

    key: str
    error: Result


def read_flag(key: str, value: object, at: str, scope: Scope, *, snapshot_version: int = 0) -> Flag:
    """Reads a flag document at the path ``at``. Raises DocumentError naming the member at fault."""
    if KEY_PATTERN.match(key) is None:
        raise DocumentError(at or "key", f"{shown(key)} is not a key; {KEY_HINT}")
    strict = scope.strict
    members = Members(value, at, _MEMBERS, strict=strict, name="flag")
    kind = _one_of(members, "type", TYPES)
    version = members.count("version")
    metadata: dict[str, Any] = {"flag_version": version, "snapshot_version": snapshot_version}
    change = members.text_or_null("change")
    if change is not None:
        metadata["change"] = change
    values = _variants(members, kind)
    off = members.text_or_null("off")
    if off is not None:
        _known_variant(off, values, members.path("off"))
    enabled, killed = members.boolean("enabled"), members.boolean("killed", False)
    regions = members.mapping("regions", {})
    for name in regions:
        if type(regions[name]) is not bool:
            raise DocumentError(f"{members.path('regions')}.{step(name)}", "is not true or false")

    def result(variant: str | None, reason: str, cause: str, **more: str) -> Result:
        value = None if variant is None else values[variant]
        told = MappingProxyType({"cause": cause, **more, **metadata})
        return Result(value, variant, reason, None, None, told)

    def slices(split: Split, cause: str, **more: str) -> tuple[Result | None, ...]:
        made = {name: result(name, "SPLIT", cause, **more) for name in split.variants if name is not None}
        return tuple(None if name is None else made[name] for name in split.variants)

    def read(owner: Members, name: str, *, nulls: bool) -> str | Split:
        at = owner.path(name)
        return read_serve(owner.take(name), at, flag_key=key, variants=values, nulls=nulls, strict=strict)

    targets: dict[str | None, Result] = {}
    for variant, keys in _targets(members, values, strict=strict).items():
        targets |= dict.fromkeys(keys, result(variant, "TARGETING_MATCH", "target"))
    targets.pop("", None)  # the empty targeting key is listed nowhere
    rules: list[Rule] = []
    ids: set[str] = set()
    for position, rule in enumerate(members.sequence("rules", [])):
        here = f"{members.path('rules')}[{position}]"
        rule_members = Members(rule, here, frozenset({"id", "constraints", "serve"}), strict=strict)
        rule_id = rule_members.text("id")
        if rule_id in ids:
            raise DocumentError(f"{here}.id", f"{shown(rule_id)} is the id of an earlier rule; give another")
        ids.add(rule_id)
        conditions = read_conditions(rule_members.sequence("constraints", []), f"{here}.constraints", scope)
        served = read(rule_members, "serve", nulls=True)
        if isinstance(served, Split):
            choose = served.chooser(served.dealer(slices(served, "rule", rule=rule_id), None), None)
            rules.append(Rule(conditions, None, choose))
        else:
            one = result(served, "TARGETING_MATCH", "rule", rule=rule_id)
            rules.append(Rule(conditions, one, None))
    serve_off = partial(result, off)
    prerequisites = _prerequisites(members, serve_off, strict=strict)
    varies = bool(members.take("targets", {}) or rules or prerequisites or regions)
    default = read(members, "default", nulls=False)
    if isinstance(default, Split):
        unbucketed = result(off, "DEFAULT", "default")
        # A default has no null slices, so that nothing is filtered out but their type.
        dealt: tuple[Result, ...] = tuple(filter(None, slices(default, "default")))
        dealer = default.dealer(dealt, unbucketed)
        lookup = Lookup(default.by, dealer.known, dealer.deal)
        serve = Check(None, default.chooser(dealer, unbucketed), lookup)
    else:
        serve = always(result(default, "DEFAULT" if varies else "STATIC", "default"))
    if rules:
        serve = Check(None, _by_rules(rules, serve) if len(rules) > 1 else _by_one_rule(rules[0], serve))
    if targets:
        serve = _by_target(targets, serve)
    shut = None
    if killed or not enabled:
        shut = serve_off("DISABLED", "killed" if killed else "disabled")
    closed: dict[str | None, Result] = {}
    if not all(regions.values()):
        region_off = serve_off("DISABLED", "region")
        closed = {name: region_off for name, is_open in regions.items() if not is_open}
    return Flag(
        key=key,
        type=kind,
        client_side=members.boolean("client_side", False),
        fail_safe=_one_of(members, "fail_safe", FAIL_SAFES),
        variants=frozenset(values),
        metadata=MappingProxyType(metadata),
        shut=shut,
        closed_regions=closed,
        prerequisites=prerequisites,
        off=serve_off,
        serve=serve,
    )


def _by_target(targets: Mapping[str | None, Result], otherwise: Check) -> Check:
    """Row 4; what is not decided here is decided by ``otherwise``."""
    settled, decide_otherwise = otherwise.settled, otherwise.decide

    def decide(context: Context, region: object) -> Result:
        key = context.get("targetingKey")
        if type(key) is not str:
            key = text_of(key)  # or None, which is listed nowhere
        target = targets.get(key, settled)
        return decide_otherwise(context, region) if target is None else target

    def decide_unlisted(text: str, context: Context) -> Result:
        return decide_otherwise(context, None) if settled is None else settled

    return Check(None, decide, Lookup("targetingKey", targets, decide_unlisted))


def _by_one_rule(rule: Rule, otherwise: Check) -> Decider:
    """Row 5 with a single rule, without the bits of ``_by_rules``: a fifth less."""
    result, split = rule.result, rule.split
    settled, decide_otherwise = otherwise.settled, otherwise.decide
    if result is not None and settled is not None:
        return by_conditions(rule.conditions, result, settled)
    holds = conjunction(rule.conditions)

    def decide(context: Context, region: object) -> Result:
        if holds is None or holds(context):
            chosen = result if split is None else split(context, region)
            if chosen is not None:
                return chosen
        return decide_otherwise(context, region) if settled is None else settled

    return decide


RULES_AT_A_TIME = 30
"""As many as have a bit in an integer of one digit, with which CPython reckons fastest."""


def _by_rules(rules: Sequence[Rule], otherwise: Check) -> Decider:
    """Row 5; what is not decided here is decided by ``otherwise``."""
    settled, decide_otherwise = otherwise.settled, otherwise.decide
    if len(rules) <= RULES_AT_A_TIME:
        return _by_few_rules(rules, settled, decide_otherwise)
    parts = tuple(
        _by_few_rules(rules[at : at + RULES_AT_A_TIME], None, lambda context, region: None)
        for at in range(0, len(rules), RULES_AT_A_TIME)
    )

    def decide(context: Context, region: object) -> Result:
        for part in parts:
            chosen = part(context, region)
            if chosen is not None:
                return chosen
        return decide_otherwise(context, region) if settled is None else settled

    return decide


def _by_few_rules(
    rules: Sequence[Rule], settled: Result | None, decide_otherwise: Callable[[Context, object], T]
) -> Callable[[Context, object], Result | T]:
    """The rules that can hold are found by one lookup for each attribute that leads to rules, and only they are
    called: of ten rules of three attributes that takes about a quarter of the time of a call each.

    Each rule is known by a bit, the first by the highest, so that the length of the bits that are left leads to
    the first rule that is still possible.
    """
    always_possible, lookups, holding = _indexed(rules)
    if not always_possible and not any(holding) and not any(rule.split for rule in rules):
        return _by_first(lookups, [rule.result for rule in reversed(rules)], settled, decide_otherwise)
    from_end: tuple[tuple[Predicate | None, Result | None, Chooser | None], ...] = (
        (None, None, None),  # no bit has this length
        *((holds, rule.result, rule.split) for holds, rule in zip(holding, reversed(rules), strict=True)),
    )

    def decide(context: Context, region: object) -> Result | T:
        bits = always_possible
        for attribute, bits_of in lookups:
            value = context.get(attribute)
            if type(value) is not str:
                value = text_of(value)  # or None, which leads nowhere
            if value in bits_of:
                bits = bits | bits_of[value] if bits else bits_of[value]
        while bits:
            holds, result, split = from_end[bits.bit_length()]
            if holds is None or holds(context):
                chosen = result if split is None else split(context, region)
                if chosen is not None:
                    return chosen
            bits ^= 1 << bits.bit_length() - 1
        return decide_otherwise(context, region) if settled is None else settled

    return decide


def _by_first(
    lookups: tuple[tuple[str, dict[str | None, int]], ...],
    from_end: list[Result | None],
    settled: Result | None,
    decide_otherwise: Callable[[Context, object], T],
) -> Callable[[Context, object], Result | T]:
    """Rules that hold wherever a lookup leads to them, and serve one variant: no other than the first is asked.

    ``from_end``: what they serve, the last first; the place 0 is before it, and stands for no rule.
    """
    places = tuple(
        (attribute, {text: bits.bit_length() for text, bits in bits_of.items()})
        for attribute, bits_of in lookups
    )
    results = (settled, *from_end)

    def decide(context: Context, region: object) -> Result | T:
        first = 0
        for attribute, place_of in places:
            value = context.get(attribute)
            if type(value) is not str:
                value = text_of(value)
            if value in place_of:
                place = place_of[value]
                if place > first:
                    first = place
        result = results[first]
        return decide_otherwise(context, region) if result is None else result

    return decide


def _indexed(
    rules: Sequence[Rule],
) -> tuple[int, tuple[tuple[str, dict[str | None, int]], ...], list[Predicate | None]]:
    """The bits of the rules that no lookup leads to; for each attribute that leads to rules, from its value to their
    bits; and what is left to ask about each rule, the last rule first.

    A rule is led to by a constraint that nothing but some strings satisfies: the one whose strings lead to the fewest
    other rules, for each rule that is led to is asked, and then on the attribute that has such constraints in most
    rules, for each attribute costs a lookup.
    """
    gates = [[each for each in rule.conditions.texts if each.only_texts] for rule in rules]
    rules_with = Counter(gate.attribute for each in gates for gate in each)
    rules_led_to = Counter((gate.attribute, text) for each in gates for gate in each for text in gate.texts)

    def worth(gate: TextCondition) -> tuple[int, int]:
        return max(rules_led_to[gate.attribute, text] for text in gate.texts), -rules_with[gate.attribute]

    others = 0
    bits_of: dict[str, dict[str | None, int]] = {}
    holding: list[Predicate | None] = []
    for place, (rule, leads) in enumerate(zip(reversed(rules), reversed(gates), strict=True)):
        if not leads:
            others |= 1 << place
            holding.append(conjunction(rule.conditions))
            continue
        lead = min(leads, key=worth)
        for text in lead.texts:
            of_attribute = bits_of.setdefault(lead.attribute, {})
            of_attribute[text] = of_attribute.get(text, 0) | 1 << place
        rest = tuple(each for each in rule.conditions.texts if each is not lead)
        holding.append(conjunction(rule.conditions._replace(texts=rest)))
    return others, tuple(bits_of.items()), holding


def broken_flag(key: str, value: object, error: DocumentError, *, snapshot_version: int) -> BrokenFlag:
    """What a flag answers whose line breaks the page, with version and change where they can be read."""
    metadata: dict[str, Any] = {"snapshot_version": snapshot_version}
    if isinstance(value, dict):
        version, change = integer(value.get("version")), value.get("change")
        if version is not None:
            metadata["flag_version"] = version
        if type(change) is str:
            metadata["change"] = change
    message = f"flag {shown(key)} cannot be read: {error}; other flags are served, publish this one again"
    return BrokenFlag(key, Result(None, None, "ERROR", "PARSE_ERROR", message, MappingProxyType(metadata)))


def _one_of(members: Members, name: str, known: tuple[str, ...]) -> str:
    value = members.text(name)
    if value not in known:
        raise DocumentError(members.path(name), f"{shown(value)} is not known; known are {', '.join(known)}")
    return value


def _known_variant(name: object, values: Mapping[str, Any], at: str) -> None:
    if type(name) is not str or name not in values:
        raise DocumentError(at, f"{shown(name)} is no variant of this flag; it has {', '.join(values)}")


def _variants(members: Members, kind: str) -> dict[str, Any]:
    variants = members.mapping("variants")
    if not variants:
        raise DocumentError(members.path("variants"), "is empty; a flag has at least one variant")
    values: dict[str, Any] = {}
    for name, value in variants.items():
        here = f"{members.path('variants')}.{step(name)}"
        if KEY_PATTERN.match(name) is None:
            raise DocumentError(here, f"{shown(name)} is not a key; {KEY_HINT}")
        values[name] = _value(value, kind, here)
    return values


def _value(value: Any, kind: str, at: str) -> Any:
    """The value of a variant as its type has it: 3 is 3.0 where the flag is a float."""
    if kind == "integer":
        whole = integer(value)
        if whole is not None:
            return whole
    elif kind == "float":
        number = number_of(value)
        if number is not None:
            return float(number) + 0.0  # -0 is 0
    elif type(value) is {"boolean": bool, "string": str, "object": dict}[kind]:
        return value
    raise DocumentError(at, f"is {shown(value)}, not a value of type {kind}")


def _targets(members: Members, values: Mapping[str, Any], *, strict: bool) -> dict[str, list[str]]:
    targets = members.mapping("targets", {})
    owner: dict[str, str] = {}
    for variant, keys in targets.items():
        here = f"{members.path('targets')}.{step(variant)}"
        _known_variant(variant, values, here)
        for position, key in enumerate(targeting_keys(keys, here, strict=strict)):
            if key in owner:
                raise DocumentError(f"{here}[{position}]", f"{shown(key)} is listed for {owner[key]!r} too")
            owner[key] = variant
        if not keys:
            raise DocumentError(here, "is empty; leave the variant out")
    return targets


def _prerequisites(
    members: Members, off: Callable[[str, str], Result], *, strict: bool
) -> tuple[Prerequisite, ...]:
    values = members.sequence("prerequisites", [])
    if not values:
        return ()
    unmet = off("DISABLED", "prerequisite")
    prerequisites: list[Prerequisite] = []
    for position, value in enumerate(values):
        here = f"{members.path('prerequisites')}[{position}]"
        item = Members(value, here, frozenset({"flag", "variants"}), strict=strict)
        variants = item.sequence("variants")
        if not variants:
            raise DocumentError(f"{here}.variants", "is empty; name the variants that let this flag go on")
        for index, variant in enumerate(variants):
            if type(variant) is not str or not variant:
                raise DocumentError(f"{here}.variants[{index}]", f"is {shown(variant)}, not a variant's name")
        prerequisites.append(Prerequisite(item.text("flag"), frozenset(variants), unmet))
    return tuple(prerequisites)
