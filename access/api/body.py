"""What requests may contain. Strict: no unknown members, and no value of another type made to fit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from access.api.strict_json import LARGEST_INTEGER


class Text(serializers.CharField):
    """A string; numbers and booleans are none."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("must be a string")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of some words."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            raise serializers.ValidationError(f"must be one of {', '.join(map(str, self.choices))}")
        return data


class Whole(serializers.IntegerField):
    """An integer in JSON; a string of digits is none."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_value", LARGEST_INTEGER)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, float) and data.is_integer():
            data = int(data)  # 3.0 is 3, as JSON Schema and canonical JSON have it
        if isinstance(data, bool) or not isinstance(data, int):
            raise serializers.ValidationError("must be an integer")
        return super().to_internal_value(data)


class Truth(serializers.BooleanField):
    """`true` or `false` in JSON, and nothing that merely sounds like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


class Moment(serializers.DateTimeField):
    """An RFC 3339 time with its offset; comes out in UTC."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
            if moment is None or moment.tzinfo is None:
                raise ValueError(value)
            if not 2000 <= moment.year < 2200:
                raise serializers.ValidationError("must lie between the years 2000 and 2200")
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise serializers.ValidationError(
                "must be a time with its offset, like 2026-12-31T18:00:00Z"
            ) from error
        return moment


class Document(serializers.DictField):
    """A JSON object whose members somebody else checks."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be an object")
        return data


class Body(serializers.Serializer[Any]):
    """The members of a request, of which unknown ones are refused by name."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            # By this name, because the errors of a serializer as a whole have to be a mapping.
            raise serializers.ValidationError({"non_field_errors": ["must be an object"]})
        known = [name for name, field in self.fields.items() if not field.read_only]
        unknown = sorted(set(data) - set(known))
        if unknown:
            members = ", ".join(known) or "none"
            raise serializers.ValidationError({unknown[0]: [f"is unknown here; known are: {members}"]})
        return super().to_internal_value(data)


class Nothing(Body):
    """A body without members; it may also be left out."""


class Key(Text):
    """The key of a project, environment, flag or segment."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 128)
        super().__init__(**options)
