"""Pages by cursor: a cursor says after which row to go on, so rows that come meanwhile move nothing."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

DEFAULT, MOST = 50, 200
_LARGEST = 2**63 - 1


class UnknownCursorError(ValidationError):
    """It is text as a cursor is, but not one that this list gave."""

    status_code = 422


class Pages(BasePagination):
    """Keyset pagination by the view's `ordering`: integer columns that together are unique."""

    next_link: str | None = None

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        assert isinstance(queryset, QuerySet)
        ordering: Sequence[str] = getattr(view, "ordering", ("pk",))
        limit = _limit(request.query_params.get("limit"))
        cursor = request.query_params.get("cursor")
        if cursor is not None:
            queryset = queryset.filter(_after(ordering, _position(cursor, len(ordering))))
        rows = list(queryset.order_by(*ordering)[: limit + 1])
        self.next_link = None
        if len(rows) > limit:
            rows.pop()
            position = [getattr(rows[-1], name.lstrip("-")) for name in ordering]
            self.next_link = replace_query_param(request.build_absolute_uri(), "cursor", _written(position))
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.next_link})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {
                    "type": ["string", "null"],
                    "format": "uri",
                    "description": "The address of the next page; null on the last one.",
                },
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "Where to go on, as in `next` of the page before.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9_-]+$"},
            },
            {
                "name": "limit",
                "in": "query",
                "required": False,
                "description": "How many at most.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT},
            },
        ]


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST):
        raise ValidationError({"limit": [f"must be a number from 1 to {MOST}"]})
    return int(text)


def _written(position: Sequence[int]) -> str:
    raw = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _position(cursor: str, length: int) -> list[int]:
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        position = json.loads(raw) if len(raw) < 200 else None
    except (binascii.Error, ValueError, RecursionError):
        position = None
    if (
        not isinstance(position, list)
        or len(position) != length
        or not all(type(number) is int and abs(number) <= _LARGEST for number in position)
    ):
        raise UnknownCursorError({"cursor": ["is none of this list; begin again without it"]})
    return position


def _after(ordering: Sequence[str], position: Sequence[int]) -> Q:
    """Rows that come after `position`: larger in the first column, or equal there and larger in the next."""
    found = Q(pk__in=[])
    equal = Q()
    for name, value in zip(ordering, position, strict=True):
        column, comparison = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        found |= equal & Q(**{f"{column}__{comparison}": value})
        equal &= Q(**{column: value})
    return found
