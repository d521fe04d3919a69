"""What every operation has in common in the OpenAPI document: names, problems, `Idempotency-Key`, headers."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import resolve_django_path_parameter
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers

from access.api.body import Body, Moment, Text

_ALWAYS = {
    "400": "The request cannot be read: its JSON, the type of a member, an unknown member or parameter.",
    "401": "The token is missing, unknown, expired or revoked.",
    "403": "You see it, but lack the role for this; the detail says which one.",
    "404": "It does not exist, or not for you.",
    "406": "Only JSON is served.",
    "413": "The body is larger than 1 MiB.",
    "429": "Too many requests with this token, by this person or from this address.",
    "500": "Something failed that nobody foresaw. A write is all or nothing.",
    "503": "A dependency is away; the detail says which one. Nothing was changed.",
}
_LISTING = {"422": "The cursor is not one of this list."}
_WRITING = {
    "409": "Something else changed meanwhile, or this is not possible any more. Nothing was overwritten.",
    "415": "The body is not `application/json`.",
    "422": "What was sent breaks a rule; `errors` names the members.",
}
_HEADERS = {
    "401": ("WWW-Authenticate", "`Bearer`"),
    "429": ("Retry-After", "Seconds to wait."),
    "503": ("Retry-After", "Seconds to wait, where the database is away."),
}
# Of what stands in a path, in the order of what people ask about it.
_IN_PATHS = {
    "project": ("The key of a project that you see.", "shop"),
    "environment": ("The key of an environment in it.", "production"),
    "flag": ("The key of a flag in it.", "new-checkout"),
    "segment": ("The key of a segment in it.", "beta-testers"),
    "freeze": ("The key of a freeze in it.", "holidays"),
    "member": ("The id of a person, service account or team, as in the lists.", "user:3f9a0c1d2e4b"),
    "role": ("The key of a role.", "editor"),
    "team": ("The key of a team.", "payments"),
    "account": ("The id of a service account, as in the list.", "service:3f9a0c1d2e4b"),
    "number": ("The number of a change request: 12 for `CR-12` and for its revision `CR-12.2`.", 12),
    "id": ("As in the list.", None),
    "event": ("The id of a kill's event, as in the list.", None),
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
    expected = serializers.IntegerField(
        required=False, allow_null=True, help_text="Of a conflict: the version you named as base; null: none."
    )
    found = serializers.IntegerField(required=False, help_text="Of a conflict: the version that stands.")


class DocumentedSchema(AutoSchema):
    """Adds to each operation what all of them share."""

    def get_operation_id(self) -> str:
        """`change_requests_approve`: the resource and the verb; it stays when an address changes."""
        named = getattr(self.view, "resource", type(self.view).__name__)
        resource = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", named).lower()
        return f"{resource}_{self.view.action}"  # type: ignore[attr-defined]  # a ViewSet

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        """The form of a field, as strict as the field is."""
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, Text) and not field.allow_blank:
            # PostgreSQL keeps no U+0000, and blanks around a text do not count.
            schema["pattern"] = r"^[^\u0000]*[^\s\u0000\u001c-\u001f\u0085][^\u0000]*$"
        elif isinstance(field, Moment):
            schema["pattern"] = "^2[01][0-9]{2}-"
        return schema

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)
        if isinstance(serializer, Body):
            schema["additionalProperties"] = False
            for name, field in serializer.fields.items():
                # Here, because a pattern further in makes drf-spectacular allow for the empty string twice.
                if isinstance(field, Text) and field.allow_blank:
                    schema["properties"][name]["pattern"] = r"^[^\u0000]*$"
        return schema

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        problem = self.resolve_serializer(ProblemSerializer, "response").ref
        more = _WRITING if self.method != "GET" else _LISTING if self._is_list_view() else {}
        for status, meaning in {**_ALWAYS, **more}.items():
            described: dict[str, Any] = {
                "description": meaning,
                "content": {"application/problem+json": {"schema": problem}},
            }
            if status in _HEADERS:
                name, description = _HEADERS[status]
                described["headers"] = {name: {"description": description, "schema": {"type": "string"}}}
            operation["responses"].setdefault(status, described)
        if self.method != "GET":
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    response["headers"] = {
                        "Idempotency-Replayed": {
                            "description": "`true` where this is the answer to an earlier request.",
                            "schema": {"type": "string", "enum": ["true"]},
                        }
                    }
        operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation

    def get_override_parameters(self) -> list[Any]:
        found = []
        for name, (description, example) in _IN_PATHS.items():
            if f"{{{name}}}" in self.path:
                # The address itself says whether it is a number or a UUID.
                known = resolve_django_path_parameter(self.path_regex, name, ()) or {}
                described = OpenApiParameter(
                    name,
                    known.get("schema", str),
                    OpenApiParameter.PATH,
                    description=description,
                    examples=[OpenApiExample("Such as", example)] if example is not None else None,
                )
                found.append(described)
        if self.method != "GET":
            found.append(
                OpenApiParameter(
                    "Idempotency-Key",
                    {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 255,
                        "pattern": "^[!-~]([ -~]*[!-~])?$",
                    },
                    OpenApiParameter.HEADER,
                    description="At most 255 printable characters of your choice. For 24 hours, the same key "
                    "with the same body is answered with the first answer and does nothing again.",
                )
            )
        return found
