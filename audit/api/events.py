"""The ledger over HTTP: its events as they are hashed, and its checkpoints."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Left
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Key, Moment, Text
from access.api.endpoint import Endpoint
from access.permissions import may_in_organisation
from audit.models import Checkpoint, Event
from audit.proofs import event_proof


class EventSerializer(serializers.ModelSerializer[Event]):
    """A line of the ledger, and its members to search and read by."""

    log = serializers.CharField(source="log.origin")
    line = serializers.CharField(help_text="The bytes that are hashed, as text.")
    # The serializer's own `data` gives way on the class, and is there on the instance.
    data = serializers.SerializerMethodField(  # type: ignore[assignment]
        help_text="The event's data, decoded from the line."
    )

    class Meta:
        model = Event
        fields: tuple[str, ...] = (
            "id",
            "log",
            "index",
            "time",
            "type",
            "subject",
            "actor",
            "project",
            "change_id",
            "data",
            "line",
        )

    def get_data(self, row: Event) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(row.line)["data"]
        return data


class EventDetailSerializer(EventSerializer):
    """An event with its leaf of the tree."""

    leaf_hash = serializers.SerializerMethodField(help_text="RFC 6962, hexadecimal.")

    class Meta(EventSerializer.Meta):
        fields = (*EventSerializer.Meta.fields, "leaf_hash")

    def get_leaf_hash(self, row: Event) -> str:
        return bytes(row.leaf_hash).hex()


class EventProofSerializer(serializers.Serializer[Any]):
    """One event with what shows that it is in the ledger."""

    line = serializers.CharField(help_text="The event: the bytes that are hashed, as text.")
    proof = serializers.CharField(
        help_text="A c2sp.org/tlog-proof: index, audit path and the newest checkpoint, as text."
    )


class EventFilter(Body):
    """Filters of events."""

    project = Key(required=False)
    type = Text(required=False, max_length=128)
    actor = Text(required=False, max_length=128)
    subject = Text(
        required=False,
        max_length=700,
        help_text="What the subject begins with, e.g. `project/shop/environment/production/`.",
    )
    change_id = Text(required=False, max_length=128, help_text="e.g. `CR-12`")
    since = Moment(required=False)
    until = Moment(required=False, help_text="Not included.")


class Events(Endpoint):
    """What happened in the projects where you may see the audit trail."""

    ordering = ("-log_id", "-index")

    @extend_schema(parameters=[EventFilter], responses=EventSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The events, newest first."""
        given = self.filters(request, EventFilter)
        rows = self._seen(request, given.get("project"))
        columns = {
            "project": "project",
            "type": "type",
            "actor": "actor",
            "change_id": "change_id",
            "since": "time__gte",
            "until": "time__lt",
        }
        for name, column in columns.items():
            if name in given:
                rows = rows.filter(**{column: given[name]})
        if "subject" in given:
            # Not `startswith`, which on SQLite takes capital letters for small ones.
            prefix = given["subject"]
            rows = rows.annotate(begins=Left("subject", len(prefix))).filter(begins=prefix)
        return self.page(request, rows, EventSerializer)

    @extend_schema(responses=EventDetailSerializer)
    def retrieve(self, request: Request, id: UUID) -> Response:
        """An event."""
        return Response(EventDetailSerializer(self._event(request, id)).data)

    @extend_schema(responses=EventProofSerializer)
    def proof(self, request: Request, id: UUID) -> Response:
        """Proof that an event is in the ledger, which anyone can check offline without the rest of it."""
        row = self._event(request, id)
        return Response(EventProofSerializer({"line": row.line, "proof": event_proof(row)}).data)

    def _event(self, request: Request, id: UUID) -> Event:
        self.filters(request)
        row = self._seen(request, None).filter(pk=id).first()
        if row is None:
            raise NotFound(f"There is no event {id} that you see.")
        return row

    def _seen(self, request: Request, project: str | None) -> QuerySet[Event]:
        projects = self.visible_or_refused(request, "audit.view", project)
        if project is not None:
            if not projects.filter(key=project).exists():
                return Event.objects.none()
            # By its key alone, which an index serves in the order asked for.
            return Event.objects.filter(project=project).select_related("log")
        seen = Q(project__in=projects.values("key"))
        if may_in_organisation(self.actor(request), "audit.view", self.held(request)):
            seen |= Q(project="")  # tokens, the ledger itself: no project's, but the installation's
        return Event.objects.filter(seen).select_related("log")


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    """A signed statement of the ledger's size and root."""

    log = serializers.CharField(source="log.origin")
    note = serializers.CharField(help_text="The signed note, whole: keep it where we cannot reach it.")

    class Meta:
        model = Checkpoint
        fields = ("log", "size", "signed_at", "note")


class Checkpoints(Endpoint):
    """Signed heads of the ledger, for whoever may see the audit trail of some project."""

    ordering = ("-log_id", "-size")

    @extend_schema(responses=CheckpointSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The checkpoints, newest first."""
        self.filters(request)
        return self.page(request, self._seen(request), CheckpointSerializer)

    @extend_schema(operation_id="checkpoints_latest", responses=CheckpointSerializer)
    def latest(self, request: Request) -> Response:
        """The newest checkpoint."""
        self.filters(request)
        row = self._seen(request).order_by(*self.ordering).first()
        if row is None:
            raise NotFound("There is no checkpoint that you see; one is signed within a minute of a change.")
        return Response(CheckpointSerializer(row).data)

    def _seen(self, request: Request) -> QuerySet[Checkpoint]:
        projects = self.visible_or_refused(request, "audit.view", None)
        if not projects.exists() and not may_in_organisation(
            self.actor(request), "audit.view", self.held(request)
        ):
            return Checkpoint.objects.none()
        return Checkpoint.objects.select_related("log")
