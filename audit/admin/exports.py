"""The export of evidence: choose, see in numbers what it will hold, record it, take it and be told how far that is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.permissions import ForbiddenError, require_everywhere
from audit import bundle_zip
from audit.admin.downloads import attachment
from audit.export import EXPORTED, record_export, recorded
from audit.ledger import LedgerError, current_log
from audit.models import Checkpoint, Event, Taking
from audit.selection import Contents, Selection, SelectionError, contents
from audit.taking import SILENCE, taken
from flags.models import Project

SHOWN = 20  # earlier exports that one can go on from
MADE = 5  # one's own latest ones, to take again


class ExportForm(forms.Form):
    """What to export. Everything, unless something is chosen."""

    start = forms.ChoiceField(label=_("Events"), required=False)
    project = forms.MultipleChoiceField(
        label=_("Projects"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None means all."),
    )
    since = forms.DateField(
        label=_("From (UTC)"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label=_("To, that day included (UTC)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    anonymous = forms.BooleanField(label=_("Leave out the names of people"), required=False)

    def __init__(self, data: Any, projects: list[Project], earlier: list[Earlier]) -> None:
        super().__init__(data)
        sizes = [(each.size, f"{each.size} ({each.at:%Y-%m-%d %H:%M} UTC)") for each in earlier]
        follows = [
            (f"first-{size}", _("Only what came after the bundle of size %s") % text) for size, text in sizes
        ]
        compared = [
            (f"previous-{size}", _("Everything, proved to go on from the bundle of size %s") % text)
            for size, text in sizes
        ]
        self.fields["start"].choices = [("", _("Everything")), *follows, *compared]  # type: ignore[attr-defined]
        self.fields["project"].choices = [(each.key, each.name) for each in projects]  # type: ignore[attr-defined]

    @property
    def selection(self) -> Selection:
        """What was chosen; the form must be valid."""
        chosen = self.cleaned_data
        kind, _dash, size = chosen["start"].partition("-")
        return Selection(
            first=int(size) if kind == "first" else 0,
            previous=int(size) if kind == "previous" else 0,
            projects=tuple(chosen["project"]),
            since=_midnight(chosen["since"]),
            until=_midnight(chosen["until"], timedelta(days=1)),
            disclosures=not chosen["anonymous"],
        )


@dataclass(frozen=True, slots=True)
class Earlier:
    """An export that was made before: the size of its bundle, and when."""

    size: int
    at: datetime


class ExportPage(Page):
    """The bundle for compliance staff. The choice is in the address; taking it is a POST, as it is recorded."""

    verb = "audit.export"
    template = "countersign/export.html"
    title = _("Export evidence")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._page(self._form(request.GET), request.GET)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        require_everywhere(self.actor, "audit.export")
        form = self._form(request.POST)
        if not form.is_valid():
            return self._page(form, request.POST, 422)
        try:
            export = record_export(self.actor, form.selection)
        except SelectionError as error:
            form.add_error(None, str(error))
            return self._page(form, request.POST, 422)
        # The page there begins to take it, once.
        return HttpResponseRedirect(reverse("admin:audit-exported", args=[export.event.pk]) + "#take")

    def _form(self, data: Any) -> ExportForm:
        return ExportForm(data, list(Project.objects.order_by("name", "key")), _earlier())

    def _page(self, form: ExportForm, data: QueryDict, status: int = 200) -> HttpResponse:
        try:
            require_everywhere(self.actor, "audit.export")
        except ForbiddenError as error:
            return self.show(refusal=str(error))
        numbers: Contents | None = None
        if form.is_valid():
            try:
                numbers = contents(form.selection)
            except SelectionError as error:
                form.add_error(None, str(error))
        chosen = [(name, value) for name in form.fields for value in data.getlist(name)]
        made = list(_own(self.actor.id).order_by("-time")[:MADE])
        return self.show(form=form, numbers=numbers, chosen=chosen, made=made, status=status)


class _ExportedPage(Page):
    """Something about an export that one recorded oneself; those of others are theirs to take."""

    verb = "audit.export"

    def find(self, event: UUID) -> Event:
        """The export's event. Raises Http404, or `ForbiddenError`."""
        require_everywhere(self.actor, "audit.export")
        row = _own(self.actor.id).filter(pk=event).select_related("log").first()
        if row is None:
            raise Http404
        return row

    def how_far(self, event: Event) -> dict[str, Any]:
        """What the template says of how far it is; `said`: in tenths, what was read out last."""
        taking = Taking.objects.filter(event=event, person=self.actor.id).first()
        # Who has just begun is not heard of yet.
        begins = taking is None and "begun" in self.request.GET
        runs = begins or (taking is not None and taking.state == Taking.State.RUNNING)
        broke_off = runs and taking is not None and timezone.now() - taking.updated_at > SILENCE
        tenths = 10 * taking.done // max(taking.total, 1) if taking else 0
        return {
            "event": event,
            "taking": taking,
            "begins": begins,
            "broke_off": broke_off,
            "running": runs and not broke_off,
            "tenths": tenths,
            "percent": 10 * tenths,
            "is_news": self.request.GET.get("said") != str(tenths) or not runs or broke_off,
        }


class ExportedPage(_ExportedPage):
    """An export that was recorded: what it holds, how far it is, and the bundle to take, again too."""

    template = "countersign/exported.html"

    def get(self, request: HttpRequest, event: UUID) -> HttpResponse:
        row = self.find(event)
        title = _("Export at %d events") % row.index
        chosen = Selection.from_data(json.loads(row.line)["data"])
        return self.show(title=title, chosen=chosen, **self.how_far(row))


class ProgressPage(_ExportedPage):
    """How far it is, as the fragment that the page asks for every second."""

    def get(self, request: HttpRequest, event: UUID) -> HttpResponse:
        context = {"is_fragment": True, **self.how_far(self.find(event))}
        return render(request, "countersign/export_progress.html", context)


class BundlePage(_ExportedPage):
    """The bundle itself. That it is taken was recorded when it was asked for."""

    def get(self, request: HttpRequest, event: UUID) -> HttpResponseBase:
        row = self.find(event)
        name = f"countersign-evidence-{row.time:%Y-%m-%dT%H%M%SZ}"
        pieces = bundle_zip.stream(name, taken(recorded(row), self.actor.id))
        try:
            # What is found wrong at the start is still told on a page; later, on the page that asks how far it is.
            first = next(pieces)
        except LedgerError:
            return redirect("admin:audit-exported", row.pk)
        return attachment(chain([first], pieces), f"{name}.zip", "application/zip")


def _own(person: str) -> QuerySet[Event]:
    return Event.objects.filter(project="", type=EXPORTED, actor=person)


def _earlier() -> list[Earlier]:
    """The newest exports of the open log, by the size of their bundles."""
    log = current_log()
    over = Checkpoint.objects.filter(log=log, size__gt=OuterRef("index")).order_by("size")
    events = Event.objects.filter(log=log, project="", type=EXPORTED).order_by("-index")
    # One of an earlier log is recorded here, and its size is not of this log.
    events = events.exclude(line__contains='"log":"')
    made = events.annotate(size=Subquery(over.values("size")[:1])).values_list("size", "time")[:SHOWN]
    return [Earlier(size, at) for size, at in made if size]


def _midnight(day: date | None, later: timedelta = timedelta()) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC) + later


_ONE = "audit/export/<uuid:event>/"
urlpatterns = [
    path("audit/export", ExportPage.as_view(), name="audit-export"),
    path(_ONE, ExportedPage.as_view(), name="audit-exported"),
    path(f"{_ONE}progress", ProgressPage.as_view(), name="audit-export-progress"),
    path(f"{_ONE}bundle", BundlePage.as_view(), name="audit-export-bundle"),
]
