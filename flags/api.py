"""The catalogue over HTTP: projects, environments, flags, configurations, segments.

Reading only, except for projects and environments: what is served changes through change requests.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import connection
from django.db.models import CharField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, StrIndex
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Key, Text, Truth, Whole
from access.api.endpoint import Endpoint
from approvals import workflow
from approvals.api.change_requests import ChangeRequestSerializer
from audit.history import version_of, version_subquery
from distribution.models import Snapshot
from flags import catalogue, lifecycle, wording
from flags.documents import definition_document
from flags.models import Environment, Flag, FlagConfiguration, Project, Segment
from flags.settings import SETTINGS, normal_settings

Object = dict[str, Any]


class ProjectFilter(Body):
    """Filters by project alone."""

    project = Key(required=False)


# --- projects ------------------------------------------------------------------------------------


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


# --- environments --------------------------------------------------------------------------------


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


# --- flags ---------------------------------------------------------------------------------------


class FlagSerializer(serializers.ModelSerializer[Flag]):
    """A flag's definition, the same in every environment."""

    project = serializers.CharField(source="project.key")
    subject = serializers.CharField(help_text="What a change request names to change it.")
    document = serializers.SerializerMethodField(
        help_text="The whole definition: what a change request gives as `after`."
    )

    class Meta:
        model = Flag
        fields = ("project", "key", "subject", "version", "document", "created_at")

    def get_document(self, row: Flag) -> Object:
        return definition_document(row)


class FlagFilter(Body):
    """Filters of flags."""

    project = Key(required=False)
    kind = Choice(choices=Flag.Kind.choices, required=False)
    type = Choice(choices=Flag.Type.choices, required=False)
    tag = Text(required=False, max_length=128)
    owner = Text(required=False, max_length=64, help_text="The pseudonymous id of a person.")
    q = Text(required=False, max_length=128, help_text="Words in key, name or description.")
    lifecycle = Choice(
        choices=[
            ("stale", "older than its kind should live"),
            ("expired", "past its own date"),
            ("hibernating", "pinned until it wakes"),
            ("archived", "archived; the others leave these out"),
        ],
        required=False,
    )


class Flags(Endpoint):
    """Definitions. To make or edit one, propose a change of its `subject`."""

    @extend_schema(parameters=[FlagFilter], responses=FlagSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The flags of the projects that you see."""
        given = self.filters(request, FlagFilter)
        rows: QuerySet[Flag] = Flag.objects.filter(project__in=self.visible(request))
        rows = rows.select_related("project")
        columns = {"project": "project__key", "kind": "kind", "type": "type", "owner": "owner_id"}
        for name, column in columns.items():
            if name in given:
                rows = rows.filter(**{column: given[name]})
        rows = rows.filter(archived=given.get("lifecycle") == "archived")
        if given.get("lifecycle") == "hibernating":
            rows = rows.exclude(hibernation={})
        elif of := {"stale": lifecycle.stale, "expired": lifecycle.expired}.get(given.get("lifecycle", "")):
            rows = rows.filter(pk__in=of(timezone.now()).values("pk"))
        if "tag" in given:
            rows = _tagged(rows, given["tag"])
        for word in given.get("q", "").split():
            rows = rows.filter(
                Q(key__icontains=word) | Q(name__icontains=word) | Q(description__icontains=word)
            )
        return self.page(request, rows, FlagSerializer)

    @extend_schema(responses=FlagSerializer)
    def retrieve(self, request: Request, project: str, flag: str) -> Response:
        """A flag's definition."""
        self.filters(request)
        return Response(FlagSerializer(find_flag(self, request, project, flag)).data)


def find_flag(endpoint: Endpoint, request: Request, project: str, key: str) -> Flag:
    """A flag of a project that the caller may see. Raises NotFound."""
    row: Flag | None = (
        Flag.objects.filter(project=endpoint.project(request, project), key=key)
        .select_related("project")
        .first()
    )
    if row is None:
        raise NotFound(f"There is no flag {key!r} in {project}.")
    return row


def _tagged(rows: QuerySet[Flag], tag: str) -> QuerySet[Flag]:
    if connection.features.supports_json_field_contains:
        return rows.filter(tags__contains=[tag])
    # SQLite keeps the list as JSON text, in which a tag with its quotation marks can stand only as a whole.
    return rows.annotate(
        at=StrIndex(Cast("tags", CharField()), Value(json.dumps(tag), output_field=CharField()))
    ).filter(at__gt=0)


# --- configurations ------------------------------------------------------------------------------


class ConfigurationSerializer(serializers.ModelSerializer[FlagConfiguration]):
    """What a flag does in one environment."""

    project = serializers.CharField(source="environment.project.key")
    environment = serializers.CharField(source="environment.key")
    flag = serializers.CharField(source="flag.key")
    subject = serializers.CharField(source="ledger_subject", help_text="What a change request names.")
    document = serializers.DictField(help_text="The whole document, as in the evaluation specification.")
    on = serializers.SerializerMethodField(help_text="Enabled and not killed.")
    summary = serializers.SerializerMethodField(help_text="The document in words.")

    class Meta:
        model = FlagConfiguration
        fields = (
            "project",
            "environment",
            "flag",
            "subject",
            "version",
            "change_id",
            "changed_at",
            "on",
            "summary",
            "document",
        )

    def get_on(self, row: FlagConfiguration) -> bool:
        return wording.is_on(row.document)

    def get_summary(self, row: FlagConfiguration) -> str:
        return wording.summary(row.document)


class ConfigurationFilter(Body):
    """Filters of configurations."""

    project = Key(required=False)
    environment = Key(required=False)
    flag = Key(required=False)


class Configurations(Endpoint):
    """What flags do, by environment. To change one, propose a change of its `subject`."""

    @extend_schema(parameters=[ConfigurationFilter], responses=ConfigurationSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The configurations in the projects that you see."""
        given = self.filters(request, ConfigurationFilter)
        rows = FlagConfiguration.objects.filter(
            environment__project__in=self.visible(request)
        ).select_related("flag", "environment__project")
        columns = {
            "project": "environment__project__key",
            "environment": "environment__key",
            "flag": "flag__key",
        }
        for name, column in columns.items():
            if name in given:
                rows = rows.filter(**{column: given[name]})
        return self.page(request, rows, ConfigurationSerializer)

    @extend_schema(responses=ConfigurationSerializer)
    def retrieve(self, request: Request, project: str, environment: str, flag: str) -> Response:
        """What a flag does in an environment, with the version to name as base of a change."""
        self.filters(request)
        row = (
            FlagConfiguration.objects.filter(
                environment=self.environment(request, project, environment), flag__key=flag
            )
            .select_related("flag", "environment__project")
            .first()
        )
        if row is None:
            raise NotFound(
                f"{flag!r} is not configured in {project}/{environment}; its version for a change is 0."
            )
        return Response(ConfigurationSerializer(row).data)


# --- segments ------------------------------------------------------------------------------------


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    """A named group of contexts."""

    project = serializers.CharField(source="project.key")
    subject = serializers.CharField(source="ledger_subject", help_text="What a change request names.")
    document = serializers.DictField(help_text="`included`, `excluded`, `rules`.")
    summary = serializers.SerializerMethodField(help_text="The document in words.")

    class Meta:
        model = Segment
        fields = ("project", "key", "subject", "version", "change_id", "changed_at", "summary", "document")

    def get_summary(self, row: Segment) -> str:
        return wording.segment(row.document)


class Segments(Endpoint):
    """Groups that rules of the project's flags refer to. To change one, propose a change of its `subject`."""

    @extend_schema(parameters=[ProjectFilter], responses=SegmentSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The segments of the projects that you see."""
        given = self.filters(request, ProjectFilter)
        rows = Segment.objects.filter(project__in=self.visible(request)).select_related("project")
        if "project" in given:
            rows = rows.filter(project__key=given["project"])
        return self.page(request, rows, SegmentSerializer)

    @extend_schema(responses=SegmentSerializer)
    def retrieve(self, request: Request, project: str, segment: str) -> Response:
        """A segment."""
        self.filters(request)
        row = (
            Segment.objects.filter(project=self.project(request, project), key=segment)
            .select_related("project")
            .first()
        )
        if row is None:
            raise NotFound(f"There is no segment {segment!r} in {project}.")
        return Response(SegmentSerializer(row).data)
