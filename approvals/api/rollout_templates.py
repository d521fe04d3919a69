"""Templates of rollout plans: stages that a project's plans start from."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Document, Text, Whole
from access.api.endpoint import Endpoint
from approvals import rollout_templates
from audit.history import version_of, version_subquery
from flags.api.projects import ProjectFilter
from flags.models import RolloutTemplate

_STAGES = (
    "As in a plan, but with `percent` in place of `weights` and without `variant`: for flags of any variants."
)


class RolloutTemplateSerializer(serializers.ModelSerializer[RolloutTemplate]):
    """Stages to start a plan from."""

    project = serializers.CharField(source="project.key")
    stages = serializers.ListField(child=serializers.DictField(), help_text=_STAGES)
    window = serializers.DictField(help_text="As in a plan.")
    version = serializers.SerializerMethodField(help_text="The base of a change of it.")

    class Meta:
        model = RolloutTemplate
        fields = ("project", "key", "name", "stages", "window", "version")

    def get_version(self, row: RolloutTemplate) -> int:
        listed: int | None = getattr(row, "listed_version", None)
        return version_of(row) if listed is None else listed


class RolloutTemplateBody(Body):
    """The whole template."""

    name = Text(max_length=128)
    stages = serializers.ListField(child=Document(), help_text=_STAGES)
    window = Document(required=False, help_text="As in a plan.")
    base = Whole(required=False, min_value=0, help_text="The `version` that you saw, 0 for a new one.")


class RolloutTemplates(Endpoint):
    """A project's usual stages. Plans that were made from one stay as they are."""

    @extend_schema(parameters=[ProjectFilter], responses=RolloutTemplateSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The templates of the projects that you see."""
        given = self.filters(request, ProjectFilter)
        rows = self._seen(request)
        if "project" in given:
            rows = rows.filter(project__key=given["project"])
        versions = version_subquery(RolloutTemplate, id=OuterRef("pk"))
        return self.page(request, rows.annotate(listed_version=versions), RolloutTemplateSerializer)

    @extend_schema(responses=RolloutTemplateSerializer)
    def retrieve(self, request: Request, project: str, template: str) -> Response:
        """A template."""
        self.filters(request)
        return self._shown(self._template(request, project, template))

    @extend_schema(
        request=RolloutTemplateBody,
        responses=RolloutTemplateSerializer,
        examples=[
            OpenApiExample(
                "The staff, one customer, then everyone in steps",
                {
                    "name": "Careful",
                    "stages": [
                        {"cohort": {"segment": "staff"}, "hold": 86_400},
                        {"cohort": {"attribute": "tenant", "values": ["acme"]}, "hold": 86_400},
                        {"percent": 5, "hold": 86_400},
                        {"percent": 25, "hold": 86_400, "go_ahead": True},
                        {"percent": 100, "hold": 0},
                    ],
                    "base": 0,
                },
                request_only=True,
            )
        ],
    )
    def update(self, request: Request, project: str, template: str) -> Response:
        """Make or replace a template."""
        given = self.body(request, RolloutTemplateBody)
        where = self.project(request, project)
        subject = RolloutTemplate(project=where, key=template).ledger_subject
        base = self.based(given, subject)
        row = rollout_templates.save_template(self.actor(request), where, template, given, base=base)
        return self._shown(row)

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, project: str, template: str) -> Response:
        """Take a template away."""
        self.body(request)
        row = self._template(request, project, template)
        rollout_templates.delete_template(self.actor(request), row)
        return Response(status=204)

    def _seen(self, request: Request) -> QuerySet[Any]:
        return RolloutTemplate.objects.filter(project__in=self.visible(request)).select_related("project")

    def _template(self, request: Request, project: str, key: str) -> RolloutTemplate:
        row: RolloutTemplate | None = (
            self._seen(request).filter(project=self.project(request, project), key=key).first()
        )
        if row is None:
            raise NotFound(f"There is no rollout template {key!r} in {project}.")
        return row

    def _shown(self, row: RolloutTemplate) -> Response:
        return Response(RolloutTemplateSerializer(row).data)
