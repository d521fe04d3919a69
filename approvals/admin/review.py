"""The review page: who wants what and why, what it would do, and the verbs this person may use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page, holders
from access.holders import eligible
from access.permissions import display_names
from approvals import again, rollback, workflow
from approvals.admin import inbox
from approvals.admin.asking import AT, BY_HAND, AskForm
from approvals.admin.live import EVENT_WORDS, REVIEW_WORDS, state_of
from approvals.admin.since import Since, since
from approvals.admin.threads import Thread, at_lines, is_later, threads_of
from approvals.effects import Effect, effects_of, extent, grouped, sentences_of
from approvals.inverse import LABEL
from approvals.looks import look
from approvals.merging import ABSENT
from approvals.models import ChangeRequest, Review
from approvals.policies import on_call_may_revert
from approvals.policy_document import Requirements
from approvals.standing import standings
from approvals.waiting import waiting_for
from approvals.workflow import Divergence, GateError
from audit.models import Event
from flags import personal
from flags.subjects import Subject


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    at: datetime
    icon: str
    who: str
    what: str
    text: str = ""
    revision: str = ""
    # The event's place in the ledger: several may bear the same time.
    index: int = -1
    is_new: bool = False
    # Of a comment: its row, and the thread that it opened.
    review: Review | None = None
    thread: Thread | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """A subject that changed since the request was made for it."""

    subject: Subject
    found: Divergence
    change_id: str
    sentences: tuple[str, ...]
    members: tuple[dict[str, Any], ...]


class ReviewPage(Page):
    """One change request."""

    template = "countersign/request.html"
    # The request that this one became, where it was proposed again.
    made: ChangeRequest | None = None

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        return self._show(inbox.find(self, number))

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = inbox.find(self, number)
        try:
            self._carry_out(row, request.POST.get("verb", ""))
        except GateError as error:
            self.complain(error)
            row.refresh_from_db()
            return self._show(row, status=409)
        except BadTimeError as error:
            self.complain(" ".join(str(text) for texts in error.form.errors.values() for text in texts))
            return self._show(row, status=422, schedule_form=error.form)
        if self.made is not None:
            return self.go("request", self.made.number)
        if "next-one" in request.POST and (following := self._following(row)):
            return self.go("request", following)
        return self.go("request", number)

    def _carry_out(self, row: ChangeRequest, verb: str) -> None:
        posted = self.request.POST
        text, digest = posted.get("comment", ""), posted.get("digest", "")
        match verb:
            case "approve":
                made = workflow.approve(self.actor, row, digest=digest, comment=text)
                if made.state == ChangeRequest.State.APPLIED:
                    self.say(_("Approved, and applied now."))
                elif made.problem:
                    self.complain(_("Approved, but not applied: %s") % made.problem)
                else:
                    self.say(_("Approved."))
            case "reject":
                workflow.reject(self.actor, row, digest=digest, comment=text)
                self.say(_("Rejected. Nothing of it will be carried out."))
            case "comment":
                workflow.comment(
                    self.actor,
                    row,
                    text,
                    subject=posted.get("subject", ""),
                    pointer=posted.get("pointer", ""),
                    parent=_number(posted.get("parent", "")),
                )
                self.say(_("Comment added."))
            case "resolve" | "reopen":
                workflow.resolve(
                    self.actor, row, _number(posted.get("thread", "")) or 0, resolved=verb == "resolve"
                )
                self.say(_("Marked as resolved.") if verb == "resolve" else _("Open again."))
            case "withdraw":
                workflow.withdraw(self.actor, row)
                self.say(_("Withdrawn. Nothing of it will be carried out."))
            case "apply":
                workflow.apply(self.actor, row)
                self.say(_("Applied."))
            case "schedule":
                self._schedule(row)
            case "confirm":
                workflow.confirm(self.actor, row)
                self.say(_("Confirmed: it stays."))
            case "revert-at-once":
                workflow.revert_at_once(self.actor, row)
                self.say(_("Taken back. A reviewer owes this a look."))
            case "rebase":
                made = workflow.rebase(self.actor, row)
                self.say(
                    _("%s has what changed meanwhile and what was asked for. It is reviewed anew.")
                    % made.change_id
                )
            case "again":
                self.made = again.propose_again(self.actor, row)
                self.say(_("Proposed again, for what stands now. It is reviewed anew."))
            case _unknown:
                self.complain(_("Nothing was done: the page sent no verb that is known here."))

    def _schedule(self, row: ChangeRequest) -> None:
        form = ScheduleForm(self.request.POST, needs=Requirements(row.required_approvals))
        if not form.is_valid():
            raise BadTimeError(form)
        at = form.cleaned_data["moment"] if form.cleaned_data["when"] == AT else None
        workflow.schedule(self.actor, row, at)
        self.say(_("Scheduled.") if at else _("It waits until somebody applies it."))

    def _following(self, row: ChangeRequest) -> int | None:
        """The next request that waits for this person; after the last, the first."""
        queue = [number for number in self._queue() if number != row.pk]
        return next((number for number in queue if number > row.pk), queue[0] if queue else None)

    def _queue(self) -> list[int]:
        """The numbers of all requests that wait for this person, the oldest first."""
        if not self.holds("change.approve"):
            return []
        waiting = waiting_for(self.actor, ChangeRequest.objects.filter(project=self.project))
        return list(waiting.order_by("pk").values_list("pk", flat=True))

    def _way(self, row: ChangeRequest) -> dict[str, Any]:
        """Where this request stands among those that wait for this person, and the ones beside it."""
        queue = self._queue()
        before = [number for number in queue if number < row.pk]
        after = [number for number in queue if number > row.pk]
        return {
            "queue_size": len(queue),
            "place_in_queue": len(before) + 1 if row.pk in queue else None,
            "previous_number": before[-1] if before else None,
            "next_number": after[0] if after else (before[0] if before else None),
        }

    def _answered(self, threads: dict[int, Thread]) -> dict[str, Any]:
        """What the comment that is about to be typed is on: of a form that came back, or of a link."""
        asked = self.request.POST if self.request.method == "POST" else self.request.GET
        parent = threads.get(_number(asked.get("parent", "")) or 0)
        if parent is not None:
            opener = parent.opener.row
            return {
                "parent": opener.pk,
                "subject": opener.subject,
                "pointer": opener.pointer,
                "who": parent.opener.who,
            }
        return {"subject": asked.get("subject", "")[:512], "pointer": asked.get("pointer", "")[:512]}

    def _show(self, row: ChangeRequest, status: int = 200, **more: Any) -> HttpResponse:
        environments = list(self.project.environments.all())
        effects = effects_of(row.change, environments)
        reviews = list(row.reviews.select_related("event"))
        before = look(self.actor, row)
        seen_at = before.at if before else None
        reached = set(row.environments.values_list("pk", flat=True))
        ids = [f"CR-{row.number}" + (f".{n}" if n > 1 else "") for n in range(1, row.revision + 1)]
        events = list(
            Event.objects.filter(change_id__in=ids, type__in=EVENT_WORDS).order_by("log_id", "index")[:200]
        )
        current = [r for r in reviews if r.change_id == row.change_id and r.digest == row.digest]
        approved = {r.reviewer for r in current if r.verdict == Review.Verdict.APPROVED}
        standing: set[str] = set()
        if approved:
            touched = workflow.touched_by_request(row)
            standing = eligible(approved - workflow.proposers(row), "change.approve", self.project, touched)
        names = display_names(
            {row.proposer, *(r.reviewer for r in reviews), *(event.actor for event in events)}
            | {r.resolved_by for r in reviews if r.resolved_by}
        )
        threads = threads_of(reviews, names, self.actor.id, seen_at)
        possible = self._possible(row, {r.reviewer for r in current if r.verdict != Review.Verdict.COMMENTED})
        drifts = self._drifts(row, effects) if row.is_open else []
        typed, is_verdict = self.request.POST.get("comment", ""), "digest" in self.request.POST
        shown: dict[str, Any] = {
            "title": f"{row.change_id} {row.title}",
            # What was typed is not lost with what it was typed for: where the verdict's form is gone, it
            # waits as a comment.
            "typed_verdict": typed if is_verdict and possible["can_review"] else "",
            "typed_comment": "" if is_verdict and possible["can_review"] else typed,
            "row": row,
            "addresses": personal.addresses_in(
                [operation["after"] for operation in row.change["operations"]],
                [row.title, row.rationale, row.ticket],
            ),
            "who": names[row.proposer],
            "ticket_link": self.project.ticket_link(row.ticket),
            "is_own": row.proposer == self.actor.id,
            "where": [each for each in environments if each.pk in reached],
            "extent": extent(row.change),
            "now_groups": grouped(effect for effect in effects if not effect.label),
            "later_effects": [
                effect for effect in effects if effect.label and (effect.label != LABEL or row.plan_id)
            ],
            "approvers": sorted(names[member] for member in standing),
            "lapsed": sorted(names[member] for member in approved - standing),
            "timeline": self._timeline(events, reviews, names, threads, seen_at),
            "lines": at_lines(threads),
            "unresolved": sum(1 for each in threads.values() if each.opener.row.resolved_at is None),
            "on": self._answered(threads),
            "since": self._since(row, before.revision if before else row.revision),
            "seen_at": seen_at,
            "live_state": state_of(row),
            **self._way(row),
            "way_back": rollback.inverse_of(row) if row.state == ChangeRequest.State.APPLIED else None,
            "back_effects": [effect for effect in effects if effect.label == LABEL and not row.plan_id],
            "why_not_at_once": workflow.why_not_at_once(row),
            "reverted_by": list(row.reverted_by.order_by("pk")),
            "taken_back": row.taken_back.first(),
            "drifts": drifts,
            "can_rebase": bool(drifts) and not any(drift.found.collisions for drift in drifts),
            "findings": workflow.check_request(row, self.actor) if row.is_open else [],
            "may_revert": on_call_may_revert(self.project, workflow.touched_by_request(row)),
            "not_before": _time(row.change.get("not_before")),
            "schedule_form": ScheduleForm(
                needs=Requirements(row.required_approvals),
                initial={"when": AT if row.scheduled_at else BY_HAND, "zone": "UTC"},
            ),
        }
        return self.show(status=status, **{**shown, **possible, **more})

    def _since(self, row: ChangeRequest, seen: int) -> Since | None:
        """What changed since the revision that the address names, or else since the one seen last."""
        return since(row, _number(self.request.GET.get("since", "")) or seen)

    def _possible(self, row: ChangeRequest, judged: set[str]) -> dict[str, Any]:
        """What this person may do, and where they may not, why, and who can."""
        own = row.proposer == self.actor.id
        may_review = self.holds("change.approve") and not own and self.actor.id not in judged
        why_not: Any = ""
        if row.is_open and not may_review:
            if own:
                why_not = _("This is your own change, so somebody else approves it.")
            elif self.actor.id in judged:
                why_not = _("You have reviewed this revision already.")
            else:
                why_not = _("Approving needs the role Reviewer or Administrator in this project.")
        wanted, needs = workflow.still_wanted(row) if row.is_open else ([], None)
        ready = row.state == ChangeRequest.State.APPROVED
        return {
            "can_review": row.is_open and may_review,
            "why_not": why_not,
            "reviewers": holders(self.project, "change.approve", row.proposer) if row.is_open else [],
            "wanted": wanted,
            "asked_by": needs.asked_by if needs else (),
            "can_confirm": row.confirm_by is not None and self.holds("change.apply"),
            "can_apply": ready and self.holds("change.apply"),
            "can_schedule": row.is_open and self.holds("change.schedule"),
            "can_withdraw": row.is_open and own and self.holds("change.propose"),
            "can_edit": row.is_open and own and self.holds("change.propose") and row.plan_id is None,
            "can_ask_again": row.state == ChangeRequest.State.LAPSED and own and self.holds("change.propose"),
            "can_comment": self.holds("change.comment"),
            "is_later": row.scheduled_at is not None and row.scheduled_at > timezone.now(),
        }

    def _drifts(self, row: ChangeRequest, effects: list[Effect]) -> list[Drift]:
        """What changed under an open request: it cannot be applied as it is."""
        first = {effect.text: effect for effect in reversed(effects)}
        diverged = workflow.divergences(row)
        now = standings(self.project, [each.subject for each in diverged])
        found = []
        for each in diverged:
            effect, standing = first[each.subject], now[each.subject]
            said = sentences_of(effect.subject, effect.place, effect.before, standing.document)
            members = tuple(
                {
                    "pointer": member.pointer,
                    "collides": member.collides,
                    **{name: _told(getattr(member, name)) for name in ("seen", "now", "proposed")},
                }
                for member in each.members
            )
            found.append(Drift(effect.subject, each, standing.change_id, said, members))
        return found

    def _timeline(
        self,
        events: list[Event],
        reviews: list[Review],
        names: dict[str, str],
        threads: dict[int, Thread],
        seen_at: datetime | None,
    ) -> list[Moment]:
        moments = []
        proposer = events[0].actor if events else ""
        icon: str
        what: Any
        for event in events:
            icon, what = EVENT_WORDS[event.type]
            moments.append(
                Moment(
                    event.time,
                    icon,
                    names[event.actor],
                    str(what),
                    "",
                    event.change_id,
                    event.index,
                    is_later(event.time, seen_at) and event.actor != self.actor.id,
                )
            )
        for review in reviews:
            icon, what = REVIEW_WORDS[Review.Verdict(review.verdict)]
            if review.verdict == Review.Verdict.REJECTED and review.reviewer == proposer:
                icon, what = "undo", _("took it back")
            if review.parent_id is not None:
                icon, what = "reply", _("answered")
            moments.append(
                Moment(
                    # A verdict's time is the ledger's, like that of the events around it.
                    review.event.time if review.event else review.created_at,
                    icon,
                    names[review.reviewer],
                    str(what),
                    review.comment,
                    review.change_id,
                    review.event.index if review.event else -1,
                    is_later(review.created_at, seen_at) and review.reviewer != self.actor.id,
                    review,
                    threads.get(review.pk),
                )
            )
        return sorted(moments, key=lambda each: (each.at, each.index))


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


class BadTimeError(Exception):
    """The time that was asked for is none; the form says why."""

    def __init__(self, form: ScheduleForm) -> None:
        super().__init__()
        self.form = form


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _told(value: Any) -> str:
    return "–" if value is ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
