"""Whether a request is still as the page shows it: a small answer that the page asks for every few seconds."""

from __future__ import annotations

from typing import Any

from django.db.models import Max
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.permissions import display_names
from approvals.admin import inbox
from approvals.models import ChangeRequest, Review
from audit.models import Event
from flags.templatetags.countersign import distance

# What happened, as the timeline says it; verdicts come from reviews, which carry the comment.
EVENT_WORDS = {
    "approvals.v1.change_request.proposed": ("edit_note", _("asked for this")),
    "approvals.v1.change_request.scheduled": ("schedule", _("changed the time")),
    "approvals.v1.change_request.applied": ("check_circle", _("applied it")),
    "approvals.v1.change_request.reverted": ("undo", _("took it back")),
    "approvals.v1.change_request.confirmed": ("task_alt", _("confirmed it: it stays")),
    "approvals.v1.change_request.lapsed": ("history", _("opened a new ledger, and it lapsed")),
}
REVIEW_WORDS = {
    Review.Verdict.APPROVED: ("thumb_up", _("approved")),
    Review.Verdict.REJECTED: ("block", _("rejected")),
    Review.Verdict.COMMENTED: ("chat", _("said")),
}


class StatePage(Page):
    """The state of a request as one opaque text, and what happened last in words."""

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = inbox.find(self, number)
        state = state_of(row)
        tag = f'"{state}"'
        if request.headers.get("If-None-Match") == tag:
            answer: HttpResponse = HttpResponse(status=304)
        else:
            answer = JsonResponse({"state": state, "said": said_last(row)})
        answer["ETag"] = tag
        answer["Cache-Control"] = "no-cache, private"
        return answer


def state_of(row: ChangeRequest) -> str:
    """Another text whenever the request, or what was said to it, is another."""
    said = row.reviews.aggregate(last=Max("pk"), resolved=Max("resolved_at"))
    resolved = said["resolved"]
    parts: list[Any] = [row.revision, row.state, row.updated_at.timestamp(), said["last"] or 0]
    return "-".join(map(str, [*parts, resolved.timestamp() if resolved else 0]))


def said_last(row: ChangeRequest) -> str:
    """Who did what last, and how long ago."""
    review = row.reviews.order_by("-pk").first()
    events = Event.objects.filter(change_id=row.change_id, type__in=EVENT_WORDS)
    event = events.order_by("-log_id", "-index").first()
    found = []
    if review is not None:
        what = (
            _("commented")
            if review.verdict == "commented"
            else REVIEW_WORDS[Review.Verdict(review.verdict)][1]
        )
        found.append((review.created_at, review.reviewer, what))
    if event is not None:
        # A new revision is no first asking.
        what = (
            _("edited it")
            if event.type.endswith(".proposed") and row.revision > 1
            else EVENT_WORDS[event.type][1]
        )
        found.append((event.time, event.actor, what))
    if not found:
        return str(_("It changed."))
    at, who, what = max(found, key=lambda each: each[0])
    return f"{display_names({who})[who]} {what} ({distance(at)})."
