"""A new segment, and changing one: lists of keys and rows of constraints, tried as one types, through the gate."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page, holders
from approvals import drafting
from approvals.admin.asking import DocumentField, WhyForm, into_draft, place_error
from approvals.admin.constraint_rows import row_words, seen_attributes
from approvals.admin.contexts import examples, typed_context
from approvals.admin.once import change_once
from approvals.models import ChangeRequest
from approvals.policies import requirements
from approvals.policy_document import Requirements
from approvals.workflow import BlockedError, ConflictError, InvalidError
from countersign.document import DocumentError
from flags import personal, wording
from flags.admin.segment_samples import Contexts, expected_contexts, segment_samples
from flags.admin.segments import find
from flags.documents import Document, check_segment, environments_using
from flags.models import Segment, validate_key
from flags.subjects import Subject


class SegmentForm(WhyForm):
    """A segment's document: keys in and out as lists; rules as JSON, which the page's rows write."""

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
        """The document; where its three fields can be read."""
        members = {name: self.cleaned_data[name] for name in ("included", "excluded", "rules")}
        return {name: value for name, value in members.items() if value not in (None, [])}


class NewSegmentForm(SegmentForm):
    """The same with the key."""

    key = forms.CharField(label=_("Key"), max_length=128, validators=[validate_key], help_text=_("For good."))
    field_order = ("key", "included", "excluded", "rules")


class _SegmentFormPage(Page):
    """The form of a segment, and what it would come to, told as one types."""

    verb = "change.propose"
    template = "countersign/segment_form.html"
    effect_template = "countersign/segment_effect.html"

    # What an unsent form starts from: one's draft, or what stands there.
    started: Document | None = None

    def _show_form(
        self, form: SegmentForm, segment: Segment | None, status: int = 200, **more: Any
    ) -> HttpResponse:
        contexts = expected_contexts(self.project)
        seen = seen_attributes(self.project, [context for _sentence, context in contexts.values()])
        return self.show(
            status=status,
            form=form,
            segment=segment,
            known={"attributes": seen, "segments": []},
            examples=examples(seen),
            words={**row_words(), "rule": str(_("Rule %n"))},
            context_typed=self.request.POST.get("context", ""),
            **self._effect(form, segment, contexts),
            **more,
        )

    def _preview(self, form: SegmentForm, segment: Segment | None) -> HttpResponse:
        return self.show(self.effect_template, **self._effect(form, segment, expected_contexts(self.project)))

    def _effect(self, form: SegmentForm, segment: Segment | None, contexts: Contexts) -> dict[str, Any]:
        """Who is in it now and then, in words and by contexts; or what is wrong, and with which member."""
        before: Document | None = segment.document if segment else None
        after = self.started or before or {}
        if form.is_bound:
            form.is_valid()
            for name in ("included", "excluded", "rules"):
                if name in form.errors:
                    return {"problem": {"member": name, "reason": " ".join(map(str, form.errors[name]))}}
            after = form.document
        context, wrong = typed_context(self.request)
        typed = None if context is None else (str(_("The context you typed")), context)
        try:
            check_segment(segment.key if segment else "new", after)
            samples = segment_samples(contexts, before, after, typed=typed)
        except DocumentError as error:
            return {"problem": {"member": error.member, "reason": error.reason}, "context_wrong": wrong}
        return {
            "who": wording.segment(after),
            "nothing": after == before,
            "samples": samples,
            "context_wrong": wrong,
            "addresses": personal.addresses_in([after], [str(form["rationale"].value() or "")]),
        }


class NewSegmentPage(_SegmentFormPage):
    """Asks for a new segment. No rule names it yet, so nothing has to be approved."""

    title = _("New segment")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show(NewSegmentForm(needs=Requirements()))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = NewSegmentForm(request.POST, needs=Requirements())
        if "preview" in request.POST:
            return self._preview(form, None)
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
        return self._show_form(form, None, status, button=_("Create segment"))


class EditSegmentPage(_SegmentFormPage):
    """Changes a segment under the strictest policy of the environments where it is used."""

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        segment = find(self, key)
        return self._show(segment, self._form(segment, None))

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        segment = find(self, key)
        form = self._form(segment, request.POST)
        if "preview" in request.POST:
            return self._preview(form, segment)
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
        self.started = self.edit.after if self.edit else None
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
        return self._show_form(
            form,
            segment,
            status,
            title=_("Edit segment %s") % segment.key,
            reached=self.reached,
            reviewers=holders(self.project, "change.approve", self.actor.id) if form.needs.approvals else [],
            drafted=wording.segment(self.edit.after) if self.edit else "",
            button=_("Ask for review") if form.needs.approvals else _("Change it now"),
            **more,
        )
