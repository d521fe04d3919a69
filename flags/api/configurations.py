"""Configurations over HTTP, what flags do in an environment: reading. They change through change requests."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Key
from access.api.endpoint import Endpoint
from flags import wording
from flags.models import FlagConfiguration


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
