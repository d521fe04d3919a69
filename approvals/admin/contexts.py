"""The context that somebody types to try a document on, and what is offered for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from approvals.admin.asking import read_json

MOST_OFFERED = 16
_BEGINNINGS: dict[str, Any] = {
    "number": 0,
    "boolean": True,
    "version": "1.0.0",
    "time": "2026-01-01T00:00:00Z",
    "address": "192.0.2.1",
}


def examples(seen: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Of `seen_attributes`, some with a value to begin with, as JSON; the targeting key first."""
    found = []
    for name, known in sorted(seen.items(), key=lambda each: each[0] != "targetingKey"):
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
