"""What changes of an environment need."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Truth, Whole
from access.api.endpoint import Endpoint
from approvals import policies
from approvals.models import ApprovalPolicy
from audit.history import version_of, version_subquery
from flags.api import ProjectFilter
from flags.models import Environment


class PolicySerializer(serializers.ModelSerializer[ApprovalPolicy]):
    """What a change of an environment needs."""

    project = serializers.CharField(source="environment.project.key")
    environment = serializers.CharField(source="environment.key")
    is_default = serializers.SerializerMethodField(help_text="Whether nobody has set it yet.")
    version = serializers.SerializerMethodField(
        help_text="The base of a change of it; 0 where nobody has set it yet."
    )

    class Meta:
        model = ApprovalPolicy
        fields = (
            "project",
            "environment",
            "required_approvals",
            "require_rationale",
            "require_ticket",
            "is_default",
            "version",
        )

    def get_is_default(self, row: ApprovalPolicy) -> bool:
        return row.pk is None

    def get_version(self, row: ApprovalPolicy) -> int:
        listed: int | None = getattr(row, "listed_version", None)
        return version_of(row) if listed is None else listed


class PolicyListSerializer(PolicySerializer):
    """The policy of an environment with its policy row, if any, at hand."""

    def to_representation(self, instance: Any) -> Any:
        environment: Environment = instance
        policy: Any = getattr(environment, "policy", None) or policies.default_policy(environment)
        policy.listed_version = instance.policy_version
        return super().to_representation(policy)


class PolicyBody(Body):
    """The whole policy."""

    required_approvals = Whole(min_value=0, max_value=20)
    require_rationale = Truth()
    require_ticket = Truth()
    base = Whole(required=False, min_value=0, help_text="The `version` that you saw; without it, 409.")


class Policies(Endpoint):
    """Approvals, rationale and ticket that an environment asks for."""

    @extend_schema(parameters=[ProjectFilter], responses=PolicySerializer(many=True))
    def list(self, request: Request) -> Response:
        """The policy of each environment that you see."""
        given = self.filters(request, ProjectFilter)
        rows = Environment.objects.filter(project__in=self.visible(request))
        if "project" in given:
            rows = rows.filter(project__key=given["project"])
        rows = rows.select_related("project", "policy").annotate(
            policy_version=version_subquery(ApprovalPolicy, environment=OuterRef("pk"))
        )
        return self.page(request, rows, PolicyListSerializer)

    @extend_schema(responses=PolicySerializer)
    def retrieve(self, request: Request, project: str, environment: str) -> Response:
        """An environment's policy."""
        self.filters(request)
        row = self.environment(request, project, environment)
        return Response(PolicySerializer(policies.policy_of(row)).data)

    @extend_schema(
        request=PolicyBody,
        responses=PolicySerializer,
        examples=[
            OpenApiExample(
                "Two approvals and a ticket",
                {"required_approvals": 2, "require_rationale": True, "require_ticket": True, "base": 0},
                request_only=True,
            )
        ],
    )
    def update(self, request: Request, project: str, environment: str) -> Response:
        """Replace an environment's policy. A protected one asks for one approval at least."""
        given = self.body(request, PolicyBody)
        row = self.environment(request, project, environment)
        base = self.based(given, policies.policy_of(row).ledger_subject)
        policy = policies.set_policy(self.actor(request), row, given, base=base)
        return Response(PolicySerializer(policy).data)
