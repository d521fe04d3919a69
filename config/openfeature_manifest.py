"""`GET /openfeature/v0/manifest`: the flags of an environment for the OpenFeature CLI, which generates code.

The CLI asks for this path below the address that it was given, and can name nothing else: a project and
environment stand in that address, or in the query, or follow from what the token sees.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Key
from access.api.endpoint import Endpoint
from access.api.openapi import ProblemSerializer
from countersign.members import DocumentError
from flags.models import Environment, Flag, FlagConfiguration


class ManifestFlagSerializer(serializers.Serializer[Any]):
    """A flag, as the CLI reads it."""

    key = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(choices=Flag.Type.choices)
    description = serializers.CharField(allow_blank=True)
    defaultValue = serializers.JSONField(  # noqa: N815  # the CLI's name
        help_text="The value of the off variant; null where there is none, so that the CLI asks for one.",
    )


class ManifestSerializer(serializers.Serializer[Any]):
    """All flags of a project."""

    flags = ManifestFlagSerializer(many=True)


class ManifestFilter(Body):
    """Which project and environment."""

    project = Key(required=False, help_text="Needed where the token sees more than one project.")
    environment = Key(
        required=False, help_text="Whose off variants are the default values; the last in order of promotion."
    )


class Manifest(Endpoint):
    """For `openfeature pull`, read only: flags are made and changed through change requests."""

    @extend_schema(
        parameters=[ManifestFilter],
        responses={200: ManifestSerializer, (422, "application/problem+json"): ProblemSerializer},
    )
    def retrieve(self, request: Request) -> Response:
        """The flags of a project, for the OpenFeature CLI."""
        given = self.filters(request, ManifestFilter, paged=False)
        return self._of(request, given.get("project"), given.get("environment"))

    @extend_schema(responses=ManifestSerializer, operation_id="openfeature_environment_manifest_retrieve")
    def retrieve_at(self, request: Request, project: str, environment: str) -> Response:
        """The same for the CLI, whose `--provider-url` is the part of this address before `/openfeature/v0`."""
        self.filters(request, paged=False)
        return self._of(request, project, environment)

    def handle_exception(self, exc: Exception) -> Response:
        """A problem that the CLI can show as well: it reads `error.message`."""
        response = super().handle_exception(exc)
        if isinstance(response.data, dict):
            response.data["error"] = {"message": response.data["detail"], "status": response.status_code}
        return response

    def _of(self, request: Request, project: str | None, environment: str | None) -> Response:
        row = self._environment(request, project, environment)
        defaults = dict(
            FlagConfiguration.objects.filter(environment=row).values_list("flag_id", "document__off")
        )
        flags = [
            {
                "key": flag.key,
                "name": flag.name,
                "type": flag.type,
                "description": flag.description,
                "defaultValue": flag.variants.get(defaults.get(flag.pk)),
            }
            for flag in Flag.objects.filter(project_id=row.project_id, archived=False).order_by("key")
        ]
        return Response({"flags": flags}, headers={"X-Manifest-Capabilities": "read"})

    def _environment(self, request: Request, project: str | None, environment: str | None) -> Environment:
        if project is None:
            keys = list(self.visible(request).values_list("key", flat=True)[:2])
            if len(keys) != 1:
                seen = "sees more than one; name it" if keys else "sees none; ask for a role in one"
                raise DocumentError("project", f"is missing, and the token {seen}")
            project = keys[0]
        if environment is not None:
            return self.environment(request, project, environment)
        last = (
            Environment.objects.filter(project=self.project(request, project))
            .order_by("-position", "-key")
            .first()
        )
        if last is None:
            raise DocumentError("project", f"{project} has no environment yet; make one first")
        return last
