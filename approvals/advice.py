"""What a reviewer should know about a change that nothing forbids: rules that never decide, users dealt anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from approvals.resulting import Resulting
from audit.jcs import canonical
from flags import wording
from flags.documents import Document, segments_named
from flags.models import Environment
from flags.subjects import Subject

Weights = Sequence[Sequence[Any]]  # `[variant or null, weight]`


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning about a member (a JSON pointer) of the document at a subject, and what one could do."""

    check: str
    subject: str
    member: str
    text: str
    next: str


def advice(state: Resulting, operations: Sequence[Mapping[str, Any]]) -> Iterator[Advice]:
    """The warnings about operations that take effect together. A few queries for each environment."""
    places = {each.key: each for each in state.environments}
    before = {operation["subject"]: _before(operation) for operation in operations}
    for operation in operations:
        subject = Subject.parse(operation["subject"])
        if subject.kind == "configuration":
            here, after = places[subject.environment], operation["after"]
            yield from _unreachable(str(subject), here, after)
            yield from _empty_segments(state, str(subject), here, after)
            yield from _re_dealt(str(subject), here, before[str(subject)], after)
            yield from _needs_what_is_off(state, str(subject), here, after)
        elif subject.kind == "segment" and is_empty(operation["after"]):
            yield Advice(
                "segment",
                str(subject),
                "",
                f"Segment {subject.key} would be empty: rules that name it match nobody.",
                "Include keys or add a rule, unless nobody is meant.",
            )


def _before(operation: Mapping[str, Any]) -> Document | None:
    before: Document | None = operation.get("before", (operation.get("before_any") or [None])[-1])
    return before


def _unreachable(subject: str, here: Environment, document: Document) -> Iterator[Advice]:
    always = ""
    decided: dict[bytes, str] = {}
    for index, rule in enumerate(document.get("rules", ())):
        constraints = sorted(canonical(each) for each in rule.get("constraints", ()))
        same = decided.get(b"\n".join(constraints), "")
        if always or same:
            because = (
                f"rule {always} before it holds for everyone"
                if always
                else f"rule {same} before it has the same constraints"
            )
            yield Advice(
                "unreachable-rule",
                subject,
                f"/rules/{index}",
                f"Rule {rule['id']} never decides in {here.name}: {because}.",
                "Move it up, or remove it.",
            )
        elif "variant" in rule["serve"]:  # a split may yield nothing, and the next rule decides
            decided[b"\n".join(constraints)] = rule["id"]
            always = rule["id"] if not constraints else ""


def is_empty(segment: Document) -> bool:
    """Whether a segment contains nobody, whoever asks."""
    return not segment.get("included") and not segment.get("rules")


def _empty_segments(
    state: Resulting, subject: str, here: Environment, document: Document
) -> Iterator[Advice]:
    names = segments_named(document)
    found = state.segments(names) if names else {}
    for name in sorted(names):
        if name in found and not is_empty(found[name].document):
            continue
        fault = "is empty" if name in found else "does not exist"
        rules = [
            rule["id"] for rule in document.get("rules", ()) if name in segments_named({"rules": [rule]})
        ]
        yield Advice(
            "segment",
            subject,
            "/rules",
            f"Segment {name} {fault}: it matches nobody ({_rules(rules)} in {here.name}).",
            f"Fill the segment {name}, or take it out of the rule.",
        )


def _rules(ids: Sequence[str]) -> str:
    return f"rule {ids[0]}" if len(ids) == 1 else f"rules {', '.join(ids)}"


def _re_dealt(subject: str, here: Environment, before: Document | None, after: Document) -> Iterator[Advice]:
    if before is None:
        return
    was = {rule["id"]: rule["serve"] for rule in before.get("rules", ())}
    pairs = [("/default", "the default", before["default"], after["default"])]
    for index, rule in enumerate(after.get("rules", ())):
        if rule["id"] in was:
            pairs.append((f"/rules/{index}/serve", f"rule {rule['id']}", was[rule["id"]], rule["serve"]))
    for member, where, old, new in pairs:
        if "split" not in old or "split" not in new:
            continue
        one, other = old["split"], new["split"]
        changed = [name for name in ("by", "seed", "hash") if one.get(name) != other.get(name)]
        share = moved(one["weights"], other["weights"], dealt_anew=bool(changed))
        if share == 0 or (not changed and only_first_grows(one["weights"], other["weights"])):
            continue
        why = f"its {' and '.join(changed)} changes" if changed else "its shares move"
        yield Advice(
            "re-deal",
            subject,
            f"{member}/split",
            f"{percent(share)} of those whom {where} decides in {here.name} get another variant: {why}.",
            "Only growing the first share keeps everybody else where they are."
            if not changed
            else f"Keep {' and '.join(changed)} as it is, unless everyone is to be dealt anew.",
        )


def moved(before: Weights, after: Weights, *, dealt_anew: bool = False) -> Fraction:
    """The share of units that get another variant, from the slices. A unit's place is even over 0 to 1.

    `dealt_anew`: the places after have nothing to do with those before.
    """
    if dealt_anew:
        old, new = _shares(before), _shares(after)
        return 1 - sum((share * new.get(name, Fraction()) for name, share in old.items()), Fraction())
    return sum((size for was, now, size in _overlaps(before, after) if was != now), Fraction())


def only_first_grows(before: Weights, after: Weights) -> bool:
    """Whether all who get another variant get the first one, as when a rollout goes on."""
    return all(now == after[0][0] for was, now, _ in _overlaps(before, after) if was != now)


def step_words(before: Weights, after: Weights) -> str:
    """What going from one split to the next does to people: `20 % newly get *on*; nobody else changes`."""
    share = moved(before, after)
    if share == 0:
        return "nobody's variant changes"
    if only_first_grows(before, after):
        return f"{percent(share)} newly get *{after[0][0]}*; nobody else changes"
    return f"{percent(share)} get another variant than before"


def _overlaps(before: Weights, after: Weights) -> Iterator[tuple[str | None, str | None, Fraction]]:
    """The parts of 0 to 1 in which both deals are even: what each gives there, and how large it is."""
    old, new = list(_slices(before)), list(_slices(after))
    place = Fraction()
    while old and new:
        end = min(old[0][0], new[0][0])
        yield old[0][1], new[0][1], end - place
        place = end
        old = old[1:] if old[0][0] == end else old
        new = new[1:] if new[0][0] == end else new


def _slices(weights: Weights) -> Iterator[tuple[Fraction, str | None]]:
    total, upto = sum(weight for _, weight in weights), 0
    for name, weight in weights:
        upto += weight
        if weight:
            yield Fraction(upto, total), name


def _shares(weights: Weights) -> dict[str | None, Fraction]:
    total = sum(weight for _, weight in weights)
    found: dict[str | None, Fraction] = {}
    for name, weight in weights:
        found[name] = found.get(name, Fraction()) + Fraction(weight, total)
    return found


def percent(share: Fraction) -> str:
    """`12.5 %`; of what rounds to nothing or to everything, that it does."""
    text = f"{float(share) * 100:.3f}".rstrip("0").rstrip(".")
    if text == "0" and share:
        return "Less than 0.001 %"
    return f"Nearly {text} %" if text == "100" and share != 1 else f"{text} %"


def _needs_what_is_off(
    state: Resulting, subject: str, here: Environment, document: Document
) -> Iterator[Advice]:
    needed = {each["flag"]: (index, each) for index, each in enumerate(document.get("prerequisites", ()))}
    if not needed or not wording.is_on(document):
        return
    rows = state.configurations(here, needed)
    for key, (index, each) in needed.items():
        row = rows.get(key)
        if row is not None and (wording.is_on(row.document) or row.document.get("off") in each["variants"]):
            continue
        fault = "is off" if row is not None else "has never been set"
        yield Advice(
            "prerequisite",
            subject,
            f"/prerequisites/{index}",
            f"{key}, which it needs, {fault} in {here.name}: everyone gets the off variant.",
            f"Turn {key} on there first, or in the same request.",
        )
