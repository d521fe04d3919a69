"""What the rows of constraints offer and say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from flags.models import FlagConfiguration, Project, Segment

# What is offered for a name or a value: from the latest documents, not from ten thousand of them.
LATEST = 100
MOST_VALUES = 50
MOST_ATTRIBUTES = 200
LONGEST_VALUE = 200


def seen_attributes(project: Project, contexts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Attributes that this project's documents speak of, each with the type and some of its values.

    `contexts`: those of expectations, which speak too. Two queries.
    """
    found: dict[str, dict[str, Any]] = {}
    segments = Segment.objects.filter(project=project).order_by("-pk")[:LATEST]
    latest = FlagConfiguration.objects.filter(flag__project=project).order_by("-changed_at")[:LATEST]
    lists: list[Iterable[Mapping[str, Any]]] = [
        constraints for row in segments for constraints in row.document.get("rules", ())
    ]
    for row in latest:
        lists += [rule.get("constraints", ()) for rule in row.document.get("rules", ())]
    for constraint in (each for constraints in lists for each in constraints):
        if constraint["attribute"]:
            _note(found, constraint["attribute"], constraint.get("values", ()), constraint["operator"])
    for context in contexts:
        for name, value in context.items():
            many = isinstance(value, list)
            _note(found, name, value if many else [value], "includes" if many else "")
    found.setdefault("targetingKey", {"type": "string", "values": []})
    return dict(sorted(found.items()))


_TYPES = {
    **dict.fromkeys(("gt", "gte", "lt", "lte"), "number"),
    "includes": "array",
    "ip_in": "address",
    "before": "time",
    "after": "time",
}


def _note(found: dict[str, dict[str, Any]], name: str, values: Iterable[Any], operator: str) -> None:
    if name not in found and len(found) >= MOST_ATTRIBUTES:
        return
    known = found.setdefault(name, {"type": "", "values": []})
    if operator.startswith("semver"):
        known["type"] = "version"
    elif operator in _TYPES:
        known["type"] = _TYPES[operator]
    for value in values:
        if value is None or isinstance(value, dict | list) or len(str(value)) > LONGEST_VALUE:
            continue
        if not known["type"]:
            known["type"] = {bool: "boolean", str: "string"}.get(type(value), "number")
        if value not in known["values"] and len(known["values"]) < MOST_VALUES:
            known["values"].append(value)


def row_words() -> dict[str, Any]:
    """What the script of the rows says."""
    names = {
        "in": _("is one of"),
        "contains": _("contains"),
        "starts_with": _("starts with"),
        "ends_with": _("ends with"),
        "gt": ">",
        "gte": "≥",
        "lt": "<",
        "lte": "≤",
        "semver_eq": _("version ="),
        "semver_gt": _("version >"),
        "semver_gte": _("version ≥"),
        "semver_lt": _("version <"),
        "semver_lte": _("version ≤"),
        "semver_caret": _("version ^ (same major)"),
        "semver_tilde": _("version ~ (same minor)"),
        "before": _("is before"),
        "after": _("is after"),
        "ip_in": _("is in network"),
        "includes": _("includes"),
        "exists": _("is present"),
    }
    return {
        "operators": {name: str(text) for name, text in names.items()},
        "if": str(_("if")),
        "and": str(_("and")),
    }
