"""What happened to a flag, in words and as documents: to see, and to go back to what stood there."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.endpoint import Endpoint
from audit.admin.reading import TYPES, Told, told
from audit.models import Event
from flags.api.flags import find_flag
from flags.models import Segment
from flags.subjects import Subject


class HistorySerializer(serializers.Serializer[Any]):
    """A change. To go back to what it put there, post its `event` to `change-requests/restore`."""

    event = serializers.UUIDField(source="event.pk")
    time = serializers.DateTimeField(source="event.time")
    type = serializers.CharField(source="event.type")
    subject = serializers.CharField(source="event.subject")
    actor = serializers.CharField(source="event.actor")
    name = serializers.CharField(source="who", help_text="Of the actor, as known now.")
    what = serializers.CharField(help_text="What happened.")
    sentences = serializers.ListField(child=serializers.CharField(), help_text="What it did, in words.")
    change_id = serializers.CharField(source="event.change_id", help_text="Empty for a kill.")
    change_request = serializers.SerializerMethodField(help_text="Its number; null for a kill.")
    approvers = serializers.ListField(child=serializers.CharField(), help_text="Their names.")
    before = serializers.DictField(allow_null=True, help_text="The document; null: nothing stood there.")
    after = serializers.DictField(allow_null=True)

    def get_change_request(self, row: Told) -> int | None:
        return row.request.number if row.request else None


class SegmentHistory(Endpoint):
    """The ledger's events about one segment, for everybody who sees it."""

    ordering = ("-log_id", "-index")

    @extend_schema(operation_id="segments_history_list", responses=HistorySerializer(many=True))
    def list(self, request: Request, project: str, segment: str) -> Response:
        """What happened to a segment, newest first."""
        self.filters(request)
        row = Segment.objects.filter(project=self.project(request, project), key=segment).first()
        if row is None:
            raise NotFound(f"There is no segment {segment!r} in {project}.")
        pages = self.pagination_class()
        events = Event.objects.filter(subject=row.ledger_subject, type__in=TYPES)
        shown = told(row.project, pages.paginate_queryset(events, request, self), [])
        return pages.get_paginated_response(HistorySerializer(shown, many=True).data)


class FlagHistory(Endpoint):
    """The ledger's events about one flag, for everybody who sees the flag."""

    ordering = ("-log_id", "-index")

    @extend_schema(operation_id="flags_history_list", responses=HistorySerializer(many=True))
    def list(self, request: Request, project: str, flag: str) -> Response:
        """What happened to a flag in all environments, newest first."""
        self.filters(request)
        row = find_flag(self, request, project, flag)
        environments = list(row.project.environments.all())
        subjects = [str(row.subject), str(Subject("expectations", project, flag))] + [
            str(Subject("configuration", project, flag, each.key)) for each in environments
        ]
        pages = self.pagination_class()
        events = Event.objects.filter(subject__in=subjects, type__in=TYPES)
        shown = told(row.project, pages.paginate_queryset(events, request, self), environments)
        return pages.get_paginated_response(HistorySerializer(shown, many=True).data)
