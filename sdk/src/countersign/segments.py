"""Segments: named groups of contexts that rules point at."""

from __future__ import annotations

from countersign.constraints import Scope, conjunction, read_conditions
from countersign.context import Context, Predicate, findings, text_of
from countersign.members import Members, targeting_keys

_MEMBERS = frozenset({"version", "change", "included", "excluded", "rules"})


def nobody(context: Context) -> bool:
    """The predicate of a segment that is not in the snapshot."""
    return False


def read_segment(value: object, at: str, *, strict: bool) -> Predicate:
    """The predicate of a segment document. Raises DocumentError naming the member that breaks the page."""
    members = Members(value, at, _MEMBERS, strict=strict, name="segment")
    members.count("version")
    members.text_or_null("change")
    lists = [
        targeting_keys(members.sequence(name, []), members.path(name), strict=strict)
        for name in ("included", "excluded")
    ]
    # The empty targeting key is listed nowhere, whatever a list says.
    included, excluded = (frozenset(key for key in keys if key) for keys in lists)
    scope = Scope(strict=strict, segment=None)
    rules = tuple(
        conjunction(read_conditions(rule, f"{members.path('rules')}[{i}]", scope))
        for i, rule in enumerate(members.sequence("rules", []))
    )

    def contains(context: Context) -> bool:
        key = text_of(context.get("targetingKey"))
        if key is not None:
            if key in included:
                return True
            if key in excluded:
                return False
        return any(rule is None or rule(context) for rule in rules)

    def contains_as_found(context: Context) -> bool:
        found = findings(context)
        if found is None:
            return contains(context)
        answer = found.segments.get(contains)
        if answer is None:
            answer = found.segments[contains] = contains(context)
        return answer

    return contains_as_found
