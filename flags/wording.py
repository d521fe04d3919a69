"""A configuration in words, as people say it: for the flag list, reviews, mails and reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def _percent(part: int, total: int) -> str:
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
    parts = [f"{_percent(weight, total)} *{name}*" for name, weight in weights if name is not None and weight]
    return ", ".join(parts) or "nothing"


def rollout_share(document: Document | None) -> tuple[str, str] | None:
    """`("25 %", "on")` for a default that splits, by its first slice; None where it does not."""
    if not document or not document.get("enabled") or "split" not in document.get("default", {}):
        return None
    weights = document["default"]["split"]["weights"]
    total = sum(weight for _, weight in weights)
    variant, weight = weights[0]
    return _percent(weight, total), str(variant)


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


def rule(entry: Mapping[str, Any]) -> str:
    """`segment beta-testers get *on*`."""
    who = (
        " and ".join(constraint_words(constraint) for constraint in entry.get("constraints", ()))
        or "everyone"
    )
    return f"{who} get {share(entry['serve'])}"


def summary(document: Document | None) -> str:
    """What a configuration does: `segment beta get *on*; everyone else: 25 % *on*, 75 % *off*`."""
    if document is None:
        return "not configured here: callers get their default"
    off = f"*{document['off']}*" if document.get("off") else "the caller's default"
    if document.get("killed"):
        return f"killed: everyone gets {off}"
    if not document.get("enabled"):
        return f"off: everyone gets {off}"
    parts = []
    for variant, keys in sorted((document.get("targets") or {}).items()):
        parts.append(f"{len(keys)} named {'key' if len(keys) == 1 else 'keys'} get *{variant}*")
    parts += [rule(entry) for entry in document.get("rules", ())]
    rest = "everyone else" if parts else "everyone"
    parts.append(f"{rest}: {share(document['default'])}")
    regions_off = [name for name, on in sorted((document.get("regions") or {}).items()) if not on]
    if regions_off:
        parts.append(f"off in {', '.join(regions_off)}")
    if document.get("prerequisites"):
        names = ", ".join(entry["flag"] for entry in document["prerequisites"])
        parts.append(f"only where {names} allows")
    return "; ".join(parts)


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
