"""What our templates need to say: variants marked up, moments with zone and distance, line diffs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.http import QueryDict
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from flags import wording

register = template.Library()

_VARIANT = re.compile(r"\*([^*\s][^*]*)\*")
_UNITS = ((86_400 * 365, "y"), (86_400 * 30, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"))


@register.filter
def words(text: object) -> SafeString:
    """Text of `flags.wording`: `*on*` becomes an emphasised variant. Escaped first, then marked up."""
    escaped = escape(str(text))
    return mark_safe(_VARIANT.sub(r'<em class="cs-variant">\1</em>', escaped))  # noqa: S308 (escaped above)


@register.filter
def named(names: dict[str, str], member: str) -> str:
    """The name of a member, of names by their ids; the id where there is none."""
    return names.get(member, member)


@register.filter
def plain(text: object) -> str:
    """The same text for places without markup: attributes, titles, accessible names."""
    return _VARIANT.sub(r"\1", str(text))


def distance(moment: datetime, now: datetime | None = None) -> str:
    """`3 h ago`, `in 2 d`, `just now`."""
    delta = moment - (now or timezone.now())
    seconds = abs(delta) // timedelta(seconds=1)
    for size, unit in _UNITS:
        if seconds >= size:
            amount = f"{seconds // size} {unit}"
            return f"in {amount}" if delta > timedelta() else f"{amount} ago"
    return "in less than a minute" if delta > timedelta(seconds=1) else "just now"


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A time element: date, time, zone and distance; whole seconds in UTC as its title."""
    if value is None:
        return "–"
    value = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{} <span class="cs-distance">({})</span></time>',
        value.isoformat(),
        f"{value:%Y-%m-%d %H:%M:%S} UTC",
        f"{value.day} {value:%b %Y, %H:%M} UTC",
        distance(value),
    )


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    """A time element that shows the distance alone; the exact time in UTC is its title."""
    if value is None:
        return "–"
    value = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        f"{value:%Y-%m-%d %H:%M:%S} UTC",
        distance(value),
    )


register.filter("seconds", wording.duration)


@register.filter
def pretty(value: Any) -> str:
    """JSON with members in order and two blanks of indentation, for reading and editing."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


@register.simple_tag(takes_context=True)
def with_query(context: template.Context, **changes: Any) -> str:
    """The query string of this page with some parameters changed (empty: left out). Starts with `?`."""
    query: QueryDict = context["request"].GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    return f"?{query.urlencode()}"


@register.inclusion_tag("countersign/diff.html")
def diff(before: Any, after: Any, is_folded: bool = False) -> dict[str, Any]:
    """Two JSON values line by line; sign and word say what went and what came, not colour alone.

    `is_folded`: only what changed, with a few lines around it.
    """
    from audit.admin.linediff import folded, lines

    found = lines(before, after)
    return {"lines": [(line, ()) for line in (folded(found) if is_folded else found)]}


@register.inclusion_tag("countersign/diff.html", takes_context=True)
def reviewed_diff(context: template.Context, effect: Any) -> dict[str, Any]:
    """The same of a request's operation: each line can be commented, and shows its threads.

    `lines` of the page's context has the threads by subject and pointer; each is shown at one line, where the
    member begins as it will be, of the first operation that has it: the way back often has the same member.
    """
    from audit.admin.linediff import lines

    found = lines(effect.before, effect.after)
    at = {line.pointer: number for number, line in reversed(list(enumerate(found)))}
    at |= {line.pointer: number for number, line in reversed(list(enumerate(found))) if line.sign != "-"}
    shown = [
        (line, context["lines"].pop((effect.text, line.pointer), ()) if at[line.pointer] == number else ())
        for number, line in enumerate(found)
    ]
    names = ("can_comment", "csrf_token", "request", "project", "row")
    return {"lines": shown, "subject": effect.text, **{name: context.get(name) for name in names}}
