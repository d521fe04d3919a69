"""Freezes: times in which nothing is applied."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Moment, Text, Whole
from access.api.endpoint import Endpoint
from approvals.freezes import HORIZON, Window, lift_freeze, save_freeze, windows
from approvals.models import FreezeWindow
from audit.history import version_of, version_subquery
from flags.api.projects import ProjectFilter

# How many of the times to come are told.
SHOWN = 5


class ExemptSerializer(serializers.Serializer[Any]):
    """Whom and what a freeze does not stop."""

    members = serializers.ListField(child=serializers.CharField(), help_text="Ids of people and teams.")
    roles = serializers.ListField(child=serializers.CharField(), help_text="Keys of roles in the project.")
    tags = serializers.ListField(child=serializers.CharField(), help_text="Of flags.")


class WindowSerializer(serializers.Serializer[Any]):
    """One time for which a freeze holds."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField(help_text="From then on it does not.")


class FreezeSerializer(serializers.ModelSerializer[FreezeWindow]):
    """A time in which nothing is applied: once, or whenever a rule recurs."""

    project = serializers.CharField(source="project.key")
    environments = serializers.ListField(child=serializers.CharField(), help_text="Keys; empty: all.")
    regions = serializers.ListField(child=serializers.CharField(), help_text="Empty: all.")
    tags = serializers.ListField(child=serializers.CharField(), help_text="Of flags; empty: all flags.")
    exempt = serializers.SerializerMethodField(help_text="Whom and what it does not stop.")
    holds = serializers.SerializerMethodField(help_text="Whether it holds now.")
    windows = serializers.SerializerMethodField(help_text="The times to come within a year, the first five.")
    version = serializers.SerializerMethodField(help_text="The base of a change of it.")

    class Meta:
        model = FreezeWindow
        fields = (
            "project",
            "key",
            "reason",
            "environments",
            "regions",
            "tags",
            "starts_at",
            "ends_at",
            "rrule",
            "zone",
            "duration",
            "exempt",
            "made_by",
            "holds",
            "windows",
            "version",
        )

    @extend_schema_field(ExemptSerializer)
    def get_exempt(self, row: FreezeWindow) -> Any:
        return {name: row.exempt.get(name, []) for name in ("members", "roles", "tags")}

    def get_holds(self, row: FreezeWindow) -> bool:
        now = timezone.now()
        return any(each.start <= now for each in self._windows(row))

    @extend_schema_field(WindowSerializer(many=True))
    def get_windows(self, row: FreezeWindow) -> Any:
        return WindowSerializer(self._windows(row)[:SHOWN], many=True).data

    def get_version(self, row: FreezeWindow) -> int:
        listed: int | None = getattr(row, "listed_version", None)
        return version_of(row) if listed is None else listed

    def _windows(self, row: FreezeWindow) -> list[Window]:
        now = timezone.now()
        return windows(row, now, now + HORIZON)


class ExemptBody(Body):
    """Whom and what a freeze does not stop."""

    members = serializers.ListField(child=Text(max_length=64), required=False, max_length=200)
    roles = serializers.ListField(child=Text(max_length=64), required=False, max_length=50)
    tags = serializers.ListField(child=Text(max_length=128), required=False, max_length=50)


class FreezeBody(Body):
    """The whole freeze: `ends_at` for one that happens once, `rrule`, `zone` and `duration` for one that recurs."""

    reason = Text(max_length=200, help_text="For everyone whom it stops.")
    environments = serializers.ListField(child=Text(max_length=128), required=False, max_length=100)
    regions = serializers.ListField(child=Text(max_length=128), required=False, max_length=100)
    tags = serializers.ListField(child=Text(max_length=128), required=False, max_length=50)
    starts_at = Moment(help_text="Of one that recurs, the first time.")
    ends_at = Moment(required=False, allow_null=True)
    rrule = Text(
        required=False,
        allow_blank=True,
        max_length=200,
        help_text="RFC 5545, such as `FREQ=WEEKLY;BYDAY=FR`; a day is the shortest frequency.",
    )
    zone = Text(
        required=False, max_length=64, help_text="Whose wall clock recurs, such as `Europe/Berlin`. UTC."
    )
    duration = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        help_text="Seconds each time. Whole days of it are days of the calendar, the rest is exact.",
    )
    exempt = ExemptBody(required=False)
    base = Whole(required=False, min_value=0, help_text="The `version` that you saw; 0 for a new one.")


_DEFAULTS: dict[str, Any] = {
    "environments": [],
    "regions": [],
    "tags": [],
    "ends_at": None,
    "rrule": "",
    "zone": "UTC",
    "duration": None,
    "exempt": {},
}


class Freezes(Endpoint):
    """Times in which nothing is applied. A kill, a revert, an abort and an expiry work all the same."""

    @extend_schema(parameters=[ProjectFilter], responses=FreezeSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The freezes of the projects that you see."""
        given = self.filters(request, ProjectFilter)
        rows = FreezeWindow.objects.filter(project__in=self.visible(request)).select_related("project")
        if "project" in given:
            rows = rows.filter(project__key=given["project"])
        rows = rows.annotate(listed_version=version_subquery(FreezeWindow, id=OuterRef("pk")))
        return self.page(request, rows, FreezeSerializer)

    @extend_schema(responses=FreezeSerializer)
    def retrieve(self, request: Request, project: str, freeze: str) -> Response:
        """A freeze and the next times when it holds."""
        self.filters(request)
        return Response(FreezeSerializer(self._find(request, project, freeze)).data)

    @extend_schema(
        request=FreezeBody,
        responses=FreezeSerializer,
        examples=[
            OpenApiExample(
                "The holidays",
                {
                    "reason": "Holidays: few people are here to help",
                    "environments": ["production"],
                    "starts_at": "2026-12-21T17:00:00+01:00",
                    "ends_at": "2027-01-04T08:00:00+01:00",
                    "exempt": {"roles": ["on-call"]},
                    "base": 0,
                },
                request_only=True,
            ),
            OpenApiExample(
                "Every weekend",
                {
                    "reason": "Nobody deploys on weekends",
                    "environments": ["production"],
                    "starts_at": "2026-12-04T18:00:00+01:00",
                    "rrule": "FREQ=WEEKLY;BYDAY=FR",
                    "zone": "Europe/Berlin",
                    "duration": 216_000,
                    "base": 0,
                },
                request_only=True,
            ),
        ],
    )
    def update(self, request: Request, project: str, freeze: str) -> Response:
        """Plan a freeze, or say anew all that it is. Loosening one that holds takes somebody else."""
        given = self.body(request, FreezeBody)
        found = self.project(request, project)
        base = self.based(given, f"project/{found.key}/freeze/{freeze}")
        made = save_freeze(self.actor(request), found, freeze, {**_DEFAULTS, **given}, base=base)
        return Response(FreezeSerializer(made).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, project: str, freeze: str) -> Response:
        """Lift a freeze. One that holds, or soon will, is lifted by somebody else than who made it."""
        self.body(request)
        lift_freeze(self.actor(request), self._find(request, project, freeze))
        return Response(status=204)

    def _find(self, request: Request, project: str, key: str) -> FreezeWindow:
        rows = FreezeWindow.objects.filter(project=self.project(request, project), key=key)
        found: FreezeWindow | None = rows.select_related("project").first()
        if found is None:
            raise NotFound(f"There is no freeze {key!r} in {project}.")
        return found
