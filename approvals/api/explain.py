"""Is it on, for whom, and why: over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Document, Key, Text
from access.api.endpoint import Endpoint
from approvals.api.kills import EmergencySerializer
from approvals.explain import Explanation, explain
from flags.models import Flag


class BehindSerializer(serializers.Serializer[Any]):
    """The change request that put a version there."""

    change_id = serializers.CharField()
    number = serializers.IntegerField(help_text="What its address names.")
    title = serializers.CharField()
    rationale = serializers.CharField()
    ticket = serializers.CharField()
    proposer = serializers.CharField()
    approvers = serializers.ListField(child=serializers.CharField())
    applied_at = serializers.DateTimeField(allow_null=True)


class ConditionSerializer(serializers.Serializer[Any]):
    """A constraint of a rule. Those after the first that does not hold change nothing and are left out."""

    words = serializers.CharField()
    holds = serializers.BooleanField()


class StepSerializer(serializers.Serializer[Any]):
    """A step of the evaluation that was come to."""

    name = serializers.ChoiceField(
        choices=[
            (name, name)
            for name in (
                "error",
                "killed",
                "enabled",
                "region",
                "prerequisite",
                "target",
                "rule",
                "default",
            )
        ]
    )
    decided = serializers.BooleanField(help_text="True for the last one alone.")
    rule = serializers.CharField(help_text="The rule's id; empty for other steps.")
    words = serializers.CharField()
    conditions = ConditionSerializer(many=True)


class SegmentUsedSerializer(serializers.Serializer[Any]):
    """A segment that settled a rule."""

    key = serializers.CharField()
    version = serializers.IntegerField(help_text="0 where there is no such segment: it contains nobody.")
    contains = serializers.BooleanField(help_text="Whether the context is in it.")
    change_id = serializers.CharField()
    behind = BehindSerializer(allow_null=True, help_text="The change behind its version.")


class NeededSerializer(serializers.Serializer[Any]):
    """A prerequisite."""

    flag = serializers.CharField()
    variants = serializers.ListField(child=serializers.CharField(), help_text="One of them must be served.")
    served = serializers.CharField(allow_null=True, help_text="The variant that is; null: none.")
    satisfied = serializers.BooleanField()
    change_id = serializers.CharField()
    behind = BehindSerializer(allow_null=True)


class ExplanationSerializer(serializers.Serializer[Any]):
    """What a flag answers for a context, and why."""

    project = serializers.CharField(source="environment.project.key")
    environment = serializers.CharField(source="environment.key")
    flag = serializers.CharField(source="flag.key")
    on = serializers.BooleanField(help_text="Switched on here: enabled and not killed.")
    sentence = serializers.SerializerMethodField(help_text="The answer in words.")
    # Of any type, null included: said as one schema, because null would fit two.
    value = serializers.JSONField(source="result.value", help_text="Null where the caller's default applies.")
    variant = serializers.CharField(source="result.variant", allow_null=True)
    reason = serializers.CharField(source="result.reason", help_text="As OpenFeature has it.")
    cause = serializers.SerializerMethodField(
        help_text="killed, disabled, region, prerequisite, target, rule or default; null for an ERROR."
    )
    rule = serializers.SerializerMethodField(help_text="The id of the rule that decided; null: none.")
    error_code = serializers.CharField(source="result.error_code", allow_null=True)
    error_message = serializers.CharField(source="result.error_message", allow_null=True)
    version = serializers.SerializerMethodField(
        help_text="Of the configuration; 0: it has never been set, so that callers get their default."
    )
    environment_revision = serializers.IntegerField(
        source="environment.revision", help_text="The version of the snapshot that has all of this."
    )
    behind = BehindSerializer(allow_null=True, help_text="The change that put this configuration there.")
    kill = EmergencySerializer(allow_null=True, help_text="Where the flag is killed: by whom, and when.")
    steps = StepSerializer(many=True)
    segments = SegmentUsedSerializer(many=True)
    prerequisites = NeededSerializer(many=True)

    def get_sentence(self, row: Explanation) -> str:
        return row.sentence

    def get_cause(self, row: Explanation) -> str | None:
        return row.result.metadata.get("cause")

    def get_rule(self, row: Explanation) -> str | None:
        return row.result.metadata.get("rule")

    def get_version(self, row: Explanation) -> int:
        return row.configuration.version if row.configuration else 0


class ExplainBody(Body):
    """A flag, where, and for whom."""

    project = Key()
    environment = Key()
    flag = Key()
    # The field of this name that a serializer has for itself gives way.
    context = Document(  # type: ignore[assignment]
        required=False, help_text="`targetingKey` and attributes, as a service gives them. Never stored."
    )
    region = Text(
        required=False, max_length=128, help_text="Of the client's static context, where it has one."
    )


class Explain(Endpoint):
    """Answers by the evaluator of the SDK, over what the next snapshot would have."""

    @extend_schema(
        operation_id="explain",
        request=ExplainBody,
        responses=ExplanationSerializer,
        examples=[
            OpenApiExample(
                "For one customer",
                {
                    "project": "shop",
                    "environment": "production",
                    "flag": "new-checkout",
                    "context": {"targetingKey": "customer-1017", "country": "DE"},
                },
                request_only=True,
            )
        ],
    )
    def answer(self, request: Request) -> Response:
        """Is it on, for whom, and why: which rule, which segments, which changes, who approved them.

        A POST, because a context is personal and addresses are logged. It changes nothing.
        """
        given = self.body(request, ExplainBody)
        environment = self.environment(request, given["project"], given["environment"])
        flag = Flag.objects.filter(project=environment.project, key=given["flag"]).first()
        if flag is None:
            raise NotFound(f"There is no flag {given['flag']!r} in {environment.project.key}.")
        found = explain(flag, environment, given.get("context", {}), given.get("region"))
        return Response(ExplanationSerializer(found).data)
