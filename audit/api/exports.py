"""Exports over HTTP: recorded once, then taken as a bundle as often as the connection needs."""

from __future__ import annotations

from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Key, Moment, Truth, Whole
from access.api.endpoint import Endpoint
from access.permissions import require_everywhere
from audit import bundle_zip
from audit.admin.downloads import attachment
from audit.export import EXPORTED, Export, record_export, recorded
from audit.ledger import current_log
from audit.models import Checkpoint, Event
from audit.selection import Selection
from countersign.members import DocumentError
from flags.models import Project

LARGEST = 2**53 - 1


class SelectionBody(Body):
    """What to export. Everything, unless something is named."""

    first = Whole(
        required=False,
        min_value=1,
        max_value=LARGEST,
        help_text="Only what came after the bundle of this size, which this one follows.",
    )
    previous = Whole(
        required=False,
        min_value=1,
        max_value=LARGEST,
        help_text="Everything, with a proof that it goes on from the checkpoint of this size. Not with `first`.",
    )
    projects = serializers.ListField(
        child=Key(),
        required=False,
        min_length=1,
        max_length=1_000,
        help_text="Only their events; of others, what reviews rest on travels whole and the rest as hashes.",
    )
    since = Moment(required=False, help_text="Only events from then on; others as above.")
    until = Moment(required=False, help_text="Not included.")
    disclosures = Truth(required=False, help_text="Whether the names of people travel; the default is true.")


class SelectedSerializer(serializers.Serializer[Any]):
    """Whose events, and when."""

    projects = serializers.ListField(child=serializers.CharField(), required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class ExportSerializer(serializers.Serializer[Any]):
    """An export that was recorded."""

    id = serializers.UUIDField(help_text="Of the event that records it.")
    log = serializers.CharField()
    time = serializers.DateTimeField()
    first = serializers.IntegerField(help_text="Index of the first entry.")
    size = serializers.IntegerField(help_text="Of the log; the last entry is before it.")
    previous = serializers.IntegerField(allow_null=True)
    filter = SelectedSerializer(allow_null=True)
    disclosures = serializers.BooleanField()
    checkpoint = serializers.CharField(help_text="The signed note that the bundle carries.")
    bundle = serializers.CharField(help_text="Where the bundle is, as a zip file.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        export: Export = instance if isinstance(instance, Export) else recorded(instance)
        return {
            "id": str(export.event.pk),
            "log": export.event.log.origin,
            "time": serializers.DateTimeField().to_representation(export.event.time),
            "size": export.checkpoint.size,
            "previous": None,
            **export.selection.as_data(),
            "checkpoint": export.checkpoint.note,
            "bundle": f"/api/v1/exports/{export.event.pk}/bundle",
        }


class Exports(Endpoint):
    """Bundles of evidence. They take the role Auditor or Administrator in every project."""

    ordering = ("-log_id", "-index")

    @extend_schema(responses=ExportSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Your exports, newest first."""
        self.filters(request)
        return self.page(request, self._own(request), ExportSerializer)

    @extend_schema(request=SelectionBody, responses={201: ExportSerializer})
    def create(self, request: Request) -> Response:
        """Record an export and sign its checkpoint; then take its bundle."""
        actor = self.actor(request)
        require_everywhere(actor, "audit.export")
        given = self.body(request, SelectionBody)
        keys = dict.fromkeys(given.pop("projects", ()))
        unknown = sorted(set(keys) - set(Project.objects.filter(key__in=keys).values_list("key", flat=True)))
        if unknown:
            raise DocumentError("projects", f"there is no project {unknown[0]!r}")
        export = record_export(actor, Selection(projects=tuple(keys), **given))
        return Response(ExportSerializer(export).data, 201)

    @extend_schema(responses=ExportSerializer)
    def retrieve(self, request: Request, id: UUID) -> Response:
        """An export of yours."""
        self.filters(request)
        return Response(ExportSerializer(self.export(request, id)).data)

    def export(self, request: Request, id: UUID) -> Export:
        """An export of the caller's, who may still export. Raises NotFound, `ForbiddenError`."""
        event = self._own(request).filter(pk=id).first()
        if event is None:
            raise NotFound(f"There is no export {id} of yours.")
        return recorded(event)

    def _own(self, request: Request) -> QuerySet[Event]:
        actor = self.actor(request)
        require_everywhere(actor, "audit.export")
        made = Event.objects.filter(project="", type=EXPORTED, actor=actor.id).select_related("log")
        # Where a log was left before a checkpoint covered the export, there never will be a bundle of it.
        signed = Checkpoint.objects.filter(log=OuterRef("log"), size__gt=OuterRef("index"))
        return made.filter(Q(log=current_log()) | Exists(signed))


class _ZipRenderer(JSONRenderer):
    """Lets a client ask for the zip file by name; what is rendered is only ever a problem, in JSON."""

    media_type = "application/zip"
    format = "zip"


class ExportBundles(Exports):
    """The bundle of an export."""

    renderer_classes = (JSONRenderer, _ZipRenderer)

    @extend_schema(
        operation_id="exports_bundle_retrieve", responses={(200, "application/zip"): OpenApiTypes.BINARY}
    )
    def retrieve(self, request: Request, id: UUID) -> StreamingHttpResponse:  # type: ignore[override]
        """The bundle as a zip file, made while it is sent. Where it breaks off, ask again: it is the same."""
        self.filters(request)
        export = self.export(request, id)
        name = f"countersign-evidence-{export.event.time:%Y-%m-%dT%H%M%SZ}"
        pieces = bundle_zip.stream(name, export.members())
        return attachment(chain([next(pieces)], pieces), f"{name}.zip", "application/zip")
