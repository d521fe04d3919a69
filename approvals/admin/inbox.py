"""The list of change requests, and what waits for whom."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.admin.place import place_of
from access.admin.saved_views import views_shown
from access.permissions import display_names
from approvals import workflow
from approvals.admin.inbox_filters import AGES, SORTS, WHICH, Filters
from approvals.models import ChangeRequest, Emergency
from approvals.rollback import inverses_of
from approvals.waiting import waiting_for
from approvals.workflow import StateError
from audit.ledger import current_log
from flags.subjects import Subject

PAGE_SIZE = 30


def waiting_count(request: HttpRequest) -> int:
    """How many requests of the project one is in wait for the person who looks; for the sidebar."""
    place = place_of(request)
    if place.project is None or "change.approve" not in place.verbs:
        return 0
    return waiting_for(place.actor, ChangeRequest.objects.filter(project=place.project)).count()


class RequestListPage(Page):
    """Change requests of a project; on top, the kills that still owe a review."""

    template = "countersign/request_list.html"
    title = _("Change requests")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        asked = request.GET
        every: QuerySet[ChangeRequest] = ChangeRequest.objects.filter(project=self.project)
        environments = list(self.project.environments.all())
        filters = Filters(asked, self.actor, environments)
        rows = filters.narrowed(every)
        which = asked.get("which") if asked.get("which") in dict(WHICH) else "open"
        counts = filters.counts(rows)
        rows = filters.of_tab(which, rows)
        page = Paginator(
            rows.select_related("project", "plan")
            .prefetch_related("environments", "reviews", "reverted_by", "taken_back")
            .order_by(*filters.order),
            PAGE_SIZE,
        ).get_page(asked.get("page"))
        debts, log = self._debts(), current_log()
        found = list(page.object_list)
        inverses = inverses_of(found)
        places = {each.key: each.name for each in environments}
        authors = set(every.order_by().values_list("proposer", flat=True).distinct())
        names = display_names({row.proposer for row in found} | {debt.killed_by for debt in debts} | authors)
        return self.show(
            page=page,
            rows=[
                {
                    "request": row,
                    "who": names[row.proposer],
                    "approvals": approvals_of(row),
                    "revertible": inverses[row.pk].is_clean,
                }
                for row in found
            ],
            which=which,
            tabs=[(value, label, counts[value]) for value, label in WHICH],
            authors=sorted(((each, names[each]) for each in authors), key=lambda each: each[1]),
            ages=AGES,
            sorts=SORTS,
            filters=filters,
            **views_shown(self, "requests"),
            environments=environments,
            states=ChangeRequest.State.choices,
            is_filtered=filters.is_set,
            debts=[
                {
                    "emergency": debt,
                    "who": names[debt.killed_by],
                    **self._about(debt, places),
                    "is_own": debt.killed_by == self.actor.id,
                    "is_past": debt.event.log_id != log.pk,
                }
                for debt in debts
            ],
        )

    @staticmethod
    def _about(debt: Emergency, places: dict[str, str]) -> dict[str, Any]:
        if debt.request is not None:
            return {"request": debt.request, "name": debt.request.change_id}
        subject = Subject.parse(debt.subject)
        return {"key": subject.key, "name": subject.key, "where": places.get(subject.environment, "")}

    def _debts(self) -> list[Emergency]:
        debts = Emergency.objects.filter(project=self.project, reviewed_at=None).select_related(
            "event", "request"
        )
        # Those of an earlier ledger nobody can review any more; they stay owed, after those that somebody can.
        return list(debts.order_by("-event__log", "killed_at")[:20])


class EmergencyReviewPage(Page):
    """The button that pays a kill's debt."""

    verb = "emergency.review"

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        return self.go("request-list")

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        emergency = get_object_or_404(Emergency, project=self.project, pk=number)
        try:
            workflow.review_emergency(self.actor, emergency)
        except StateError as error:
            self.complain(error)
        else:
            self.say(_("Reviewed. What was done stands until somebody asks for a change."))
        return self.go("request-list")


def find(page: Page, number: int) -> ChangeRequest:
    """The project's request of this number. Raises Http404."""
    rows = ChangeRequest.objects.select_related("project", "plan")
    row: ChangeRequest | None = rows.filter(project=page.project, pk=number).first()
    if row is None:
        raise Http404
    return row


def approvals_of(row: ChangeRequest) -> int:
    """How many approved the revision that stands; from the prefetched reviews."""
    reviews: Any = row.reviews.all()
    return len({r.reviewer for r in reviews if r.verdict == "approved" and r.digest == row.digest})
