"""Flags over HTTP, their definitions: reading. What they are changes through change requests."""

from __future__ import annotations

import json
from typing import Any

from django.db import connection
from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Cast, StrIndex
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Key, Text
from access.api.endpoint import Endpoint
from flags import lifecycle
from flags.documents import definition_document
from flags.models import Flag


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

    def get_document(self, row: Flag) -> dict[str, Any]:
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
