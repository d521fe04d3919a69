"""The page of a request: who wants what and why, what it would do, what stands in its way, and who can do what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.permissions import display_names
from approvals import rollback, workflow
from approvals.admin import inbox
from approvals.admin.deciding import BadTimeError, ScheduleForm, carry_out, number_in
from approvals.admin.live import state_of
from approvals.admin.since import Since, since
from approvals.admin.threads import Thread, at_lines, threads_of
from approvals.admin.timeline import timeline, told_of
from approvals.effects import Effect, effects_of, extent, grouped, sentences_of
from approvals.inverse import LABEL
from approvals.looks import look
from approvals.models import ChangeRequest, Review
from approvals.waiting import waiting_for
from approvals.workflow import Basis, Divergence, GateError
from flags import personal
from flags.subjects import Subject


@dataclass(frozen=True, slots=True)
class Drift:
    """A subject that changed since the request was made for it."""

    subject: Subject
    found: Divergence
    sentences: tuple[str, ...]
    members: tuple[dict[str, Any], ...]


class ReviewPage(Page):
    """One change request."""

    template = "countersign/request.html"

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        return self._show(inbox.find(self, number))

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = inbox.find(self, number)
        try:
            then = carry_out(self, row, request.POST.get("verb", ""))
        except GateError as error:
            self.complain(error)
            row.refresh_from_db()
            return self._show(row, status=409)
        except BadTimeError as error:
            self.complain(" ".join(str(text) for texts in error.form.errors.values() for text in texts))
            return self._show(row, status=422, schedule_form=error.form)
        if "next-one" in request.POST and (following := self._following(row)):
            return self.go("request", following)
        return self.go("request", then.number)

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
        parent = threads.get(number_in(asked.get("parent", "")) or 0)
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
        basis = Basis(row)
        environments = basis.reads.rows(row.project.environments.all())
        effects = effects_of(row.change, environments)
        reviews = list(row.reviews.select_related("event"))
        before = look(self.actor, row)
        seen_at = before.at if before else None
        reached = set(row.environments.values_list("pk", flat=True))
        events = told_of(row)
        current = [r for r in reviews if r.change_id == row.change_id and r.digest == row.digest]
        approved = {r.reviewer for r in current if r.verdict == Review.Verdict.APPROVED}
        standing = basis.approvers if approved else set()
        names = display_names(
            {row.proposer, *(r.reviewer for r in reviews), *(event.actor for event in events)}
            | {r.resolved_by for r in reviews if r.resolved_by}
        )
        threads = threads_of(reviews, names, self.actor.id, seen_at)
        judged = {r.reviewer for r in current if r.verdict != Review.Verdict.COMMENTED}
        possible = self._possible(row, basis, judged)
        drifts = self._drifts(basis, effects) if row.is_open else []
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
            "timeline": timeline(events, reviews, names, threads, self.actor.id, seen_at),
            "lines": at_lines(threads),
            "unresolved": sum(1 for each in threads.values() if each.opener.row.resolved_at is None),
            "on": self._answered(threads),
            "since": self._since(row, before.revision if before else row.revision),
            "seen_at": seen_at,
            "live_state": state_of(row),
            **self._way(row),
            "way_back": rollback.inverse_of(row) if row.state == ChangeRequest.State.APPLIED else None,
            "back_effects": [effect for effect in effects if effect.label == LABEL and not row.plan_id],
            "why_not_at_once": workflow.why_not_at_once(row, basis),
            "reverted_by": list(row.reverted_by.order_by("pk")),
            "taken_back": row.taken_back.first(),
            "drifts": drifts,
            "can_rebase": bool(drifts) and not any(drift.found.collisions for drift in drifts),
            "findings": workflow.check_request(row, self.actor, basis) if row.is_open else [],
            "may_revert": basis.on_call_may_revert,
            "not_before": _time(row.change.get("not_before")),
            "schedule_form": ScheduleForm.of(row),
        }
        return self.show(status=status, **{**shown, **possible, **more})

    def _since(self, row: ChangeRequest, seen: int) -> Since | None:
        """What changed since the revision that the address names, or else since the one seen last."""
        return since(row, number_in(self.request.GET.get("since", "")) or seen)

    def _possible(self, row: ChangeRequest, basis: Basis, judged: set[str]) -> dict[str, Any]:
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
        wanted = workflow.still_wanted(basis) if row.is_open else []
        ready = row.state == ChangeRequest.State.APPROVED
        return {
            "can_review": row.is_open and may_review,
            "why_not": why_not,
            "reviewers": sorted({name for each in wanted for name in each.who}),
            "wanted": wanted,
            "asked_by": basis.needs.asked_by if row.is_open else (),
            "can_confirm": row.confirm_by is not None and self.holds("change.apply"),
            "can_apply": ready and self.holds("change.apply"),
            "can_schedule": row.is_open and self.holds("change.schedule"),
            "can_withdraw": row.is_open and own and self.holds("change.propose"),
            "can_edit": row.is_open and own and self.holds("change.propose") and row.plan_id is None,
            "can_ask_again": row.state == ChangeRequest.State.LAPSED and own and self.holds("change.propose"),
            "can_comment": self.holds("change.comment"),
            "is_later": row.scheduled_at is not None and row.scheduled_at > timezone.now(),
        }

    def _drifts(self, basis: Basis, effects: list[Effect]) -> list[Drift]:
        """What changed under an open request: it cannot be applied as it is."""
        first = {effect.text: effect for effect in reversed(effects)}
        found = []
        for each in basis.divergences:
            effect = first[each.subject]
            said = sentences_of(effect.subject, effect.place, effect.before, each.now.document)
            found.append(Drift(effect.subject, each, said, tuple(member.told for member in each.members)))
        return found


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
