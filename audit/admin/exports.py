"""The export of evidence: choose, see in numbers what it will hold, take it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

from django import forms
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.permissions import ForbiddenError, require_everywhere
from audit import bundle_zip
from audit.admin.downloads import attachment
from audit.export import EXPORTED, record_export
from audit.ledger import current_log
from audit.models import Checkpoint, Event
from audit.selection import Contents, Selection, SelectionError, contents
from flags.models import Project

SHOWN = 20  # earlier exports


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
        name = f"countersign-evidence-{timezone.now():%Y-%m-%dT%H%M%SZ}"
        pieces = bundle_zip.stream(name, export.members())
        # What is found wrong at the start is still told on a page.
        return attachment(chain([next(pieces)], pieces), f"{name}.zip", "application/zip")

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
        return self.show(form=form, numbers=numbers, chosen=chosen, status=status)


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


urlpatterns = [path("audit/export", ExportPage.as_view(), name="audit-export")]
