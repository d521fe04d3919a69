"""Projects over HTTP: tenants, each with its own flags, environments and people."""

from __future__ import annotations

from django.db.models import OuterRef
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Key, Text, Whole
from access.api.endpoint import Endpoint
from audit.history import version_of, version_subquery
from flags import catalogue
from flags.models import Project


class ProjectFilter(Body):
    """Filters by project alone."""

    project = Key(required=False)


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A tenant: flags, segments, environments and people are per project."""

    version = serializers.SerializerMethodField(help_text="The base of a change of it.")

    class Meta:
        model = Project
        fields = (
            "key",
            "name",
            "flag_key_pattern",
            "ticket_pattern",
            "ticket_url",
            "created_at",
            "version",
        )

    def get_version(self, row: Project) -> int:
        listed: int | None = getattr(row, "listed_version", None)
        return version_of(row) if listed is None else listed


class ProjectBody(Body):
    """A project to make."""

    key = Key()
    name = Text(max_length=128)
    flag_key_pattern = Text(
        required=False,
        allow_blank=True,
        max_length=128,
        help_text="A regular expression that new flags' keys match as a whole.",
    )


class ProjectChange(Body):
    """Members of a project; those left out stay as they are."""

    name = Text(required=False, max_length=128)
    flag_key_pattern = Text(required=False, allow_blank=True, max_length=128)
    ticket_pattern = Text(
        required=False,
        allow_blank=True,
        max_length=128,
        help_text="A regular expression that tickets of requests match as a whole.",
    )
    ticket_url = Text(
        required=False,
        allow_blank=True,
        max_length=200,
        help_text="Where a ticket is found: `{ticket}` in it.",
    )
    base = Whole(required=False, min_value=0, help_text="The `version` that you saw; without it, 409.")


class Projects(Endpoint):
    """The projects in which you have a role."""

    @extend_schema(responses=ProjectSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The projects that you see."""
        self.filters(request)
        rows = self.visible(request).annotate(listed_version=version_subquery(Project, id=OuterRef("pk")))
        return self.page(request, rows, ProjectSerializer)

    @extend_schema(
        request=ProjectBody,
        responses={201: ProjectSerializer},
        examples=[
            OpenApiExample(
                "A shop",
                {"key": "shop", "name": "Shop", "flag_key_pattern": "[a-z0-9-]+"},
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Make a project, whose first administrator you become. Organisation administrators may."""
        given = self.body(request, ProjectBody)
        project = catalogue.create_project(self.actor(request), **given)
        return Response(ProjectSerializer(project).data, 201)

    @extend_schema(responses=ProjectSerializer)
    def retrieve(self, request: Request, project: str) -> Response:
        """A project."""
        self.filters(request)
        return Response(ProjectSerializer(self.project(request, project)).data)

    @extend_schema(
        request=ProjectChange,
        responses=ProjectSerializer,
        examples=[
            OpenApiExample(
                "Tickets of SHOP, linked",
                {
                    "ticket_pattern": "SHOP-[0-9]+",
                    "ticket_url": "https://tickets.example.com/{ticket}",
                    "base": 1,
                },
                request_only=True,
            )
        ],
    )
    def partial_update(self, request: Request, project: str) -> Response:
        """Change a project's settings. Its administrators may."""
        given = self.body(request, ProjectChange)
        row = self.project(request, project)
        base = self.based(given, row.ledger_subject)
        return Response(
            ProjectSerializer(catalogue.save_project(self.actor(request), row, given, base=base)).data
        )
