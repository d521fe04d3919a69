"""What every operation has in common in the OpenAPI document: its problems, and `Idempotency-Key`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

_ALWAYS = {
    "400": "The request is malformed: its JSON, a member of it or a parameter.",
    "401": "The token is missing, unknown, expired or revoked.",
    "403": "You see it, but lack the role for this; the detail says which one.",
    "404": "It does not exist, or not for you.",
    "406": "Only JSON is served.",
    "503": "A dependency is away; the detail says which one. Nothing was changed.",
}
_WRITING = {
    "409": "Something else changed meanwhile, or this is not possible any more. Nothing was overwritten.",
    "413": "The body is larger than 1 MiB.",
    "415": "The body is not `application/json`.",
    "422": "What was sent breaks a rule; `errors` names the members.",
}


class MemberErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with one member."""

    member = serializers.CharField(help_text="Its path, e.g. `rules[2].serve.split.weights`.")
    reason = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457 problem details."""

    type = serializers.CharField(help_text="Stable: what programs compare, e.g. `/api/problems/conflict`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="The thing, the reason and the next step, for people.")
    member = serializers.CharField(required=False, help_text="The member that is wrong, where it is one.")
    # The serializer's own `errors` gives way: its metaclass takes fields off the class.
    errors = MemberErrorSerializer(many=True, required=False)  # type: ignore[assignment]
    subject = serializers.CharField(required=False, help_text="Of a conflict: what changed meanwhile.")
    expected = serializers.IntegerField(required=False, help_text="Of a conflict: the version named as base.")
    found = serializers.IntegerField(required=False, help_text="Of a conflict: the version that stands.")


class DocumentedSchema(AutoSchema):
    """Adds to each operation the problems it can answer with."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        problem = self.resolve_serializer(ProblemSerializer, "response").ref
        problems = _ALWAYS if self.method == "GET" else {**_ALWAYS, **_WRITING}
        for status, meaning in problems.items():
            operation["responses"].setdefault(
                status,
                {"description": meaning, "content": {"application/problem+json": {"schema": problem}}},
            )
        operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation

    def get_override_parameters(self) -> list[Any]:
        if self.method != "POST":
            return []
        return [
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="At most 255 printable characters of your choice. For 24 hours, the same key "
                "with the same body is answered with the first answer and does nothing again.",
            )
        ]
