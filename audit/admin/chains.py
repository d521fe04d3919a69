"""The ledger by change: the events of one request together, from asking to what it did, with approvals and ticket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from audit.admin.reading import Told, told
from audit.models import Event
from flags.models import Environment, Project

BY_CHANGE = "change"
# Of one page; a rollout of many stages has a page of its own in the list, with the filter by its change.
MOST_STEPS = 400


@dataclass(frozen=True, slots=True)
class Chain:
    """The newest event of a change, or one that belongs to none, and all events of that change, oldest first."""

    newest: Told
    steps: tuple[Told, ...]
    # Where its request's ticket is found; empty where that is not known.
    ticket_link: str


def newest_of_changes(rows: QuerySet[Event]) -> QuerySet[Event]:
    """Of these events (of one log), the newest one of each change, and those that belong to none."""
    newer = rows.filter(change_id=OuterRef("change_id"), index__gt=OuterRef("index"))
    return rows.filter(Q(change_id="") | ~Exists(newer))


def chains(project: Project, events: Sequence[Event], environments: Sequence[Environment]) -> list[Chain]:
    """The changes to which these events, the newest of each, belong. One query more than to tell the events."""
    changes = {event.change_id for event in events if event.change_id}
    steps = Event.objects.filter(
        project=project.key, change_id__in=changes, log_id__in={event.log_id for event in events}
    )
    found = {event.pk: event for event in (*events, *steps.order_by("-index")[:MOST_STEPS])}
    read = told(project, sorted(found.values(), key=lambda event: event.index), environments)
    by_change: dict[str, list[Told]] = {}
    for item in read:
        by_change.setdefault(item.event.change_id, []).append(item)
    one = {item.event.pk: item for item in read}
    return [
        Chain(
            one[event.pk],
            tuple(by_change[event.change_id]) if event.change_id else (),
            project.ticket_link(request.ticket) if (request := one[event.pk].request) else "",
        )
        for event in events
    ]
