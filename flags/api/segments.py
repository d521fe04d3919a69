"""Segments over HTTP: reading. They change through change requests."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.endpoint import Endpoint
from flags import wording
from flags.api.projects import ProjectFilter
from flags.models import Segment


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
