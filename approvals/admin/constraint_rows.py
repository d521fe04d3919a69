"""What the rows of constraints offer and say, and the context that somebody types to try them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from approvals.admin.asking import read_json
from flags.models import FlagConfiguration, Project, Segment

# What is offered for a name or a value: from the latest documents, not from ten thousand of them.
LATEST = 100
MOST_VALUES = 50
MOST_OFFERED = 16
_BEGINNINGS: dict[str, Any] = {
    "number": 0,
    "boolean": True,
    "version": "1.0.0",
    "time": "2026-01-01T00:00:00Z",
    "address": "192.0.2.1",
}


def seen_attributes(project: Project, expected: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Attributes that this project's documents speak of, each with the type and some of its values.

    `expected`: expectations whose contexts speak too. Two queries.
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
    for entry in expected:
        for name, value in entry["context"].items():
            many = isinstance(value, list)
            _note(found, name, value if many else [value], "includes" if many else "")
    found.setdefault("targetingKey", {"type": "string", "values": []})
    return dict(sorted(found.items()))


def examples(seen: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """For a context that somebody types: each attribute with a value to begin with, as JSON."""
    found = []
    for name, known in seen.items():
        value = known["values"][0] if known["values"] else _BEGINNINGS.get(known["type"], "")
        found.append((name, json.dumps([value] if known["type"] == "array" else value, ensure_ascii=False)))
    return found[:MOST_OFFERED]


def typed_context(request: HttpRequest) -> tuple[Mapping[str, Any] | None, str]:
    """The context that somebody typed to try, or what is wrong with it."""
    text = request.POST.get("context", "").strip()
    if not text:
        return None, ""
    try:
        context = read_json(text)
    except ValidationError as error:
        return None, " ".join(error.messages)
    if not isinstance(context, dict):
        return None, str(_('This must be a JSON object such as {"targetingKey": "customer-1"}.'))
    return context, ""


_TYPES = {
    **dict.fromkeys(("gt", "gte", "lt", "lte"), "number"),
    "includes": "array",
    "ip_in": "address",
    "before": "time",
    "after": "time",
}


def _note(found: dict[str, dict[str, Any]], name: str, values: Iterable[Any], operator: str) -> None:
    known = found.setdefault(name, {"type": "", "values": []})
    if operator.startswith("semver"):
        known["type"] = "version"
    elif operator in _TYPES:
        known["type"] = _TYPES[operator]
    for value in values:
        if isinstance(value, dict | list):
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
