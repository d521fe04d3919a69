"""The ledger as a list: newest first, filtered, paged by position so that a million events are no slower."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet
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
from audit.admin.activity import Reach, activity
from audit.admin.chains import BY_CHANGE, chains, newest_of_changes
from audit.admin.reading import TYPES, Told, told
from audit.admin.spans import presets, span_of, within
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
        shown, about = listed(request.GET, self._asked(environments), self.problems)
        by_change = request.GET.get("by") == BY_CHANGE
        return self.show(
            rows=(chains if by_change else told)(self.project, shown, environments),
            by_change=by_change,
            types=[(name, label) for name, (_icon, label) in TYPES.items()],
            people=self._people(),
            environments=environments,
            can_export=self.holds("audit.export"),
            sees_organisation=may_in_organisation(self.actor, "audit.view", self.place.held),
            presets=presets(timezone.now()),
            **views_shown(self, "audit"),
            **about,
        )

    def _people(self) -> list[tuple[str, str]]:
        members = Membership.objects.filter(project=self.project).values("member")
        people = [(user.pseudonym, str(user)) for user in User.objects.filter(pseudonym__in=members)]
        accounts = ServiceAccount.objects.filter(pseudonym__in=members).values_list("pseudonym", "name")
        return sorted({*people, *accounts}, key=lambda item: item[1].lower())

    def _asked(self, environments: list[Environment]) -> Asked:
        asked, key = self.request.GET, self.project.key
        text = asked.get("subject", "").strip()[:200]
        change = asked.get("change", "").strip()[:128]
        rows, filters = Event.objects.all(), bool(text) + bool(change)
        if text:
            rows = rows.filter(subject__in=self._about(text, environments))
        if change:
            rows = self._of_change(rows, change)
        if not filters:
            # Subjects and requests are of a project; asked for it as well, SQLite would rather walk all its events.
            rows = rows.filter(project=key)
        if (type_ := asked.get("type")) in TYPES:
            filters, rows = filters + 1, rows.filter(type=type_)
        if actor := asked.get("actor", "").strip()[:128]:
            filters, rows = filters + 1, rows.filter(actor=actor)
        # A type and a person have an index each; two together have none, nor has an environment.
        reach = Reach.FEW if text or change else Reach.INDEXED if filters <= 1 else Reach.SPREAD
        if (environment := asked.get("environment")) in {each.key for each in environments}:
            filters, reach = filters + 1, reach if reach is Reach.FEW else Reach.SPREAD
            rows = rows.filter(subject__startswith=f"project/{key}/environment/{environment}/")
        return Asked(rows, filters > 0, reach)

    def _of_change(self, rows: QuerySet[Event], change: str) -> QuerySet[Event]:
        """The events of a request and all its revisions for `CR-12`; for any other id, of that alone."""
        number = change.removeprefix("CR-")
        request = (
            ChangeRequest.objects.filter(project=self.project, pk=int(number)).first()
            if re.fullmatch(r"[0-9]{1,9}", number)
            else None
        )
        if request is None:
            return rows.filter(project=self.project.key, change_id=change)
        # Ids rather than a prefix, which would have to look at every event.
        later = (f"CR-{number}.{revision}" for revision in range(2, request.revision + 1))
        return rows.filter(change_id__in=[f"CR-{number}", *later])

    def _about(self, text: str, environments: list[Environment]) -> list[str]:
        """The flags and segments that are meant: looked for among these, not in the ledger."""
        key = self.project.key
        subjects = [text] if text.startswith((f"project/{key}/", f"access/project/{key}/")) else []
        flags, segments = ([], []) if subjects else self._named(text)
        for flag in flags:
            subjects.append(str(Subject("definition", key, flag)))
            subjects += [str(Subject("configuration", key, flag, each.key)) for each in environments]
        return subjects + [str(Subject("segment", key, segment)) for segment in segments]

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


@dataclass(frozen=True, slots=True)
class Asked:
    """The events that a page asks for, of any time; whether that is fewer than all, and what finding them takes."""

    rows: QuerySet[Event]
    is_filtered: bool
    reach: Reach


def listed(
    asked: Mapping[str, str], wanted: Asked, problems: list[str]
) -> tuple[list[Event], dict[str, Any]]:
    """A page of events, newest first, and what the template says of it."""
    logs = list(Log.objects.order_by("-pk"))
    log = next((each for each in logs if str(each.pk) == asked.get("log")), logs[0])
    span = span_of(asked, problems)
    # Where the events are few, they are found first and put in order then; SQLite would rather walk the log.
    at = F("index") + 0 if wanted.reach is Reach.FEW else F("index")
    rows: QuerySet[Any] = within(wanted.rows.filter(log=log).alias(at=at), log, span)
    if asked.get("by") == BY_CHANGE:
        rows = newest_of_changes(rows)
    before = asked.get("before", "")
    if before.isdecimal():
        rows = rows.filter(at__lt=int(before[:18]))
    # One more than is shown says whether there is a next page; no page is ever counted.
    # Positions first, which an index holds in order; whole rows only of those that are shown.
    positions = list(rows.order_by("-at").values_list("index", flat=True)[: PAGE_SIZE + 1])
    found = list(log.events.filter(index__in=positions).order_by("-index")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    older = [each for each in logs if each.pk < log.pk]
    is_first = not before
    return shown, {
        "next_before": shown[-1].index if len(found) > PAGE_SIZE else None,
        "older_log": older[0] if older and len(found) <= PAGE_SIZE else None,
        "is_first": is_first,
        "is_filtered": wanted.is_filtered or span.is_given,
        "activity": activity(wanted.rows, log, span, wanted.reach) if shown and is_first else None,
        "problems": problems,
        **_head(),
    }


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
