"""Segments: who is in them, where they are used, and changing them through the gate."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page, holders
from approvals import drafting
from approvals.admin.asking import DocumentField, WhyForm, into_draft, place_error
from approvals.admin.once import change_once
from approvals.admin.pending import open_by_subject
from approvals.models import ChangeRequest
from approvals.policies import requirements
from approvals.policy_document import Requirements
from approvals.workflow import BlockedError, ConflictError, InvalidError
from flags import personal, wording
from flags.documents import Document, configurations_with, environments_using, segments_named
from flags.models import FlagConfiguration, Project, Segment, validate_key
from flags.subjects import Subject

PAGE_SIZE = 50


def uses(project: Project) -> dict[str, list[FlagConfiguration]]:
    """By segment, the configurations whose rules name it. Two queries."""
    found: dict[str, list[FlagConfiguration]] = defaultdict(list)
    for configuration in configurations_with("in_segment", project.environments.all()):
        for key in segments_named(configuration.document):
            found[key].append(configuration)
    return found


class SegmentListPage(Page):
    """Segments of a project with who is in them and where they are used."""

    template = "countersign/segment_list.html"
    title = _("Segments")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        segments = Segment.objects.filter(project=self.project)
        if text := request.GET.get("q", "").strip()[:200]:
            segments = segments.filter(key__icontains=text)
        page = Paginator(segments, PAGE_SIZE).get_page(request.GET.get("page"))
        used = uses(self.project)
        rows = [
            {
                "segment": segment,
                "words": wording.segment(segment.document),
                "uses": len(used.get(segment.key, ())),
            }
            for segment in page.object_list
        ]
        return self.show(page=page, rows=rows, is_filtered=bool(text))


class SegmentPage(Page):
    """One segment."""

    template = "countersign/segment.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        segment = find(self, key)
        return self.show(
            title=segment.key,
            segment=segment,
            words=wording.segment(segment.document),
            addresses=personal.addresses_in([segment.document]),
            uses=uses(self.project).get(key, []),
            pending=open_by_subject(self.project).get(segment.ledger_subject, []),
            subject=f"segment/{segment.key}",
        )


class SegmentForm(WhyForm):
    """A segment's document: keys in and out as lists, rules as JSON."""

    included = forms.CharField(
        label=_("Always in"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "cs-code"}),
        help_text=_("Targeting keys, one a line. They are data of your customers': prefer ids to addresses."),
    )
    excluded = forms.CharField(
        label=_("Never in"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "cs-code"}),
        help_text=_("Targeting keys, one a line: ids, as above."),
    )
    rules = DocumentField(
        label=_("Rules"),
        required=False,
        rows=10,
        help_text=_(
            "A list of rules; each is a list of constraints that all hold, such as "
            '[[{"attribute": "country", "operator": "in", "values": ["DE", "AT"]}]].'
        ),
    )
    base = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def _lines(self, name: str) -> list[str]:
        found = [line.strip() for line in self.cleaned_data[name].splitlines()]
        return list(dict.fromkeys(line for line in found if line))

    def clean_included(self) -> list[str]:
        return self._lines("included")

    def clean_excluded(self) -> list[str]:
        return self._lines("excluded")

    @property
    def document(self) -> Document:
        members = {name: self.cleaned_data[name] for name in ("included", "excluded", "rules")}
        return {name: value for name, value in members.items() if value not in (None, [])}


class NewSegmentForm(SegmentForm):
    """The same with the key."""

    key = forms.CharField(label=_("Key"), max_length=128, validators=[validate_key], help_text=_("For good."))
    field_order = ("key", "included", "excluded", "rules")


class NewSegmentPage(Page):
    """Asks for a new segment. No rule names it yet, so nothing has to be approved."""

    verb = "change.propose"
    template = "countersign/segment_form.html"
    title = _("New segment")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show(NewSegmentForm(needs=Requirements()))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = NewSegmentForm(request.POST, needs=Requirements())
        if not form.is_valid():
            return self._show(form, 422)
        key = form.cleaned_data["key"]
        subject = str(Subject("segment", self.project.key, key))
        try:
            if form.goes_to_draft:
                return into_draft(
                    self, subject, form.document, 0, reverse("admin:draft", args=[self.project.key])
                )
            change_once(
                self.actor,
                self.project,
                [{"subject": subject, "after": form.document}],
                title=f"New segment {key}"[:200],
                rationale=form.cleaned_data["rationale"],
                ticket=form.cleaned_data["ticket"],
                base={subject: 0},
            )
        except ConflictError:
            form.add_error("key", _("There is a segment with this key already; choose another one."))
            return self._show(form, 409)
        except BlockedError as error:
            form.add_error(None, str(error))
            return self._show(form, 409)
        except InvalidError as error:
            place_error(form, error)
            return self._show(form, 422)
        self.say(_("Segment %s is there. Rules of flags can name it now.") % key)
        return self.go("segment", key)

    def _show(self, form: SegmentForm, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Create segment"))


class EditSegmentPage(Page):
    """Changes a segment under the strictest policy of the environments where it is used."""

    verb = "change.propose"
    template = "countersign/segment_form.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        segment = find(self, key)
        return self._show(segment, self._form(segment, None))

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        segment = find(self, key)
        form = self._form(segment, request.POST)
        if not form.is_valid():
            return self._show(segment, form, 422)
        try:
            if form.goes_to_draft:
                back = reverse("admin:segment", args=[self.project.key, key])
                base = form.cleaned_data["base"] or 0
                return into_draft(self, segment.ledger_subject, form.document, base, back)
            made = change_once(
                self.actor,
                self.project,
                [{"subject": segment.ledger_subject, "after": form.document}],
                title=f"Change segment {segment.key}"[:200],
                rationale=form.cleaned_data["rationale"],
                ticket=form.cleaned_data["ticket"],
                base={segment.ledger_subject: form.cleaned_data["base"] or 0},
            )
        except ConflictError:
            seen = segment.history.filter(version=form.cleaned_data["base"]).first()
            said = wording.segment_effects(segment.key, seen.document if seen else None, segment.document)
            data = request.POST.copy()
            data["base"] = str(segment.version)
            conflict = {"effects": said, "seen": form.cleaned_data["base"]}
            return self._show(segment, self._form(segment, data), 409, conflict=conflict)
        except BlockedError as error:
            form.add_error(None, str(error))
            return self._show(segment, form, 409)
        except InvalidError as error:
            if error.member.endswith(".after"):
                form.add_error(None, _("This is how it stands already; change something first."))
            else:
                place_error(form, error)
            return self._show(segment, form, 422)
        if made.state == ChangeRequest.State.APPLIED:
            self.say(_("Saved (%s).") % made.change_id)
            return self.go("segment", key)
        self.say(_("%s waits for review. Nothing has changed yet.") % made.change_id)
        return self.go("request", made.number)

    def _form(self, segment: Segment, data: Any) -> SegmentForm:
        self.edit = drafting.edit_of(self.actor, self.project, segment.ledger_subject)
        document = self.edit.after if self.edit else segment.document
        initial = {
            "included": "\n".join(document.get("included", ())),
            "excluded": "\n".join(document.get("excluded", ())),
            "rules": document.get("rules"),
            "base": self.edit.base if self.edit else segment.version,
        }
        self.reached = environments_using(segment.key, self.project.pk)
        return SegmentForm(data, needs=requirements(self.project, self.reached), initial=initial)

    def _show(self, segment: Segment, form: SegmentForm, status: int = 200, **more: Any) -> HttpResponse:
        return self.show(
            status=status,
            title=_("Edit segment %s") % segment.key,
            form=form,
            segment=segment,
            reached=self.reached,
            reviewers=holders(self.project, "change.approve", self.actor.id) if form.needs.approvals else [],
            drafted=wording.segment(self.edit.after) if self.edit else "",
            button=_("Ask for review") if form.needs.approvals else _("Change it now"),
            **more,
        )


def find(page: Page, key: str) -> Segment:
    """The project's segment of this key. Raises Http404."""
    segment: Segment | None = (
        Segment.objects.filter(project=page.project, key=key).select_related("project").first()
    )
    if segment is None:
        raise Http404
    return segment
