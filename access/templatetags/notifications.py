"""The bell that every page shows."""

from __future__ import annotations

from typing import Any

from django import template

from access.notifications.inbox import unread
from access.permissions import ForbiddenError

register = template.Library()
_MOST = 99


@register.simple_tag(takes_context=True)
def unread_count(context: dict[str, Any]) -> str:
    """How many notifications whoever looks has not read; empty for none. One query for none, else two, on
    a page that knows its place."""
    from access.admin.place import place_of  # templates are known before the admin is

    try:
        place = place_of(context["request"])
    except (KeyError, ForbiddenError):
        return ""
    count = unread(place.actor, _MOST + 1, place.held)
    return f"{_MOST}+" if count > _MOST else str(count or "")
