"""A configuration in words, as people say it: for the flag list, reviews, mails and reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]


def percent(part: int, total: int) -> str:
    """`12.5 %`, to a thousandth of a percent."""
    text = f"{100 * part / total:.3f}".rstrip("0").rstrip(".")
    return f"{text} %"


def duration(seconds: int) -> str:
    """A duration in words: `2 d`, `90 min`, `45 s`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def share(serve: Mapping[str, Any], variant: str | None = None) -> str:
    """`*on*`, or `25 % *on*, 75 % *off*` for a split."""
    if "variant" in serve:
        return f"*{serve['variant']}*"
    weights = serve["split"]["weights"]
    total = sum(weight for _, weight in weights)
    parts = [f"{percent(weight, total)} *{name}*" for name, weight in weights if name is not None and weight]
    return ", ".join(parts) or "nothing"


def rollout_share(document: Document | None) -> tuple[str, str] | None:
    """`("25 %", "on")` for a default that splits, by its first slice; None where it does not."""
    if not document or not document.get("enabled") or "split" not in document.get("default", {}):
        return None
    weights = document["default"]["split"]["weights"]
    total = sum(weight for _, weight in weights)
    variant, weight = weights[0]
    return percent(weight, total), str(variant)


def is_on(document: Document | None) -> bool:
    """Whether the flag is switched on here: enabled and not killed."""
    return bool(document and document.get("enabled") and not document.get("killed"))


def constraint_words(constraint: Mapping[str, Any]) -> str:
    """One constraint: `country is one of DE, AT`."""
    operator, attribute = constraint["operator"], constraint["attribute"]
    values = ", ".join(str(value) for value in constraint.get("values", ())[:5])
    more = len(constraint.get("values", ())) - 5
    if more > 0:
        values += f" and {more} more"
    words = {
        "in": "is one of",
        "contains": "contains",
        "starts_with": "starts with",
        "ends_with": "ends with",
        "gt": ">",
        "gte": "≥",
        "lt": "<",
        "lte": "≤",
        "exists": "is present",
        "in_segment": "segment",
        "includes": "includes",
        "ip_in": "is in network",
        "before": "is before",
        "after": "is after",
    }
    word = words.get(operator, operator.replace("_", " "))
    text = f"{word} {values}" if operator == "in_segment" else f"{attribute} {word} {values}".strip()
    return f"not ({text})" if constraint.get("negate") else text


def who(constraints: Sequence[Mapping[str, Any]]) -> str:
    """Whom a rule is about: `segment beta whose country is one of DE but not those whose plan is one of free`."""
    segments: list[str] = []
    others: list[str] = []
    excepted: list[str] = []
    for each in constraints:
        words = constraint_words({name: value for name, value in each.items() if name != "negate"})
        is_segment = each["operator"] == "in_segment"
        if each.get("negate"):
            excepted.append(words if is_segment else f"those whose {words}")
        else:
            (segments if is_segment else others).append(words)
    found = " within ".join(segments)
    if others:
        found = f"{found or 'those'} whose {' and '.join(others)}"
    if excepted:
        found = f"{found or 'everyone'} but not {' nor '.join(excepted)}"
    return found or "everyone"


def rule(entry: Mapping[str, Any]) -> str:
    """`segment beta-testers get *on*`."""
    return f"{who(entry.get('constraints', ()))} get {share(entry['serve'])}"


def off_value(document: Document) -> str:
    """What everyone gets where the flag is off or killed."""
    return f"*{document['off']}*" if document.get("off") else "the caller's default"


def needed(document: Document) -> list[str]:
    """The prerequisites, each as `checkout serves *on* or *blue*`."""
    return [
        f"{entry['flag']} serves {' or '.join(f'*{name}*' for name in entry['variants'])}"
        for entry in document.get("prerequisites") or ()
    ]


def regions_off(document: Document) -> list[str]:
    """The regions in which it is switched off, in order."""
    return [name for name, on in sorted((document.get("regions") or {}).items()) if not on]


@dataclass(frozen=True, slots=True)
class _Part:
    """Some who get a variant. `step`: which of the evaluation's steps says so."""

    step: int
    what: str
    who: str
    # A part of those whom the step decides about: the others are decided about too, by being left out.
    is_share: bool = False
    is_rest: bool = False


def summary(document: Document | None, most: int | None = None) -> str:
    """What is served to whom, in one sentence: `*on* for segment beta and 25 % of everyone else; off in eu`.

    Whoever is not named gets what everyone gets where the flag is off. `most`: of the rules, so many are told
    one by one, and the others are counted.
    """
    if document is None:
        return "not configured yet: callers get their own default"
    if document.get("killed"):
        return f"killed: everyone gets {off_value(document)}"
    if not document.get("enabled"):
        more = "" if document.get("off") == "off" else f": they get {off_value(document)}"
        return f"off for everyone{more}"
    parts = _parts(document, most)
    if {part.what for part in parts} == {off_value(document)}:
        told = [f"switched on, but {off_value(document)} for everyone"]
    else:
        told = _told(parts)
    if regions := regions_off(document):
        told.append(f"off in {', '.join(regions)}")
    if conditions := needed(document):
        told.append(f"only while {' and '.join(conditions)}")
    return "; ".join(told)


def _parts(document: Document, most: int | None) -> list[_Part]:
    """Who gets what, in the order in which it is decided; without those who get what off gives anyway."""
    found = [
        _Part(0, f"*{variant}*", f"{len(keys)} by name")
        for variant, keys in sorted((document.get("targets") or {}).items())
        if keys
    ]
    rules = document.get("rules") or []
    told = rules if most is None else rules[:most]
    for step, entry in enumerate(told, start=1):
        whom = who(entry.get("constraints", ()))
        if whom == "everyone" and found:
            whom = "everyone else"
        found += _served(step, entry["serve"], whom, document)
        if whom in ("everyone", "everyone else") and "variant" in entry["serve"]:
            return found  # what comes after it decides nothing
    if left := len(rules) - len(told):
        what = f"{left} more {'rule' if left == 1 else 'rules'}"
        found.append(_Part(len(rules), what, ""))
    rest = "everyone else" if found else "everyone"
    return found + _served(len(rules) + 1, document["default"], rest, document, is_rest=True)


def _served(
    step: int, serve: Mapping[str, Any], whom: str, document: Document, *, is_rest: bool = False
) -> list[_Part]:
    if "variant" in serve:
        return [_Part(step, f"*{serve['variant']}*", whom, is_rest=is_rest)]
    weights = [(name, weight) for name, weight in serve["split"]["weights"] if weight]
    total = sum(weight for _, weight in weights)
    off = off_value(document)
    # A slice without a variant: a rule leaves it to the rules after it, the default to what off gives.
    slices = [
        (off if name is None else f"*{name}*", weight)
        for name, weight in weights
        if is_rest or name is not None
    ]
    told = [each for each in slices if each[0] != off] or slices
    if len(told) == 1 and told[0][1] == total:
        return [_Part(step, told[0][0], whom, is_rest=is_rest)]
    decides = is_rest or all(name is not None for name, _ in weights)
    if len(told) == 1:
        share_of = f"{percent(told[0][1], total)} of {whom}"
        return [_Part(step, told[0][0], share_of, decides, is_rest)]
    what = ", ".join(f"{percent(weight, total)} {name}" for name, weight in told)
    return [_Part(step, what, whom, decides, is_rest)]


def _told(parts: Sequence[_Part]) -> list[str]:
    """`*on* for segment beta and 25 % of everyone else`, then the next variant; in order, as the first decides."""
    groups: list[list[_Part]] = []
    for part in parts:
        before = groups[-1][-1] if groups else None
        joins = before is not None and before.what == part.what and (part.is_rest or not before.is_share)
        if joins:
            groups[-1].append(part)
        else:
            groups.append([part])
    told = []
    for index, group in enumerate(groups):
        first = group[0]
        follows = index > 0 and first.step != groups[index - 1][-1].step and not first.is_rest
        text = f"{first.what} for {_listed([part.who for part in group])}" if first.who else first.what
        told.append(f"then {text}" if follows else text)
    return told


def _listed(items: Sequence[str]) -> str:
    """`a, b and c`; with another comma where an item has words of its own that could be taken for the list's."""
    if len(items) == 1:
        return items[0]
    joint = ", and " if any("," in item or " and " in item for item in items) else " and "
    return f"{', '.join(items[:-1])}{joint}{items[-1]}"


def effects(where: str, before: Document | None, after: Document | None) -> list[str]:
    """What a change of a configuration does, one sentence each, as in
    `Production: 5 % → 25 % of everyone get *on*`."""
    if after is None:
        return [f"{where}: removed"]
    found = []
    was, now = rollout_share(before), rollout_share(after)
    same_state = is_on(before) == is_on(after)
    if same_state and was and now and was[1] == now[1] and was[0] != now[0]:
        found.append(f"{where}: {was[0]} → {now[0]} of everyone{_else(after)} get *{now[1]}*")
        if _without(before, "default") == _without(after, "default"):
            return found + re_deals(where, before, after)
    if same_state and before and _only_rules_differ(before, after, found):
        return found + rule_effects(where, before, after) + re_deals(where, before, after)
    if not same_state:
        verb = "turned on" if is_on(after) else "turned off"
        found.append(f"{where}: {verb}; {summary(after)}")
    elif not found or _without(before, "default") != _without(after, "default"):
        found.append(f"{where}: {summary(before)} → {summary(after)}")
    return found + re_deals(where, before, after)


def rule_effects(where: str, before: Document, after: Document) -> list[str]:
    """What becomes of the rules, by their ids: `Production: new rule r2: country is one of DE get *on*`."""
    old, new = ({entry["id"]: entry for entry in document.get("rules", ())} for document in (before, after))
    found = [f"{where}: rule {id} goes: {rule(entry)}" for id, entry in old.items() if id not in new]
    for id, entry in new.items():
        if id not in old:
            found.append(f"{where}: new rule {id}: {rule(entry)}")
        elif entry != old[id]:
            was, now = rule(old[id]), rule(entry)
            found.append(
                f"{where}: rule {id}: {now}; what changes is told line by line"
                if was == now
                else f"{where}: rule {id}: {was} → {now}"
            )
    if [id for id in old if id in new] != [id for id in new if id in old]:
        found.append(f"{where}: the rules are asked in the order {', '.join(new)}")
    return found


def _only_rules_differ(before: Document, after: Document, told: list[str]) -> bool:
    """Whether nothing but the rules is left to tell; `told` has the default's share where that changes."""
    other = [_without(_without(each, "rules"), "default") for each in (before, after)]
    default_is_told = bool(told) or before.get("default") == after.get("default")
    return other[0] == other[1] and default_is_told and before.get("rules") != after.get("rules")


def re_deals(where: str, before: Document | None, after: Document | None) -> list[str]:
    """A warning where a split's seed, attribute, hash or order changes: everyone is dealt anew."""
    old, new = ((d or {}).get("default", {}).get("split") for d in (before, after))
    if not old or not new:
        return []
    order_old, order_new = ([name for name, _ in split["weights"]] for split in (old, new))
    changed = [name for name in ("seed", "by", "hash") if old.get(name) != new.get(name)]
    if order_old[: len(order_new)] != order_new[: len(order_old)]:
        changed.append("order")
    if not changed:
        return []
    return [f"{where}: the split's {' and '.join(changed)} changes, which deals everyone anew"]


def _else(document: Document) -> str:
    return " else" if document.get("rules") or document.get("targets") else ""


def _without(document: Document | None, name: str) -> dict[str, Any]:
    return {key: value for key, value in (document or {}).items() if key != name}


def segment(document: Document | None) -> str:
    """Who is in a segment: `2 keys; country is one of DE, AT; not 1 key`."""
    if document is None:
        return "nobody: there is no such segment yet"
    parts = []
    if included := document.get("included"):
        parts.append(_keys(included))
    for constraints in document.get("rules") or ():
        parts.append(" and ".join(constraint_words(constraint) for constraint in constraints) or "everyone")
    if excluded := document.get("excluded"):
        parts.append(f"never {_keys(excluded)}")
    return "; ".join(parts) or "nobody"


def segment_effects(key: str, before: Document | None, after: Document | None) -> list[str]:
    """What a change of a segment does: `Segment beta: 2 keys → 3 keys`."""
    if before is None:
        return [f"Segment {key}: new; {segment(after)}"]
    return [f"Segment {key}: {segment(before)} → {segment(after)}"]


def expectation(entry: Mapping[str, Any]) -> str:
    """`in production (region eu), {"targetingKey": "customer-1"} gets *on*: Customer 1 has it`."""
    where = entry["environment"] + (f" (region {entry['region']})" if entry.get("region") else "")
    context = json.dumps(entry["context"], ensure_ascii=False, sort_keys=True)
    what = f"*{entry['variant']}*" if entry["variant"] is not None else "the caller's default"
    return f"in {where}, {_shortened(context)} gets {what}: {entry['sentence']}"


def expectation_effects(key: str, before: Document | None, after: Document | None) -> list[str]:
    """What a change of a flag's expectations does, one sentence for each that comes or goes."""
    old, new = ((document or {}).get("expectations", ()) for document in (before, after))
    found = [f"{key} is expected no more: {expectation(each)}" for each in old if each not in new]
    found += [f"{key} is expected from now on: {expectation(each)}" for each in new if each not in old]
    return found or [f"{key}: the order of its expectations changes"]


def definition_effects(key: str, before: Document | None, after: Document) -> list[str]:
    """What a change of a flag's definition does, one sentence per member that changes."""
    if before is None:
        variants = ", ".join(f"*{name}*" for name in after.get("variants", {}))
        return [f"New {after.get('type', '')} flag {key} with the variants {variants}; off everywhere"]
    return members_changed(key, before, after)


def members_changed(what: str, before: Document, after: Document) -> list[str]:
    """One sentence per member that changes: `Production: protected no → yes`."""
    found = []
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            word = name.replace("_", " ")
            found.append(f"{what}: {word} {_value(before.get(name))} → {_value(after.get(name))}")
    return found


def _value(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _shortened(", ".join(map(str, value)) if isinstance(value, list | dict) else str(value))


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def _keys(keys: Any) -> str:
    return f"{len(keys)} named {'key' if len(keys) == 1 else 'keys'}"
