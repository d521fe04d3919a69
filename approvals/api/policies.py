"""The policies of projects: which changes each matches, and what they need."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Document, Text, Whole
from access.api.endpoint import Endpoint
from approvals import workflow
from approvals.api.change_shown import ChangeRequestSerializer
from approvals.models import ApprovalPolicy
from approvals.policy_document import read_policy
from flags.api.projects import ProjectFilter
from flags.subjects import Subject


class PolicySerializer(serializers.ModelSerializer[ApprovalPolicy]):
    """Which changes of a project need what."""

    project = serializers.CharField(source="project.key")
    needs = serializers.SerializerMethodField(help_text="In words.")
    policy = serializers.DictField(source="document")
    subject = serializers.CharField(source="ledger_subject", help_text="To name in a change request.")
    version = serializers.IntegerField(help_text="The base of a change of it.")

    class Meta:
        model = ApprovalPolicy
        fields = ("project", "key", "policy", "needs", "subject", "version")

    def get_needs(self, row: ApprovalPolicy) -> str:
        return str(read_policy(row.document).needs)


class PolicyWhy(Body):
    """Why, and on what it is based."""

    rationale = Text(required=False, allow_blank=True, max_length=4_000, help_text="Why, for reviewers.")
    ticket = Text(required=False, allow_blank=True, max_length=200)


class PolicyBody(PolicyWhy):
    """The whole policy."""

    policy = Document(
        help_text="`name`; what it matches, each empty or left out for everything: `environments`, `kinds`, "
        "`tags` (lists), `critical` (true: only critical flags); what it asks for: `approvals` (number), "
        "`from` (`[{count, role | team}]`), `rationale`, `ticket`, `signature` (true or false), `served_in` "
        "(`{environment, hours}`); `access` (it also holds for roles), `on_call_may_revert`."
    )
    base = Whole(required=False, min_value=0, help_text="The `version` that you saw, 0 for a new one.")


class PolicyRemoval(PolicyWhy):
    """The version that was seen."""

    base = serializers.IntegerField(required=False, min_value=0, help_text="The `version` that you saw.")


_EXAMPLE = OpenApiExample(
    "Two approvals and a ticket for critical flags in production, one approval from payments",
    {
        "policy": {
            "name": "Critical in production",
            "environments": ["production"],
            "critical": True,
            "approvals": 2,
            "from": [{"team": "payments", "count": 1}],
            "ticket": True,
        },
        "base": 0,
        "rationale": "Agreed after the last incident.",
    },
    request_only=True,
)


class Policies(Endpoint):
    """Approvals, rationale, ticket and time that changes need. All policies that match count together."""

    @extend_schema(parameters=[ProjectFilter], responses=PolicySerializer(many=True))
    def list(self, request: Request) -> Response:
        """The policies of the projects that you see. Protected environments ask for more than none of them."""
        given = self.filters(request, ProjectFilter)
        rows = ApprovalPolicy.objects.filter(project__in=self.visible(request)).select_related("project")
        if "project" in given:
            rows = rows.filter(project__key=given["project"])
        return self.page(request, rows, PolicySerializer)

    @extend_schema(responses=PolicySerializer)
    def retrieve(self, request: Request, project: str, policy: str) -> Response:
        """A policy."""
        self.filters(request)
        rows = ApprovalPolicy.objects.filter(project=self.project(request, project), key=policy)
        row = rows.select_related("project").first()
        if row is None:
            raise NotFound(f"There is no policy {policy!r} in {project}.")
        return Response(PolicySerializer(row).data)

    @extend_schema(
        request=PolicyBody,
        responses={200: ChangeRequestSerializer, 202: ChangeRequestSerializer},
        examples=[_EXAMPLE],
    )
    def update(self, request: Request, project: str, policy: str) -> Response:
        """Make or replace a policy: the request by which it was (200), or by which it will be (202)."""
        given = self.body(request, PolicyBody)
        after = given.pop("policy")
        name = after.get("name") if isinstance(after.get("name"), str) else policy
        return self._ask(request, project, policy, after, f"Policy {name}", given)

    @extend_schema(
        request=None,
        parameters=[PolicyRemoval],
        responses={200: ChangeRequestSerializer, 202: ChangeRequestSerializer},
    )
    def destroy(self, request: Request, project: str, policy: str) -> Response:
        """Take a policy away: the request by which it was (200), or by which it will be (202)."""
        self.body(request)
        given = self.filters(request, PolicyRemoval)
        return self._ask(request, project, policy, None, f"Take away the policy {policy}", given)

    def _ask(
        self, request: Request, project: str, key: str, after: Any, title: str, given: dict[str, Any]
    ) -> Response:
        where = self.project(request, project)
        subject = str(Subject("policy", where.key, key))
        base = self.based(given, subject)
        made = workflow.change(
            self.actor(request),
            where,
            [{"subject": subject, "after": after}],
            title=title[:200],
            base=base,
            **given,
        )
        return Response(ChangeRequestSerializer(made).data, 202 if made.is_open else 200)
