"""Rollout plans: proposing one, watching it, pausing, resuming, aborting."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from approvals import rollouts
from approvals.admin.asking import WhyForm, place_error
from approvals.admin.switch import ConfigurationPage
from approvals.models import ChangeRequest
from approvals.policies import requirements, touched_flag
from approvals.workflow import GateError, InvalidError
from flags import wording
from flags.admin import drafts
from flags.models import Flag, RolloutPlan

PAGE_SIZE = 30
HOUR = 3_600
STAGES = 6  # rows of the form
# Fields of a row that may stay empty.
_DEFAULT_STAGES = ((Decimal(5), 24), (Decimal(25), 24), (Decimal(50), 24), (Decimal(100), 0))


class PlanListPage(Page):
    """The plans of a project, running ones first."""

    template = "countersign/plan_list.html"
    title = _("Rollout plans")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        plans = (
            RolloutPlan.objects.filter(environment__project=self.project)
            .select_related("flag", "environment")
            .order_by("-pk")
        )
        if (state := request.GET.get("state")) in RolloutPlan.State.values:
            plans = plans.filter(state=state)
        page = Paginator(plans, PAGE_SIZE).get_page(request.GET.get("page"))
        return self.show(
            page=page,
            rows=[{"plan": plan, "shares": _shares(plan)} for plan in page.object_list],
            states=RolloutPlan.State.choices,
            is_filtered="state" in request.GET,
        )


class PlanPage(Page):
    """One plan: its stages with times and shares, and what may be done about it."""

    template = "countersign/plan.html"
    verbs_of_plan = {"pause": rollouts.pause, "resume": rollouts.resume, "abort": rollouts.abort}

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        plan = self._find(number)
        request_row = ChangeRequest.objects.filter(plan=plan).first()
        return self.show(
            title=_("Rollout of %(flag)s in %(environment)s")
            % {"flag": plan.flag.key, "environment": plan.environment.name},
            plan=plan,
            stages=_stages(plan, request_row.applied_at if request_row else None),
            row=request_row,
            can_move=self.holds("rollout.pause"),
        )

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        plan = self._find(number)
        verb = self.verbs_of_plan.get(request.POST.get("verb", ""))
        if verb is None:
            self.complain(_("Nothing was done: the page sent no verb that is known here."))
            return self.go("plan", number)
        try:
            verb(self.actor, plan)
        except GateError as error:
            self.complain(error)
        else:
            plan.refresh_from_db()
            self.say(_("The plan is now %s.") % plan.get_state_display().lower())
        return self.go("plan", number)

    def _find(self, number: int) -> RolloutPlan:
        rows = RolloutPlan.objects.select_related("flag__project", "environment__project")
        plan: RolloutPlan = get_object_or_404(rows, environment__project=self.project, number=number)
        return plan


class PlanForm(WhyForm):
    """Up to six stages of a share and a hold time."""

    variant = forms.ChoiceField(label=_("Roll out"))
    rest = forms.ChoiceField(label=_("The others get"))

    def __init__(self, *args: Any, flag: Flag, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(name, name) for name in flag.variants]
        self.fields["variant"].choices = self.fields["rest"].choices = choices  # type: ignore[attr-defined]
        for number in range(1, STAGES + 1):
            self.fields[f"percent-{number}"] = forms.DecimalField(
                label=_("Stage %s, percent") % number,
                required=number == 1,
                min_value=0,
                max_value=100,
                max_digits=6,
                decimal_places=3,
            )
            self.fields[f"hold-{number}"] = forms.DecimalField(
                label=_("Stage %s, hours until the next") % number,
                required=False,
                min_value=0,
                max_value=8_760,
                max_digits=7,
                decimal_places=2,
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("variant") == cleaned.get("rest"):
            self.add_error("rest", _("Choose another variant for the others."))
        return cleaned

    @property
    def rows(self) -> list[tuple[int, forms.BoundField, forms.BoundField]]:
        return [(n, self[f"percent-{n}"], self[f"hold-{n}"]) for n in range(1, STAGES + 1)]

    @property
    def stages(self) -> list[dict[str, Any]]:
        """As `rollouts.propose_plan` takes them; valid forms only."""
        given = self.cleaned_data
        found = []
        for number in range(1, STAGES + 1):
            percent = given[f"percent-{number}"]
            if percent is None:
                continue
            weight = int(percent * drafts.TOTAL / 100)
            weights = [[given["variant"], weight], [given["rest"], drafts.TOTAL - weight]]
            found.append({"weights": weights, "hold": int((given[f"hold-{number}"] or 0) * HOUR)})
        return found


class NewPlanPage(ConfigurationPage):
    """Proposes a plan; it is approved once, as a whole."""

    verb = "change.propose"
    template = "countersign/plan_new.html"

    def get(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        self.find()
        on = drafts.on_variant(self.flag)
        initial: dict[str, Any] = {"variant": on, "rest": drafts.off_variant(self.flag) or on}
        for number, (percent, hours) in enumerate(_DEFAULT_STAGES, start=1):
            initial |= {f"percent-{number}": percent, f"hold-{number}": hours or None}
        return self._show(self._form(None, initial))

    def post(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        self.find()
        form = self._form(request.POST, {})
        if not form.is_valid():
            return self._show(form, 422)
        try:
            made = rollouts.propose_plan(
                self.actor,
                self.flag,
                self.environment,
                form.stages,
                title=f"Roll out {self.flag.key} in {self.environment.name} in {len(form.stages)} stages"[
                    :200
                ],
                rationale=form.cleaned_data["rationale"],
                ticket=form.cleaned_data["ticket"],
            )
        except InvalidError as error:
            place_error(form, error)
            return self._show(form, 422)
        except GateError as error:
            form.add_error(None, str(error))
            return self._show(form, 409)
        self.say(_("%s asks for the plan as a whole.") % made.change_id)
        return self.go("request", made.number)

    def _form(self, data: Any, initial: dict[str, Any]) -> PlanForm:
        needs = requirements(self.project, [self.environment], [touched_flag(self.flag, self.environment)])
        return PlanForm(data, flag=self.flag, needs=needs, initial=initial)

    def _show(self, form: PlanForm, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            title=_("Roll out %(flag)s in %(environment)s")
            % {"flag": self.flag.key, "environment": self.environment.name},
            flag=self.flag,
            here=self.environment,
            form=form,
            summary=wording.summary(self.document),
            is_configured=self.document is not None,
        )


def _shares(plan: RolloutPlan) -> list[str]:
    return [wording.share({"split": stage}) for stage in plan.stages]


def _stages(plan: RolloutPlan, started: datetime | None) -> list[dict[str, Any]]:
    """The stages with what is known of their times: past ones from the start, coming ones from the next."""
    found: list[dict[str, Any]] = []
    at = started
    for number, stage in enumerate(plan.stages, start=1):
        if number == plan.done + 1 and plan.next_at is not None:
            at = plan.next_at
        state = "done" if number <= plan.done else "next" if number == plan.done + 1 else "later"
        weights = stage["weights"]
        total = sum(weight for _name, weight in weights) or 1
        found.append(
            {
                "number": number,
                "share": wording.share({"split": stage}),
                "width": round(100 * weights[0][1] / total, 3),
                "hold": stage["hold"],
                "state": state,
                # A plan that is paused by hand or waits for approval has no times to promise.
                "at": at if state == "done" or plan.state == RolloutPlan.State.RUNNING else None,
                "is_estimate": state == "later",
            }
        )
        at = at + timedelta(seconds=stage["hold"]) if at else None
    return found
