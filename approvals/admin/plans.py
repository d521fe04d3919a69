"""Rollout plans: proposing one, watching it, pausing, resuming, aborting."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page, holders
from access.permissions import require
from approvals import rollout_templates, rollouts
from approvals.admin.asking import place_error
from approvals.admin.plan_form import PlanForm
from approvals.admin.switch import ConfigurationPage
from approvals.advice import step_words
from approvals.models import ChangeRequest
from approvals.policies import requirements, touched_flag
from approvals.workflow import ConflictError, GateError, InvalidError
from audit.actor import Actor
from flags import wording
from flags.admin import drafts
from flags.models import RolloutPlan, RolloutTemplate
from flags.rollouts import times
from flags.stages import Stage, read_stages, read_window

PAGE_SIZE = 30


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
    verbs_of_plan = {
        "pause": rollouts.pause,
        "resume": rollouts.resume,
        "go-ahead": rollouts.give_go_ahead,
        "abort": rollouts.abort,
    }

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
            can_go_on=plan.state == RolloutPlan.State.WAITING and self.holds("change.approve"),
            reviewers=holders(self.project, "change.approve")
            if plan.state == RolloutPlan.State.WAITING
            else [],
            can_jump=plan.state in (RolloutPlan.State.RUNNING, RolloutPlan.State.PAUSED)
            and self.holds("change.schedule"),
            window=read_window(plan.window),
        )

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        plan = self._find(number)
        named = request.POST.get("verb", "")
        verb = self.verbs_of_plan.get(named)
        if named == "jump" and request.POST.get("stage", "").isdecimal():
            stage = int(request.POST["stage"])

            def verb(actor: Actor, plan: RolloutPlan) -> None:
                rollouts.jump(actor, plan, stage)

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


class TemplateListPage(Page):
    """The templates of a project, to start plans from; those who may, take them away."""

    template = "countersign/plan_templates.html"
    title = _("Templates of rollout plans")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        rows = list(RolloutTemplate.objects.filter(project=self.project))
        return self.show(
            rows=[
                {
                    "template": row,
                    "stages": [
                        stage.words
                        for stage in read_stages(rollout_templates.stages_for(row.stages, "on", "off"))
                    ],
                    "window": read_window(row.window),
                }
                for row in rows
            ],
            can_manage=self.holds("rollout_template.manage"),
        )

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        require(self.actor, "rollout_template.manage", self.project)
        rows = RolloutTemplate.objects.filter(project=self.project).select_related("project")
        row: RolloutTemplate = get_object_or_404(rows, key=request.POST.get("delete", ""))
        rollout_templates.delete_template(self.actor, row)
        self.say(_("Template %s taken away. Plans that were made from it stay as they are.") % row.name)
        return self.go("plan-templates")


class NewPlanPage(ConfigurationPage):
    """Proposes a plan; it is approved once, as a whole."""

    verb = "change.propose"
    template = "countersign/plan_new.html"

    def get(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        self.find()
        on = drafts.on_variant(self.flag)
        initial: dict[str, Any] = {"variant": on, "rest": drafts.off_variant(self.flag) or on}
        initial["base"] = self.version
        template = RolloutTemplate.objects.filter(
            project=self.project, key=request.GET.get("template", "")
        ).first()
        initial |= PlanForm.initial_of(template.stages, template.window) if template else PlanForm.usual()
        return self._show(self._form(None, initial))

    def post(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        self.find()
        form = self._form(request.POST, {})
        if not form.is_valid():
            return self._show(form, 422)
        if "save-template" in request.POST:
            return self._save_template(form)
        try:
            made = rollouts.propose_plan(
                self.actor,
                self.flag,
                self.environment,
                form.stages,
                window=form.window,
                base={str(self.subject): form.cleaned_data["base"]},
                title=f"Roll out {self.flag.key} in {self.environment.name} in {len(form.stages)} stages"[
                    :200
                ],
                rationale=form.cleaned_data["rationale"],
                ticket=form.cleaned_data["ticket"],
            )
        except InvalidError as error:
            place_error(form, error)
            return self._show(form, 422)
        except ConflictError as error:
            self.find()
            data = request.POST.copy()
            data["base"] = str(self.version)  # what the page now shows
            form = self._form(data, {})
            form.add_error(None, str(error))
            return self._show(form, 409)
        except GateError as error:
            form.add_error(None, str(error))
            return self._show(form, 409)
        self.say(_("%s asks for the plan as a whole.") % made.change_id)
        return self.go("request", made.number)

    def _save_template(self, form: PlanForm) -> HttpResponse:
        name = form.cleaned_data["kept_as"] or ""
        key = slugify(name)
        members = {"name": name, "stages": form.template_stages, "window": form.window}
        try:
            if not key:
                raise InvalidError("kept_as", "is empty; say what the template is called")
            rollout_templates.save_template(self.actor, self.project, key, members)
        except InvalidError as error:
            place_error(form, error)
            return self._show(form, 422)
        self.say(_("Template %s saved. Nothing was asked for.") % name)
        return self.go("plan-templates")

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
            templates=RolloutTemplate.objects.filter(project=self.project),
            can_save=self.holds("rollout_template.manage"),
        )


def _shares(plan: RolloutPlan) -> list[str]:
    return [stage.words for stage in read_stages(plan.stages)]


def _stages(plan: RolloutPlan, started: datetime | None) -> list[dict[str, Any]]:
    """The stages with what is known of their times: past ones from the start, coming ones from the next."""
    found: list[dict[str, Any]] = []
    moments = times(plan, started)
    before: Stage | None = None
    for number, (stage, at) in enumerate(zip(read_stages(plan.stages), moments, strict=True), start=1):
        state = "done" if number <= plan.done else "next" if number == plan.done + 1 else "later"
        found.append(
            {
                "number": number,
                "share": stage.words,
                "step": step_words(before.weights, stage.weights)
                if before and before.weights and stage.weights
                else "",
                # A cohort is no share of everyone that could be drawn.
                "width": None if stage.weights is None else round(float(100 * stage.share), 3),
                "hold": stage.hold,
                "go_ahead": stage.go_ahead,
                "state": state,
                # A plan that is paused by hand or waits for approval has no times to promise.
                "at": at if state == "done" or plan.state == RolloutPlan.State.RUNNING else None,
                "is_estimate": state == "later",
            }
        )
        before = stage if stage.weights else before
    return found
