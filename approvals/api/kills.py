"""Kills, and the reviews they owe."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Key
from access.api.endpoint import Endpoint
from approvals import workflow
from approvals.models import Emergency
from flags.api.flags import find_flag
from flags.models import Flag
from flags.subjects import Subject


class EmergencySerializer(serializers.ModelSerializer[Emergency]):
    """A kill, or a change taken back at once, and whether somebody else has looked at it since."""

    project = serializers.CharField(source="project.key")
    event = serializers.UUIDField(source="event_id", help_text="Its event; what its address names.")
    kind = serializers.SerializerMethodField(help_text="`kill`, or `revert` of a change by on-call.")
    change_request = serializers.IntegerField(
        source="request_id", allow_null=True, help_text="The number of the one that was taken back."
    )
    overdue = serializers.BooleanField(source="is_overdue")

    class Meta:
        model = Emergency
        fields = (
            "project",
            "event",
            "kind",
            "change_request",
            "subject",
            "killed_by",
            "killed_at",
            "digest",
            "due_at",
            "overdue",
            "reviewed_by",
            "reviewed_at",
        )

    def get_kind(self, row: Emergency) -> str:
        return "revert" if row.request_id else "kill"


class EmergencyFilter(Body):
    """Filters of kills."""

    project = Key(required=False)
    reviewed = Choice(choices=[("true", "reviewed"), ("false", "owed")], required=False)


class Kills(Endpoint):
    """The switch for when it burns."""

    @extend_schema(operation_id="configurations_kill", request=None, responses={201: EmergencySerializer})
    def kill(self, request: Request, project: str, environment: str, flag: str) -> Response:
        """Turn a flag off in one environment, at once and without review; the review is owed afterwards."""
        self.body(request)
        where = self.environment(request, project, environment)
        if not Flag.objects.filter(project=where.project, key=flag).exists():
            raise NotFound(f"There is no flag {flag!r} in {project}.")
        subject = Subject("configuration", project, flag, environment)
        row = workflow.kill(self.actor(request), subject, where.project)
        return Response(EmergencySerializer(row).data, 201)

    @extend_schema(
        operation_id="flags_kill",
        request=None,
        responses={201: EmergencySerializer(many=True)},
        filters=False,
    )
    def kill_everywhere(self, request: Request, project: str, flag: str) -> Response:
        """Turn a flag off at once in every environment, all or none; a review is owed for each."""
        self.body(request)
        rows = workflow.kill_everywhere(self.actor(request), find_flag(self, request, project, flag))
        return Response(EmergencySerializer(rows, many=True).data, 201)


class Emergencies(Endpoint):
    """Kills and their reviews."""

    ordering = ("-pk",)

    @extend_schema(parameters=[EmergencyFilter], responses=EmergencySerializer(many=True))
    def list(self, request: Request) -> Response:
        """The kills in the projects that you see, newest first."""
        given = self.filters(request, EmergencyFilter)
        rows = self._seen(request)
        if "project" in given:
            rows = rows.filter(project__key=given["project"])
        if "reviewed" in given:
            rows = rows.filter(reviewed_at__isnull=given["reviewed"] == "false")
        return self.page(request, rows, EmergencySerializer)

    @extend_schema(request=None, responses=EmergencySerializer)
    def review(self, request: Request, event: UUID) -> Response:
        """Review a kill of somebody else's."""
        self.body(request)
        row = self._seen(request).filter(event_id=event).first()
        if row is None:
            raise NotFound(f"There is no kill with the event {event} that you see.")
        row = workflow.review_emergency(self.actor(request), row)
        return Response(EmergencySerializer(row).data)

    def _seen(self, request: Request) -> QuerySet[Emergency]:
        return Emergency.objects.filter(project__in=self.visible(request)).select_related("project")
