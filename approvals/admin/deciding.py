"""The verbs of a request's page: what was posted is done by the gate, and said."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from approvals import again, workflow
from approvals.admin.asking import AT, BY_HAND, AskForm
from approvals.models import ChangeRequest
from approvals.policy_document import Requirements


def carry_out(page: Page, row: ChangeRequest, verb: str) -> ChangeRequest:
    """Do it, and return the request to show then: another one where it was proposed again.

    Raises `GateError` and `BadTimeError`.
    """
    posted = page.request.POST
    text, digest = posted.get("comment", ""), posted.get("digest", "")
    match verb:
        case "approve":
            made = workflow.approve(page.actor, row, digest=digest, comment=text)
            if made.state == ChangeRequest.State.APPLIED:
                page.say(_("Approved, and applied now."))
            elif made.problem:
                page.complain(_("Approved, but not applied: %s") % made.problem)
            else:
                page.say(_("Approved."))
        case "reject":
            workflow.reject(page.actor, row, digest=digest, comment=text)
            page.say(_("Rejected. Nothing of it will be carried out."))
        case "comment":
            workflow.comment(
                page.actor,
                row,
                text,
                subject=posted.get("subject", ""),
                pointer=posted.get("pointer", ""),
                parent=number_in(posted.get("parent", "")),
            )
            page.say(_("Comment added."))
        case "resolve" | "reopen":
            thread = number_in(posted.get("thread", "")) or 0
            workflow.resolve(page.actor, row, thread, resolved=verb == "resolve")
            page.say(_("Marked as resolved.") if verb == "resolve" else _("Open again."))
        case "withdraw":
            workflow.withdraw(page.actor, row)
            page.say(_("Withdrawn. Nothing of it will be carried out."))
        case "apply":
            workflow.apply(page.actor, row)
            page.say(_("Applied."))
        case "schedule":
            _schedule(page, row)
        case "confirm":
            workflow.confirm(page.actor, row)
            page.say(_("Confirmed: it stays."))
        case "revert-at-once":
            workflow.revert_at_once(page.actor, row)
            page.say(_("Taken back. A reviewer owes this a look."))
        case "rebase":
            made = workflow.rebase(page.actor, row)
            page.say(
                _("%s has what changed meanwhile and what was asked for. It is reviewed anew.")
                % made.change_id
            )
        case "again":
            made = again.propose_again(page.actor, row)
            page.say(_("Proposed again, for what stands now. It is reviewed anew."))
            return made
        case _unknown:
            page.complain(_("Nothing was done: the page sent no verb that is known here."))
    return row


def _schedule(page: Page, row: ChangeRequest) -> None:
    form = ScheduleForm(page.request.POST, needs=Requirements(row.required_approvals))
    if not form.is_valid():
        raise BadTimeError(form)
    at = form.cleaned_data["moment"] if form.cleaned_data["when"] == AT else None
    workflow.schedule(page.actor, row, at)
    page.say(_("Scheduled.") if at else _("It waits until somebody applies it."))


class ScheduleForm(AskForm):
    """When an open request is applied; why, for which ticket and until when are part of the request already."""

    rationale = None  # type: ignore[assignment]
    ticket = None  # type: ignore[assignment]
    confirm_minutes = None  # type: ignore[assignment]
    ends = None  # type: ignore[assignment]

    def __init__(self, *args: Any, needs: Requirements, **kwargs: Any) -> None:
        forms.Form.__init__(self, *args, **kwargs)
        self.needs = needs
        self.fields["when"].choices = [(AT, _("At a time")), (BY_HAND, _("When somebody applies it"))]  # type: ignore[attr-defined]

    @classmethod
    def of(cls, row: ChangeRequest) -> ScheduleForm:
        """As it stands before anybody typed anything."""
        initial = {"when": AT if row.scheduled_at else BY_HAND, "zone": "UTC"}
        return cls(needs=Requirements(row.required_approvals), initial=initial)


class BadTimeError(Exception):
    """The time that was asked for is none; the form says why."""

    def __init__(self, form: ScheduleForm) -> None:
        super().__init__()
        self.form = form


def number_in(text: str) -> int | None:
    """The number that an address or a form names; None: it names none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
