"""What an event is about, as a name and a link to its page: the ledger itself has only a path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from django.urls import reverse

from approvals.models import ChangeRequest
from audit.models import Event
from flags.models import Flag, Project
from flags.subjects import Kind, Subject

_OF_FLAGS: frozenset[Kind] = frozenset({"configuration", "definition", "expectations"})


def subject_of(event: Event) -> Subject | None:
    """What a change can be about; None where the event is about something else."""
    try:
        return Subject.parse(event.subject)
    except ValueError:
        return None


def flag_names(project: Project | None, events: Iterable[Event]) -> dict[str, str]:
    """By key, the names of the flags that these events are about. One query, or none."""
    subjects = [subject for event in events if (subject := subject_of(event)) is not None]
    keys = {subject.key for subject in subjects if subject.kind in _OF_FLAGS}
    rows = Flag.objects.filter(project=project, key__in=keys)
    return dict(rows.values_list("key", "name")) if project is not None else {}


def linked(
    event: Event, names: Mapping[str, str], places: Mapping[str, str], request: ChangeRequest | None
) -> tuple[str, str]:
    """The name of what an event is about and the address of its page; empty where it has none.

    `names`: of flags by their keys, and of members by their pseudonyms. `places`: of environments.
    """
    if event.subject.startswith("change/") and request is not None:
        address = reverse("admin:request", args=[event.project, request.number])
        return f"{event.change_id} {request.title}", address
    subject = subject_of(event)
    if subject is None or (subject.kind in _OF_FLAGS and subject.key not in names):
        return "", ""
    called = replace(subject, key=names.get(subject.key, subject.key))
    place = places.get(subject.environment or subject.key, "")
    return called.words(place, begins=True), _address(subject)


def _address(subject: Subject) -> str:
    match subject.kind:
        case "configuration":
            return reverse("admin:flag-environment", args=[subject.project, subject.key, subject.environment])
        case "definition":
            return reverse("admin:flag", args=[subject.project, subject.key])
        case "expectations" | "segment":
            return reverse(f"admin:{subject.kind}", args=[subject.project, subject.key])
        case "member":
            return reverse("admin:standing", args=[subject.project, subject.key])
    return reverse(f"admin:{subject.kind}-list", args=[subject.project])
