"""The ledger as a list: newest first, filtered, paged by position so that a million events are no slower."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.admin.place import place_of
from access.admin.saved_views import views_shown
from access.models import Membership, ServiceAccount, User
from access.permissions import may_in_organisation
from approvals.models import ChangeRequest
from audit.admin.reading import TYPES, Told, told
from audit.ledger import current_log
from audit.models import Checkpoint, Event, Log, b64
from flags.models import Environment
from flags.subjects import Subject

PAGE_SIZE = 25
SEARCHED = 25  # flags, and segments, whose events are shown together


def audit(request: HttpRequest) -> HttpResponse:
    """The audit page of the project one is in."""
    place = place_of(request)
    if place.project is None:
        return redirect("admin:home")
    return redirect("admin:event-list", place.project.key)


class EventListPage(Page):
    """Events of a project with filters, and the state of the ledger."""

    verb = "audit.view"
    template = "countersign/event_list.html"
    title = _("Audit")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        environments = list(self.project.environments.all())
        self.problems: list[str] = []
        shown, about = listed(request.GET, lambda log: self._filtered(log, environments))
        return self.show(
            rows=told(self.project, shown, environments),
            problems=self.problems,
            types=[(name, label) for name, (_icon, label) in TYPES.items()],
            people=self._people(),
            environments=environments,
            can_export=self.holds("audit.export"),
            sees_organisation=may_in_organisation(self.actor, "audit.view"),
            presets=presets(timezone.now()),
            **views_shown(self, "audit"),
            **about,
        )

    def _people(self) -> list[tuple[str, str]]:
        members = Membership.objects.filter(project=self.project).values("member")
        people = [(user.pseudonym, str(user)) for user in User.objects.filter(pseudonym__in=members)]
        accounts = ServiceAccount.objects.filter(pseudonym__in=members).values_list("pseudonym", "name")
        return sorted({*people, *accounts}, key=lambda item: item[1].lower())

    def _filtered(self, log: Log, environments: list[Environment]) -> tuple[QuerySet[Event], bool]:
        asked, key = self.request.GET, self.project.key
        text = asked.get("subject", "").strip()[:200]
        rows, filtered = self._about(text, environments), bool(text)
        if (type_ := asked.get("type")) in TYPES:
            filtered, rows = True, rows.filter(type=type_)
        if actor := asked.get("actor", "").strip()[:128]:
            filtered, rows = True, rows.filter(actor=actor)
        if change := asked.get("change", "").strip()[:128]:
            # Ids rather than a prefix, which would have to look at every event.
            filtered, rows = True, rows.filter(change_id__in=_revisions(change))
        if (environment := asked.get("environment")) in {each.key for each in environments}:
            filtered = True
            rows = rows.filter(subject__startswith=f"project/{key}/environment/{environment}/")
        rows, is_between = between(rows, log, asked, self.problems)
        return rows, filtered or is_between

    def _about(self, text: str, environments: list[Environment]) -> QuerySet[Event]:
        """Events about the flags and segments that are meant: looked for among these, not in the ledger."""
        key = self.project.key
        if not text:
            return Event.objects.filter(project=key)
        subjects = [text] if text.startswith((f"project/{key}/", f"access/project/{key}/")) else []
        flags, segments = ([], []) if subjects else self._named(text)
        for flag in flags:
            subjects.append(str(Subject("definition", key, flag)))
            subjects += [str(Subject("configuration", key, flag, each.key)) for each in environments]
        subjects += [str(Subject("segment", key, segment)) for segment in segments]
        # These name the project; asked for it as well, SQLite would rather walk all its events.
        return Event.objects.filter(subject__in=subjects)

    def _named(self, text: str) -> tuple[list[str], list[str]]:
        """Keys of the flags and segments with this key, else of those whose key or name has it in it."""
        name = text.removeprefix("flag/").removeprefix("segment/")
        flags, segments = self.project.flags.order_by("key"), self.project.segments.order_by("key")
        if flags.filter(key=name).exists():
            return [name], []
        if segments.filter(key=name).exists():
            return [], [name]
        flags = flags.filter(Q(key__icontains=name) | Q(name__icontains=name))
        found = [
            list(rows.values_list("key", flat=True)[: SEARCHED + 1])
            for rows in (flags, segments.filter(key__icontains=name))
        ]
        if max(map(len, found)) > SEARCHED:
            self.problems.append(
                str(
                    _("More than %d match; these are the events of the first ones. Write more of the name.")
                    % SEARCHED
                )
            )
        return found[0][:SEARCHED], found[1][:SEARCHED]


def presets(now: datetime) -> list[tuple[Any, str]]:
    """Spans of time that are asked for often: a label, and the first day (UTC, as all days here are)."""
    spans = ((_("today"), 0), (_("7 days"), 6), (_("30 days"), 29))
    return [(label, f"{(now - timedelta(days=days)).astimezone(UTC):%Y-%m-%d}") for label, days in spans]


def listed(
    asked: Mapping[str, str], filtered: Callable[[Log], tuple[QuerySet[Event], bool]]
) -> tuple[list[Event], dict[str, Any]]:
    """A page of events, newest first, and what the template says of it.

    `filtered`: the rows that are asked for of a log, and whether that is fewer than all.
    """
    logs = list(Log.objects.order_by("-pk"))
    log = next((each for each in logs if str(each.pk) == asked.get("log")), logs[0])
    rows, is_filtered = filtered(log)
    rows = rows.filter(log=log)
    before = asked.get("before", "")
    if before.isdecimal():
        rows = rows.filter(index__lt=int(before[:18]))
    # One more than is shown says whether there is a next page; nothing is ever counted.
    # Positions first, which an index holds in order; whole rows only of those that are shown.
    positions = list(rows.order_by("-index").values_list("index", flat=True)[: PAGE_SIZE + 1])
    found = list(log.events.filter(index__in=positions).order_by("-index")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    older = [each for each in logs if each.pk < log.pk]
    return shown, {
        "next_before": shown[-1].index if len(found) > PAGE_SIZE else None,
        "older_log": older[0] if older and len(found) <= PAGE_SIZE else None,
        "is_first": not before,
        "is_filtered": is_filtered,
        **_head(),
    }


def between(
    rows: QuerySet[Event], log: Log, asked: Mapping[str, str], problems: list[str]
) -> tuple[QuerySet[Event], bool]:
    """The events within the dates that are asked for, and whether any are."""
    given = False
    for name, end in (("from", timedelta()), ("to", timedelta(days=1))):
        if value := asked.get(name, "").strip():
            given = True
            try:
                moment = datetime.fromisoformat(value)
                # In UTC at once, which the ends of the calendar have no room for.
                moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
                if name == "to":
                    # A day is meant with all its hours, a time with its last second.
                    moment += end if len(value) == 10 else timedelta(seconds=1)
            except (ValueError, OverflowError):
                problems.append(str(_("“%s” is no date; use one such as 2026-11-20.") % value[:40]))
                continue
            rows = _since(rows, log, moment) if name == "from" else _until(rows, log, moment)
    return rows, given


def _since(rows: QuerySet[Event], log: Log, moment: datetime) -> QuerySet[Event]:
    """The events from a moment on."""
    position = _position(log, moment)
    return rows.filter(time__gte=moment) if position is None else rows.filter(index__gte=position)


def _until(rows: QuerySet[Event], log: Log, moment: datetime) -> QuerySet[Event]:
    """The events before a moment."""
    position = _position(log, moment)
    return rows.filter(time__lt=moment) if position is None else rows.filter(index__lt=position)


def _position(log: Log, moment: datetime) -> int | None:
    """Where in the log a moment is, found by the index on time: in a log, time only grows.

    A range of positions is read in the order of the list; a range of times would be sorted first. None
    where the answer is not plain, because another log has the next event.
    """
    following = Event.objects.filter(time__gte=moment).order_by("time").values_list("time", flat=True)[:1]
    if not following:
        return log.size
    # One transaction's events bear the same time. Their log is looked at here: asked for it as well,
    # SQLite would rather walk the whole log.
    same = list(Event.objects.filter(time=following[0]).values_list("log_id", "index"))
    return min((index for log_id, index in same if log_id == log.pk), default=None)


def _revisions(change: str) -> list[str]:
    """The ids of a request's revisions for `CR-12`; for any other id, itself alone."""
    number = change.removeprefix("CR-")
    request = (
        ChangeRequest.objects.filter(pk=int(number)).first() if re.fullmatch(r"[0-9]{1,9}", number) else None
    )
    later = range(2, request.revision + 1) if request else ()
    return [change, *(f"{change}.{revision}" for revision in later)]


class EventPage(Page):
    """One event: its permanent address."""

    verb = "audit.view"
    template = "countersign/event.html"

    def get(self, request: HttpRequest, project: str, event: UUID) -> HttpResponse:
        row = Event.objects.filter(project=self.project.key, pk=event).select_related("log").first()
        if row is None:
            raise Http404
        environments = list(self.project.environments.all())
        return self.show(**one(row, told(self.project, [row], environments)[0]))


def one(row: Event, item: Told) -> dict[str, Any]:
    """What the template of one event says."""
    return {"title": item.what, "item": item, "line": row.line, "leaf": b64(bytes(row.leaf_hash))}


def _head() -> dict[str, Any]:
    """Size and root of the open log, and the newest checkpoint over it."""
    log = current_log()
    checkpoint = Checkpoint.objects.filter(log=log).order_by("-size").first()
    return {
        "log": log,
        "root": b64(log.root),
        "checkpoint": checkpoint,
        "unsigned": log.size - checkpoint.size if checkpoint else log.size,
    }
