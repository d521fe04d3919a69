"""Rollout plans: approved once, as a whole, then carried out stage by stage."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Document, Key, Text, Whole
from access.api.endpoint import Endpoint
from approvals import rollouts
from approvals.api.change_shown import ChangeRequestDetailSerializer
from flags.models import Flag, RolloutPlan
from flags.subjects import Subject

_STAGES = (
    "Each has `hold` (seconds until the next) and either `weights` (`[variant, weight]` each, a share of everyone) or "
    "`cohort` (`{segment}`, or `{attribute, values}`) with the `variant` that it gets; and may have `not_before` (a "
    "time as events have it) and `go_ahead` (true: a reviewer says that it may begin). A plan only grows."
)
_WINDOW = (
    "The hours in which stages after the first may happen: `zone`, `from` and `to` (like 09:00), `weekdays` (Mon to "
    "Sun). Left out: at any time."
)


class RolloutPlanSerializer(serializers.ModelSerializer[RolloutPlan]):
    """A plan and how far it has come."""

    project = serializers.CharField(source="environment.project.key")
    environment = serializers.CharField(source="environment.key")
    flag = serializers.CharField(source="flag.key")
    number = serializers.IntegerField(help_text="That of its change request; what its address names.")
    stages = serializers.ListField(child=serializers.DictField(), help_text=_STAGES)
    window = serializers.DictField(help_text=_WINDOW)
    problem = serializers.CharField(help_text="Why it paused or was aborted.")

    class Meta:
        model = RolloutPlan
        fields = (
            "project",
            "environment",
            "flag",
            "number",
            "state",
            "stages",
            "window",
            "done",
            "next_at",
            "problem",
        )


class RolloutPlanFilter(Body):
    """Filters of plans."""

    project = Key(required=False)
    environment = Key(required=False)
    flag = Key(required=False)
    state = Choice(choices=RolloutPlan.State.choices, required=False)


class RolloutPlanBody(Body):
    """A plan to propose."""

    project = Key()
    environment = Key()
    flag = Key()
    title = Text(max_length=200)
    rationale = Text(required=False, allow_blank=True, max_length=4_000)
    ticket = Text(required=False, allow_blank=True, max_length=200)
    stages = serializers.ListField(child=Document(), help_text=_STAGES)
    window = Document(required=False, help_text=_WINDOW)
    base = Whole(
        required=False,
        min_value=0,
        help_text="The `version` of the configuration that you saw; without it, 409.",
    )


class JumpBody(Body):
    """The stage to carry out now."""

    stage = Whole(min_value=1, help_text="Counted from 1.")


_PLAN = OpenApiExample(
    "The staff for a day, a tenth until a reviewer lets it go on, then everyone, in working hours",
    {
        "project": "shop",
        "environment": "production",
        "flag": "new-checkout",
        "title": "Roll the new checkout out",
        "rationale": "Ready since Monday.",
        "stages": [
            {"cohort": {"segment": "staff"}, "variant": "on", "hold": 86_400},
            {"weights": [["on", 10], ["off", 90]], "hold": 86_400},
            {"weights": [["on", 100], ["off", 0]], "hold": 0, "go_ahead": True},
        ],
        "window": {
            "zone": "Europe/Berlin",
            "from": "09:00",
            "to": "16:00",
            "weekdays": ["Mon", "Tue", "Wed", "Thu"],
        },
        "base": 3,
    },
    request_only=True,
)


class RolloutPlans(Endpoint):
    """Stages that one approval covers."""

    ordering = ("-pk",)

    @extend_schema(parameters=[RolloutPlanFilter], responses=RolloutPlanSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The plans in the projects that you see, newest first."""
        given = self.filters(request, RolloutPlanFilter)
        rows = self._seen(request)
        columns = {
            "project": "environment__project__key",
            "environment": "environment__key",
            "flag": "flag__key",
            "state": "state",
        }
        for name, column in columns.items():
            if name in given:
                rows = rows.filter(**{column: given[name]})
        return self.page(request, rows, RolloutPlanSerializer)

    @extend_schema(request=RolloutPlanBody, responses={201: ChangeRequestDetailSerializer}, examples=[_PLAN])
    def create(self, request: Request) -> Response:
        """Propose a plan. The answer is its change request, to be approved as a whole."""
        given = self.body(request, RolloutPlanBody)
        environment = self.environment(request, given.pop("project"), given.pop("environment"))
        key = given.pop("flag")
        flag = Flag.objects.filter(project=environment.project, key=key).select_related("project").first()
        if flag is None:
            raise NotFound(f"There is no flag {key!r} in {environment.project.key}.")
        stages = given.pop("stages")
        subject = Subject("configuration", environment.project.key, key, environment.key)
        base = self.based(given, str(subject))
        made = rollouts.propose_plan(self.actor(request), flag, environment, stages, base=base, **given)
        return Response(ChangeRequestDetailSerializer(made).data, 201)

    @extend_schema(responses=RolloutPlanSerializer)
    def retrieve(self, request: Request, number: int) -> Response:
        """A plan."""
        self.filters(request)
        return self._shown(self._plan(request, number))

    @extend_schema(request=None, responses=RolloutPlanSerializer)
    def pause(self, request: Request, number: int) -> Response:
        """Carry out no further stage until somebody resumes it."""
        self.body(request)
        plan = self._plan(request, number)
        rollouts.pause(self.actor(request), plan)
        return self._shown(self._plan(request, number))

    @extend_schema(request=None, responses=RolloutPlanSerializer)
    def resume(self, request: Request, number: int) -> Response:
        """Go on; the next stage is due now."""
        self.body(request)
        plan = self._plan(request, number)
        rollouts.resume(self.actor(request), plan)
        return self._shown(self._plan(request, number))

    @extend_schema(request=None, responses=RolloutPlanSerializer)
    def go_ahead(self, request: Request, number: int) -> Response:
        """Let the stage that waits for a reviewer begin. Not for whoever proposed the plan."""
        self.body(request)
        plan = self._plan(request, number)
        rollouts.give_go_ahead(self.actor(request), plan)
        return self._shown(self._plan(request, number))

    @extend_schema(
        request=JumpBody,
        responses=RolloutPlanSerializer,
        examples=[OpenApiExample("To the third", {"stage": 3}, request_only=True)],
    )
    def jump(self, request: Request, number: int) -> Response:
        """Carry out a later stage now, and leave out those before it."""
        given = self.body(request, JumpBody)
        plan = self._plan(request, number)
        rollouts.jump(self.actor(request), plan, given["stage"])
        return self._shown(self._plan(request, number))

    @extend_schema(request=None, responses=RolloutPlanSerializer)
    def abort(self, request: Request, number: int) -> Response:
        """End it and go back to what stood before, under the same approval."""
        self.body(request)
        plan = self._plan(request, number)
        rollouts.abort(self.actor(request), plan)
        return self._shown(self._plan(request, number))

    def _seen(self, request: Request) -> QuerySet[RolloutPlan]:
        rows: QuerySet[RolloutPlan] = RolloutPlan.objects.filter(
            environment__project__in=self.visible(request)
        )
        return rows.select_related("flag", "environment__project")

    def _plan(self, request: Request, number: int) -> RolloutPlan:
        plan = self._seen(request).filter(number=number).first()
        if plan is None:
            raise NotFound(f"There is no rollout plan {number} that you see.")
        return plan

    def _shown(self, plan: RolloutPlan) -> Response:
        return Response(RolloutPlanSerializer(plan).data)
