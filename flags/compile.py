"""From rows to the body of a snapshot (evaluation specification, section 5)."""

from __future__ import annotations

from audit.jcs import canonical
from flags.documents import definition_document, flag_line, segment_line, segments_named
from flags.models import Environment, FlagConfiguration, Segment


def body(environment: Environment) -> bytes:
    """JCS lines: the segments that this environment's rules name, then a line per configured flag.

    Two queries. The caller holds the environment's row lock, so that no change lands in between.
    """
    configurations = FlagConfiguration.objects.filter(environment=environment).select_related("flag")
    lines: dict[str, bytes] = {}
    names: set[str] = set()
    for configuration in configurations.iterator(chunk_size=2_000):
        key = configuration.flag.key
        definition = definition_document(configuration.flag)
        line = flag_line(definition, configuration.document, configuration.version, configuration.change_id)
        lines[key] = canonical([key, line])
        names |= segments_named(configuration.document)
    segments = {
        segment.key: _without_nulls(segment_line(segment))
        for segment in Segment.objects.filter(project_id=environment.project_id, key__in=names)
    }
    ordered = [canonical({"segments": segments}), *(lines[key] for key in sorted(lines, key=str.encode))]
    return b"".join(line + b"\n" for line in ordered)


def _without_nulls(members: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}
