"""What stood at a moment of the past: rows in memory, from history, to be evaluated again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from approvals.resulting import needed_by
from flags.models import Environment, Flag, FlagConfiguration, Segment


def configurations_at(
    environment: Environment, keys: Collection[str], moment: datetime
) -> dict[str, FlagConfiguration]:
    """By flag, the configurations that were served then, with all that they needed: two queries per link.

    `keys`: of flags; one that was not there yet, not configured or archived then is left out.
    """
    found: dict[str, FlagConfiguration] = {}
    asked: set[str] = set()
    wanted = set(keys)
    while wanted:
        asked |= wanted
        flags = {
            flag.pk: flag
            for flag in Flag.history.as_of(moment).filter(
                project_id=environment.project_id, key__in=wanted, archived=False
            )
        }
        rows = FlagConfiguration.history.as_of(moment).filter(environment=environment, flag_id__in=flags)
        new = {}
        for row in rows:
            row.flag = flags[row.flag_id]
            new[row.flag.key] = row
        found |= new
        wanted = {key for row in new.values() for key in needed_by(row.document)} - asked
    return found


def segments_at(environment: Environment, names: Collection[str], moment: datetime) -> dict[str, Segment]:
    """By key, the segments of these names as they stood then. One query."""
    rows = Segment.history.as_of(moment).filter(project_id=environment.project_id, key__in=names)
    return {row.key: row for row in rows}
