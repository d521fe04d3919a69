"""From rows to the body of a snapshot (evaluation specification, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from audit.jcs import canonical
from flags.documents import definition_document, flag_line, segment_line, segments_named
from flags.models import Environment, FlagConfiguration, Segment

# What writers leave out where it is empty, false or null.
_LEFT_OUT = frozenset(
    {"regions", "prerequisites", "targets", "rules", "constraints", "killed", "client_side", "negate"}
    | {"missing", "included", "excluded", "off", "change"}
)

_NO_DRAFTS: Mapping[str, Segment] = {}


def body(environment: Environment) -> bytes:
    """JCS lines: the segments that this environment's rules name, then a line per configured flag.

    Two queries. The caller holds the environment's row lock, so that no change lands in between.
    """
    rows = FlagConfiguration.objects.filter(environment=environment, flag__archived=False).select_related(
        "flag"
    )
    return body_of(rows.iterator(chunk_size=2_000), environment.project_id)


def body_of(
    configurations: Iterable[FlagConfiguration], project_id: int, drafts: Mapping[str, Segment] = _NO_DRAFTS
) -> bytes:
    """The lines of these configurations, whose flags are at hand, after the segments that they name.

    `drafts`: segments, by key, that stand in place of the project's own.
    """
    lines: dict[str, bytes] = {}
    names: set[str] = set()
    for configuration in configurations:
        key = configuration.flag.key
        definition = definition_document(configuration.flag)
        line = flag_line(definition, configuration.document, configuration.version, configuration.change_id)
        lines[key] = canonical([key, _flag(line)])
        names |= segments_named(configuration.document)
    unread = names - drafts.keys()
    found = {each.key: each for each in Segment.objects.filter(project_id=project_id, key__in=unread)}
    found |= {key: each for key, each in drafts.items() if key in names}
    segments = {key: _segment(segment_line(each)) for key, each in found.items()}
    ordered = [canonical({"segments": segments}), *(lines[key] for key in sorted(lines, key=str.encode))]
    return b"".join(line + b"\n" for line in ordered)


def _flag(line: Mapping[str, Any]) -> dict[str, Any]:
    shown = _present(line)
    if "rules" in shown:
        shown["rules"] = [
            _present({**rule, "constraints": _constraints(rule.get("constraints", ()))})
            for rule in shown["rules"]
        ]
    return shown


def _segment(line: Mapping[str, Any]) -> dict[str, Any]:
    shown = _present(line)
    if "rules" in shown:
        shown["rules"] = [_constraints(constraints) for constraints in shown["rules"]]
    return shown


def _constraints(constraints: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    shown = [_present(constraint) for constraint in constraints]
    for constraint in shown:
        if constraint["operator"] == "exists":
            constraint.pop("values", None)
    return shown


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value or name not in _LEFT_OUT}
