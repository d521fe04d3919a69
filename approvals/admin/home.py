"""Where one lands: what waits for whoever looks, what is about to happen, what happened, and how it all is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page, without_project
from access.admin.place import place_of
from access.models import Delivery
from access.permissions import display_names
from approvals.admin.first_steps import first_steps
from approvals.admin.inbox import approvals_of
from approvals.admin.told_coming import days_of, entry
from approvals.coming import coming
from approvals.models import ChangeRequest, Emergency, Review
from approvals.waiting import overdue_in, waiting_for
from audit.ledger import current_log
from audit.models import Checkpoint
from distribution.models import Snapshot
from flags.models import Environment, RolloutPlan
from flags.stages import read_stages
from flags.subjects import Subject

DAYS = 14
# Of each list; the rest is one link away.
SHOWN = 5
IN_TIMELINE = 20
_PLAN = RolloutPlan.State


def home(request: HttpRequest) -> HttpResponse:
    """The home page of the project one was in last."""
    place = place_of(request)
    if place.project is None:
        return without_project(request, place)
    return redirect("admin:project-home", place.project.key)


@dataclass(frozen=True, slots=True)
class Happened:
    """A change that was applied, or an emergency."""

    at: datetime
    icon: str
    what: Any
    who: str
    detail: str
    request: ChangeRequest | None = None
    flag: str = ""


class HomePage(Page):
    """The project at a glance, for whoever looks. A fixed number of queries, whatever there is."""

    template = "countersign/project_home.html"
    title = _("Home")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        now = timezone.now()
        environments = list(self.project.environments.all())
        requests = ChangeRequest.objects.filter(project=self.project).prefetch_related("environments")
        reviews = list(self._reviews(requests))
        mine = list(self._mine(requests))
        emergencies = list(
            Emergency.objects.filter(project=self.project)
            .select_related("event", "request")
            .order_by("-killed_at")[: SHOWN + 1]
        )
        debts = list(self._debts())
        applied = list(
            requests.filter(state=ChangeRequest.State.APPLIED, applied_at__isnull=False)
            .prefetch_related("reviews")
            .order_by("-applied_at")[: SHOWN + 1]
        )
        names = display_names(
            {row.proposer for row in (*reviews, *applied)}
            | {review.reviewer for row in applied for review in row.reviews.all()}
            | {each.killed_by for each in (*emergencies, *debts)}
        )
        plans = self._plans()
        return self.show(
            now=now,
            steps=first_steps(self, environments),
            reviews=[{"request": row, "who": names[row.proposer]} for row in reviews[:SHOWN]],
            more_reviews=len(reviews) > SHOWN,
            debts=[
                {"emergency": each, "who": names[each.killed_by], **_about(each, environments)}
                for each in debts
            ],
            go_aheads=[each for each in plans if each["waits"]] if self.holds("change.approve") else [],
            mine=[{"request": row, **_needs(row)} for row in mine[:SHOWN]],
            more_mine=len(mine) > SHOWN,
            plans=plans[:SHOWN],
            more_plans=len(plans) > SHOWN,
            happened=_happened(applied, emergencies, environments, names)[: SHOWN + 3],
            health=self._health(environments),
            **self._timeline(now),
        )

    def _reviews(self, requests: Any) -> Iterable[ChangeRequest]:
        """The oldest that wait for a verdict of whoever looks."""
        if not self.holds("change.approve"):
            return []
        rows: Iterable[ChangeRequest] = waiting_for(self.actor, requests).order_by("pk")[: SHOWN + 1]
        return rows

    def _mine(self, requests: Any) -> Iterable[ChangeRequest]:
        """Open ones of whoever looks, and applied ones that go back unless confirmed; those first."""
        rows = requests.filter(proposer=self.actor.id)
        open_ones = rows.filter(state__in=ChangeRequest.OPEN) | rows.filter(
            state=ChangeRequest.State.APPLIED, confirm_by__isnull=False
        )
        found: Iterable[ChangeRequest] = open_ones.prefetch_related("reviews").order_by("confirm_by", "-pk")[
            : SHOWN + 1
        ]
        return found

    def _debts(self) -> Iterable[Emergency]:
        """Reviews that are owed and that whoever looks may pay; of an earlier ledger nobody can any more."""
        if not self.holds("emergency.review"):
            return []
        rows: Iterable[Emergency] = (
            Emergency.objects.filter(project=self.project, reviewed_at=None, event__log=current_log())
            .exclude(killed_by=self.actor.id)
            .select_related("event", "request")
            .order_by("due_at")[:SHOWN]
        )
        return rows

    def _plans(self) -> list[dict[str, Any]]:
        rows = RolloutPlan.objects.filter(
            environment__project=self.project, state__in=(_PLAN.RUNNING, _PLAN.WAITING, _PLAN.PAUSED)
        ).select_related("flag", "environment")
        return [_progress(plan) for plan in rows.order_by("next_at", "pk")[: SHOWN + 1]]

    def _timeline(self, now: datetime) -> dict[str, Any]:
        start = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), UTC)
        dates = [(start + timedelta(days=number)).date() for number in range(DAYS)]
        found = coming(self.project, now, start + timedelta(days=DAYS))
        entries = [entry(self.project, each) for each in found]
        days = days_of(entries, dates, UTC, now)
        listed, left = [], IN_TIMELINE
        for day in days:
            # A freeze is told on the day on which it begins, or, if it holds already, on the first.
            begun = [
                each
                for each in day.freezes
                if day.is_today or each.coming.at.astimezone(UTC).date() == day.date
            ]
            shown = [*begun, *day.entries][:left]
            left -= len(shown)
            if shown:
                listed.append({"day": day, "entries": shown})
        return {"days": days, "listed": listed, "more_coming": not left}

    def _health(self, environments: list[Environment]) -> dict[str, Any]:
        """What whoever looks may know of how things are."""
        newest = Snapshot.newest(environments)
        found: dict[str, Any] = {
            "snapshots": [
                {
                    "environment": each,
                    "at": newest[each.pk]["at"] if each.pk in newest else None,
                    "is_behind": each.pk not in newest or newest[each.pk]["version"] < each.revision,
                }
                for each in environments
            ],
            "overdue": overdue_in(self.project).count(),
        }
        if self.holds("audit.view"):
            found["checkpoint"] = Checkpoint.objects.order_by("-pk").first()
        if self.holds("webhook.manage"):
            found["failed"] = Delivery.objects.filter(
                notification__project=self.project,
                person=None,
                state=Delivery.State.GIVEN_UP,
                finished_at__gte=timezone.now() - timedelta(days=7),
            ).count()
        return found


def _needs(row: ChangeRequest) -> dict[str, Any]:
    """What a request still waits for, in words, and whether its proposer is the one to act."""
    if row.state == ChangeRequest.State.APPLIED:
        return {"needs": _("confirm it, or it goes back"), "at": row.confirm_by, "is_yours": True}
    if row.problem:
        return {"needs": _("has a problem: look at it"), "at": None, "is_yours": True}
    if row.state == ChangeRequest.State.IN_REVIEW:
        given = approvals_of(row)
        words = _("%(given)d of %(all)d approvals") % {"given": given, "all": row.required_approvals}
        return {"needs": words, "at": None, "is_yours": False}
    if row.scheduled_at:
        return {"needs": _("is applied by itself"), "at": row.scheduled_at, "is_yours": False}
    return {"needs": _("approved: apply it"), "at": None, "is_yours": True}


def _progress(plan: RolloutPlan) -> dict[str, Any]:
    stages = read_stages(plan.stages)
    now = stages[plan.done - 1] if plan.done else None
    following = stages[plan.done] if plan.done < len(stages) else None
    return {
        "plan": plan,
        "waits": plan.state == _PLAN.WAITING,
        "share": now.words if now else "",
        "width": round(float(100 * now.share), 3) if now and now.weights is not None else None,
        "number": plan.done,
        "all": len(stages),
        "next": following.words if following else "",
        "at": plan.next_at if plan.state != _PLAN.PAUSED else None,
    }


def _about(emergency: Emergency, environments: Iterable[Environment]) -> dict[str, Any]:
    if emergency.request is not None:
        return {"name": emergency.request.change_id, "where": ""}
    subject = Subject.parse(emergency.subject)
    places = {each.key: each.name for each in environments}
    return {"name": subject.key, "where": places.get(subject.environment, subject.environment)}


def _happened(
    applied: Iterable[ChangeRequest],
    emergencies: Iterable[Emergency],
    environments: list[Environment],
    names: dict[str, str],
) -> list[Happened]:
    found = []
    for row in applied:
        approvers = sorted(
            {
                names[review.reviewer]
                for review in row.reviews.all()
                if review.verdict == Review.Verdict.APPROVED and review.digest == row.digest
            }
        )
        said = [", ".join(each.name for each in row.environments.all())]
        if approvers:
            said.append(str(_("approved by %s") % ", ".join(approvers)))
        assert row.applied_at is not None
        detail = " · ".join(part for part in said if part)
        found.append(
            Happened(row.applied_at, "check_circle", row.title, names[row.proposer], detail, request=row)
        )
    for each in emergencies:
        about, who = _about(each, environments), names[each.killed_by]
        if each.request is not None:
            what = _("%s taken back at once") % about["name"]
            found.append(Happened(each.killed_at, "undo", what, who, "", request=each.request))
        else:
            what = _("%(flag)s killed in %(where)s") % {"flag": about["name"], "where": about["where"]}
            found.append(Happened(each.killed_at, "emergency_home", what, who, "", flag=about["name"]))
    return sorted(found, key=lambda each: each.at, reverse=True)
