"""Expectations: a flag's own tests, and whether they hold. They are changed by change requests."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Key
from access.api.endpoint import Endpoint
from approvals.expectations import Outcome, outcomes
from approvals.resulting import Resulting
from flags import models
from flags.api.flags import find_flag
from flags.subjects import Subject


class OutcomeSerializer(serializers.Serializer[Any]):
    """An expectation, and what is served now."""

    sentence = serializers.CharField(source="entry.sentence", help_text="Who gets what, for people.")
    environment = serializers.CharField(source="environment.key")
    region = serializers.SerializerMethodField(help_text="Of the service; null: none.")
    # The field of this name that a serializer has for itself gives way.
    context = serializers.SerializerMethodField(  # type: ignore[assignment]
        help_text="`targetingKey` and attributes."
    )
    variant = serializers.CharField(
        source="entry.variant", allow_null=True, help_text="That is expected; null: the caller's default."
    )
    holds = serializers.BooleanField()
    got = serializers.CharField(allow_null=True, help_text="The variant that is served now.")
    why = serializers.CharField(source="sentence", help_text="That answer in words.")

    def get_region(self, row: Outcome) -> str | None:
        return row.entry.get("region")

    def get_context(self, row: Outcome) -> dict[str, Any]:
        return dict(row.entry["context"])


class ExpectationsSerializer(serializers.ModelSerializer[models.Expectations]):
    """A flag's expectations."""

    project = serializers.CharField(source="flag.project.key")
    flag = serializers.CharField(source="flag.key")
    subject = serializers.CharField(source="ledger_subject", help_text="What a change request names.")
    document = serializers.DictField(help_text="What a change request replaces.")

    class Meta:
        model = models.Expectations
        fields = ("project", "flag", "subject", "version", "change_id", "changed_at", "document")


class FlagExpectationsSerializer(serializers.Serializer[Any]):
    """A flag's expectations, each with what is served now."""

    project = serializers.CharField()
    flag = serializers.CharField()
    subject = serializers.CharField(help_text="What a change request names.")
    version = serializers.IntegerField(help_text="The base of a change; 0: there are none yet.")
    document = serializers.DictField(help_text="What a change request replaces.")
    outcomes = OutcomeSerializer(many=True)


class ExpectationsFilter(Body):
    """Filters of expectations."""

    project = Key(required=False)


class Expectations(Endpoint):
    """A flag's own tests. A change is proposed at `change-requests`, for their subject."""

    @extend_schema(parameters=[ExpectationsFilter], responses=ExpectationsSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The expectations of all flags in the projects that you see."""
        given = self.filters(request, ExpectationsFilter)
        rows = models.Expectations.objects.filter(flag__project__in=self.visible(request))
        if "project" in given:
            rows = rows.filter(flag__project__key=given["project"])
        return self.page(request, rows.select_related("flag__project"), ExpectationsSerializer)

    @extend_schema(responses=FlagExpectationsSerializer)
    def retrieve(self, request: Request, project: str, flag: str) -> Response:
        """A flag's expectations, and whether they hold as things stand."""
        self.filters(request)
        found = find_flag(self, request, project, flag)
        row = models.Expectations.objects.filter(flag=found).first()
        shown = {
            "project": project,
            "flag": found.key,
            "subject": str(Subject("expectations", project, found.key)),
            "version": row.version if row else 0,
            "document": row.document if row else {"expectations": []},
            "outcomes": list(outcomes(Resulting(found.project), [found.key])),
        }
        return Response(FlagExpectationsSerializer(shown).data)
