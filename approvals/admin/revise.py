"""Editing one's own open request: a new revision, made for what stands now."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from approvals import workflow
from approvals.admin import inbox
from approvals.admin.asking import LARGEST_VERSION, DocumentField, WhyForm, place_error
from approvals.models import ChangeRequest
from approvals.workflow import ConflictError, GateError, InvalidError
from approvals.workflow.standing import standings
from flags.subjects import Subject


class ReviseForm(WhyForm):
    """Title, why, ticket, and the document of each operation as JSON."""

    title = forms.CharField(label=_("Title"), max_length=200)
    field_order = ("title", "rationale", "ticket")

    def __init__(self, *args: Any, subjects: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subjects = subjects
        for number, subject in enumerate(subjects):
            self.fields[f"after-{number}"] = DocumentField(label=_("Document"), help_text=subject)
            self.fields[f"base-{number}"] = forms.IntegerField(
                min_value=0, max_value=LARGEST_VERSION, widget=forms.HiddenInput
            )

    @property
    def documents(self) -> list[forms.BoundField]:
        return [self[f"after-{number}"] for number in range(len(self.subjects))]


class RevisePage(Page):
    """Approvals of the revision before do not carry over; the page says so."""

    verb = "change.propose"
    template = "countersign/request_edit.html"

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = self._find(number)
        now = standings(self.project, self._afters(row))
        initial: dict[str, Any] = {"title": row.title, "rationale": row.rationale, "ticket": row.ticket}
        for index, (subject, after) in enumerate(self._afters(row).items()):
            initial[f"after-{index}"] = after
            initial[f"base-{index}"] = now[subject].version
        return self._show(row, self._form(row, None, initial))

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = self._find(number)
        form = self._form(row, request.POST, {})
        if not form.is_valid():
            return self._show(row, form, 422)
        given = form.cleaned_data
        subjects = list(self._afters(row))
        try:
            made = workflow.revise(
                self.actor,
                row,
                [{"subject": text, "after": given[f"after-{n}"]} for n, text in enumerate(subjects)],
                title=given["title"],
                rationale=given["rationale"],
                ticket=given["ticket"],
                base={text: given[f"base-{n}"] for n, text in enumerate(subjects)},
                # The form does not ask for these: what was to wait, or to go back by itself, still is.
                **workflow.times_of(row),
            )
        except ConflictError as error:
            form.add_error(None, _("%s Open this page again to start from what stands now.") % error)
            return self._show(row, form, 409)
        except InvalidError as error:
            place_error(form, error)
            return self._show(row, form, 422)
        except GateError as error:
            self.complain(error)
            return self.go("request", number)
        self.say(_("%s asks for review anew; earlier approvals do not count for it.") % made.change_id)
        return self.go("request", number)

    def _find(self, number: int) -> ChangeRequest:
        row = inbox.find(self, number)
        if row.proposer != self.actor.id or not row.is_open or row.plan_id:
            raise Http404
        return row

    @staticmethod
    def _afters(row: ChangeRequest) -> dict[str, Any]:
        return {op["subject"]: op["after"] for op in row.change["operations"] if "label" not in op}

    def _form(self, row: ChangeRequest, data: Any, initial: dict[str, Any]) -> ReviseForm:
        needs = workflow.needs_of(self.project, row.change["operations"])
        return ReviseForm(data, needs=needs, subjects=list(self._afters(row)), initial=initial)

    def _show(self, row: ChangeRequest, form: ReviseForm, status: int = 200) -> HttpResponse:
        now = standings(self.project, self._afters(row))
        changes = [
            {"field": field, "subject": Subject.parse(text), "now": now[text], "base": form[f"base-{number}"]}
            for number, (text, field) in enumerate(zip(now, form.documents, strict=True))
        ]
        return self.show(
            status=status, title=_("Edit %s") % row.change_id, row=row, form=form, changes=changes
        )
