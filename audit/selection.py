"""What an export carries: from where in the log, which events' content, and whether with personal data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Case, F, Q, QuerySet, TextField, Value, When

from audit.ledger import current_log, timestamp
from audit.models import Checkpoint, Disclosure, Event, Log

KILLED = "flags.v1.configuration.killed"
# What reviews rest on is never withheld (ledger-bundle section 5), whatever is chosen.
FORCED = Q(type__startswith="ledger.") | Q(type__startswith="approvals.") | Q(type=KILLED)


class SelectionError(ValueError):
    """There is no such export; the text says what can be had."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to export. The default is everything.

    `first`: size of an earlier checkpoint, whose bundle this one follows. `previous`: size of an earlier
    checkpoint from which to prove that nothing was changed, in a bundle from the beginning. `projects`,
    `since` and `until` (not included): whose and when; other entries stand as their hashes. `log`: the
    origin of an earlier log, from before a recovery, as far as it was signed; empty for the open one.
    """

    first: int = 0
    previous: int = 0
    projects: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    disclosures: bool = True
    log: str = ""

    def checkpoint_of_earlier_log(self) -> Checkpoint:
        """The last one that was signed of the earlier log meant. Raises `SelectionError`."""
        found = (
            Checkpoint.objects.filter(log__origin=self.log).select_related("log").order_by("-size").first()
        )
        if found is None:
            raise SelectionError(f"There is no log {self.log} here of which a checkpoint was signed.")
        return found

    @property
    def is_filtered(self) -> bool:
        return bool(self.projects or self.since or self.until)

    @property
    def earlier(self) -> int:
        """The size of the checkpoint that travels as `previous.checkpoint`; 0 for none."""
        return self.first or self.previous

    def chosen(self, prefix: str = "") -> Q:
        """The events that are asked for; `FORCED` ones are carried besides. `prefix`: how they are reached."""
        asked = Q()
        if self.projects:
            asked &= Q((f"{prefix}project__in", self.projects))
        if self.since:
            asked &= Q((f"{prefix}time__gte", self.since))
        if self.until:
            asked &= Q((f"{prefix}time__lt", self.until))
        return asked

    def check(self, log: Log) -> None:
        """Raise `SelectionError` unless this can be exported from the log."""
        if self.first and self.previous:
            raise SelectionError(
                "An export follows an earlier bundle or is whole and compared with an earlier checkpoint, "
                "not both: it carries the checkpoint that it follows anyway."
            )
        if self.since and self.until and self.since >= self.until:
            raise SelectionError("The span of time ends before it begins.")
        if self.earlier and not log.checkpoints.filter(size=self.earlier).exists():
            raise SelectionError(
                f"{log.origin} has no checkpoint at {self.earlier}{_nearest(log, self.earlier)}. "
                "An earlier bundle's size stands in its manifest and checkpoint."
            )

    def as_data(self) -> dict[str, Any]:
        """As the event that records the export has it."""
        filtered = {
            **({"projects": sorted(self.projects)} if self.projects else {}),
            **({"since": timestamp(self.since)} if self.since else {}),
            **({"until": timestamp(self.until)} if self.until else {}),
        }
        return {
            "first": self.first,
            "filter": filtered or None,
            "disclosures": self.disclosures,
            **({"previous": self.previous} if self.previous else {}),
            **({"log": self.log} if self.log else {}),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Selection:
        """The selection that an event records."""
        filtered = data["filter"] or {}
        return cls(
            first=data["first"],
            previous=data.get("previous", 0),
            projects=tuple(filtered.get("projects", ())),
            since=_moment(filtered.get("since")),
            until=_moment(filtered.get("until")),
            disclosures=data.get("disclosures", True),
            log=data.get("log", ""),
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """What a selection would carry now, in numbers."""

    first: int
    size: int
    chosen: int
    others: int  # carried although not chosen, because reviews rest on them
    withheld: int
    disclosures: int


def contents(selection: Selection) -> Contents:
    """Count before anything is recorded: the export's own event comes on top. Raises `SelectionError`."""
    log = current_log()
    size = log.size
    if selection.log:
        checkpoint = selection.checkpoint_of_earlier_log()
        log, size = checkpoint.log, checkpoint.size
    selection.check(log)
    events = log.events.filter(index__gte=selection.first, index__lt=size)
    total = size - selection.first
    disclosed = Disclosure.objects.filter(
        event__log=log, event__index__gte=selection.first, event__index__lt=size
    )
    if not selection.is_filtered:
        disclosures = disclosed.count() if selection.disclosures else 0
        return Contents(selection.first, size, total, 0, 0, disclosures)
    chosen = events.filter(selection.chosen()).count()
    carried = events.filter(selection.chosen() | FORCED).count()
    disclosures = disclosed.filter(selection.chosen("event__")).count() if selection.disclosures else 0
    return Contents(selection.first, size, chosen, carried - chosen, total - carried, disclosures)


def rows(selection: Selection, log: Log, start: int, end: int) -> QuerySet[Event, Any]:
    """The entries from `start` to before `end`: line, or None where it is withheld; whether it was chosen;
    stored leaf hash.
    """
    events = log.events.filter(index__gte=start, index__lt=end)
    shown: Any = F("line")
    is_chosen: Any = Value(True)
    if selection.is_filtered:
        carried = When(selection.chosen() | FORCED, then=F("line"))
        shown = Case(carried, default=None, output_field=TextField(null=True))
        is_chosen = Case(When(selection.chosen(), then=Value(True)), default=Value(False))
    annotated = events.order_by("index").annotate(shown=shown, is_chosen=is_chosen)
    return annotated.values_list("shown", "is_chosen", "leaf_hash")


def _nearest(log: Log, size: int) -> str:
    below = log.checkpoints.filter(size__lt=size).order_by("-size").values_list("size", flat=True)[:1]
    above = log.checkpoints.filter(size__gt=size).order_by("size").values_list("size", flat=True)[:1]
    near = [str(each) for each in (*below, *above)]
    return f"; the nearest are at {' and '.join(near)}" if near else ""


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
