"""Environments over HTTP: where flags are served."""

from __future__ import annotations

from django.db.models import OuterRef, QuerySet, Subquery
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Key, Text, Truth, Whole
from access.api.endpoint import Endpoint
from approvals import workflow
from approvals.api.change_shown import ChangeRequestSerializer
from audit.history import version_of, version_subquery
from distribution.models import Snapshot
from flags import catalogue
from flags.api.projects import ProjectFilter
from flags.models import Environment
from flags.settings import SETTINGS, normal_settings


class EnvironmentSerializer(serializers.ModelSerializer[Environment]):
    """A place where flags are served."""

    project = serializers.CharField(source="project.key")
    regions = serializers.ListField(child=serializers.CharField())
    version = serializers.IntegerField(help_text="Of its settings: the base of a change of them.")
    revision = serializers.IntegerField(help_text="Of what it serves; grows with every change of it.")
    published_revision = serializers.IntegerField(
        allow_null=True, help_text="That of its newest snapshot; null: none yet."
    )
    published_at = serializers.DateTimeField(allow_null=True, help_text="When that was signed.")

    class Meta:
        model = Environment
        fields = (
            "project",
            "key",
            "name",
            "kind",
            "protected",
            "position",
            "regions",
            "bucketing",
            "version",
            "revision",
            "published_revision",
            "published_at",
        )


class EnvironmentMembers(Body):
    """Members of an environment."""

    name = Text(required=False, max_length=128)
    kind = Choice(choices=Environment.Kind.choices, required=False)
    protected = Truth(required=False, help_text="Whether a change needs at least one approval.")
    position = Whole(required=False, min_value=0, max_value=32_767, help_text="Order of promotion.")
    regions = serializers.ListField(child=Text(max_length=128), required=False, max_length=100)
    bucketing = Choice(choices=Environment.Bucketing.choices, required=False)


class EnvironmentChange(EnvironmentMembers):
    """Members of an environment; those left out stay as they are."""

    base = Whole(required=False, min_value=0, help_text="The `version` that you saw; without it, 409.")
    rationale = Text(required=False, allow_blank=True, max_length=4_000, help_text="Why, for reviewers.")
    ticket = Text(required=False, allow_blank=True, max_length=200)


class EnvironmentBody(EnvironmentMembers):
    """An environment to make."""

    project = Key()
    key = Key()
    name = Text(max_length=128)


class Environments(Endpoint):
    """Where flags are served. Administrators of a project make and change them."""

    @extend_schema(parameters=[ProjectFilter], responses=EnvironmentSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The environments of the projects that you see."""
        given = self.filters(request, ProjectFilter)
        rows = Environment.objects.filter(project__in=self.visible(request)).select_related("project")
        if "project" in given:
            rows = rows.filter(project__key=given["project"])
        return self.page(request, _with_versions(rows), EnvironmentSerializer)

    @extend_schema(
        request=EnvironmentBody,
        responses={201: EnvironmentSerializer},
        examples=[
            OpenApiExample(
                "A protected one",
                {
                    "project": "shop",
                    "key": "eu-production",
                    "name": "EU production",
                    "kind": "production",
                    "protected": True,
                    "position": 3,
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Make an environment."""
        given = self.body(request, EnvironmentBody)
        project = self.project(request, given.pop("project"))
        key = given.pop("key")
        environment = catalogue.create_environment(self.actor(request), project, key, given)
        return self._shown(environment, 201)

    @extend_schema(responses=EnvironmentSerializer)
    def retrieve(self, request: Request, project: str, environment: str) -> Response:
        """An environment."""
        self.filters(request)
        return self._shown(self.environment(request, project, environment))

    @extend_schema(
        request=EnvironmentChange,
        responses={200: EnvironmentSerializer, 202: ChangeRequestSerializer},
        examples=[
            OpenApiExample("Two regions", {"regions": ["eu", "us"], "base": 1}, request_only=True),
        ],
    )
    def partial_update(self, request: Request, project: str, environment: str) -> Response:
        """Change an environment's settings: at once, or by a request where its policies ask for one (202)."""
        given = self.body(request, EnvironmentChange)
        row = self.environment(request, project, environment)
        base = self.based(given, row.ledger_subject)
        why = {name: given.pop(name) for name in ("rationale", "ticket") if name in given}
        wanted = {name: getattr(row, name) for name in SETTINGS} | given
        if normal_settings(row, wanted) == row.document and base == {row.ledger_subject: version_of(row)}:
            return self._shown(row)  # nothing to change
        made = workflow.change(
            self.actor(request),
            row.project,
            [{"subject": row.ledger_subject, "after": wanted}],
            title=f"Settings of {row.name}",
            base=base,
            **why,
        )
        if made.is_open:
            return Response(ChangeRequestSerializer(made).data, 202)
        return self._shown(row)

    def _shown(self, row: Environment, status: int = 200) -> Response:
        whole = _with_versions(Environment.objects.filter(pk=row.pk).select_related("project")).get()
        return Response(EnvironmentSerializer(whole).data, status)


def _with_versions(rows: QuerySet[Environment]) -> QuerySet[Environment]:
    newest = Snapshot.objects.filter(environment=OuterRef("pk")).order_by("-version")
    return rows.annotate(
        version=version_subquery(Environment, id=OuterRef("pk")),
        published_revision=Subquery(newest.values("version")[:1]),
        published_at=Subquery(newest.values("created_at")[:1]),
    )
