"""The readable report: every change with who, what before and after, why, ticket, approvers, when."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

from django.db.models import QuerySet

from access.permissions import display_names
from audit.blobs import is_by_digest
from audit.models import Blob, Event
from flags import wording
from flags.models import Project
from flags.subjects import Subject

# What spreadsheets take for the start of a formula, the wide forms included.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
COLUMNS = (
    "number",
    "time (UTC)",
    "project",
    "environment",
    "what",
    "key",
    "event",
    "who",
    "by way of",
    "effect",
    "before",
    "after",
    "why",
    "ticket",
    "change request",
    "proposed by",
    "approved by",
    "ledger",
)


def changes_of(projects: Iterable[Project]) -> QuerySet[Event]:
    """The events that changed a flag, a configuration or a segment of these projects, oldest first."""
    return (
        Event.objects.select_related("log")
        .filter(
            project__in=[project.key for project in projects],
            type__in=(
                "flags.v1.flag.created",
                "flags.v1.flag.updated",
                "flags.v1.configuration.updated",
                "flags.v1.configuration.killed",
                "flags.v1.segment.created",
                "flags.v1.segment.updated",
            ),
        )
        .order_by("log_id", "index")
    )


def csv_lines(events: QuerySet[Event], chunk: int = 500) -> Iterator[str]:
    """The report as CSV, a piece at a time: memory does not grow with the log."""
    yield _line(COLUMNS)
    rows: list[Event] = []
    for event in events.iterator(chunk_size=chunk):
        rows.append(event)
        if len(rows) == chunk:
            yield from _rows(rows)
            rows = []
    yield from _rows(rows)


def _rows(events: list[Event]) -> Iterator[str]:
    """A chunk of rows with what belongs to them, by as many queries however many rows there are."""
    ids = {event.change_id for event in events if event.change_id}
    proposals: dict[str, Event] = {}
    approvals: dict[str, list[str]] = {}
    for review in Event.objects.filter(
        change_id__in=ids,
        type__in=("approvals.v1.change_request.proposed", "approvals.v1.change_request.approved"),
    ).order_by("log_id", "index"):
        if review.type.endswith("proposed"):
            proposals[review.change_id] = review
        else:
            approvals.setdefault(review.change_id, []).append(review.actor)
    people = {event.actor for event in [*events, *proposals.values()]}
    names = display_names(people | {name for given in approvals.values() for name in given})
    told = [json.loads(event.line)["data"] for event in events]
    values = _values(value for data in told for value in (data["before"], data["after"]))
    for event, data in zip(events, told, strict=True):
        subject = Subject.parse(event.subject)
        before, after = (
            values.get(value["blob"], value) if is_by_digest(value) else value
            for value in (data["before"], data["after"])
        )
        proposal = proposals.get(event.change_id)
        change = json.loads(proposal.line)["data"]["change"] if proposal else {}
        if subject.kind == "configuration":
            effect = "; ".join(wording.effects(subject.environment, before, after)).replace("*", "")
        else:
            effect = "created" if before is None else "changed"
        yield _line(
            (
                event.index,
                event.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
                subject.project,
                subject.environment,
                subject.kind,
                subject.key,
                event.type,
                names[event.actor],
                data["actor"]["via"],
                effect,
                _text(before),
                _text(after),
                change.get("rationale", ""),
                change.get("ticket", ""),
                event.change_id,
                names[proposal.actor] if proposal else "",
                ", ".join(names[name] for name in approvals.get(event.change_id, ())),
                event.log.origin,
            )
        )


def whole(value: Any) -> Any:
    """A document of an event, with its bytes fetched where the event carries it by digest."""
    return _values([value]).get(value["blob"], value) if is_by_digest(value) else value


def _values(values: Iterable[Any]) -> dict[str, Any]:
    """The documents among these that stand by digest, by their digest, with one query."""
    digests = {value["blob"] for value in values if is_by_digest(value)}
    kept = Blob.objects.filter(digest__in=digests).values_list("digest", "content")
    return {digest: json.loads(content) for digest, content in kept}


def _text(document: Any) -> str:
    return "" if document is None else json.dumps(document, sort_keys=True, ensure_ascii=False)


def _line(cells: Iterable[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([_inert(str(cell)) for cell in cells])
    return out.getvalue()


def _inert(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
