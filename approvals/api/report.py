"""The change report as CSV."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from access.api.endpoint import Endpoint
from audit.admin.downloads import download_report


class CsvRenderer(BaseRenderer):
    """Only negotiates: the report is streamed past it."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return JSONRenderer().render(data)


class Report(Endpoint):
    """Every change of what is served: who, what before and after, why, for which ticket, who approved."""

    renderer_classes = (CsvRenderer, JSONRenderer)

    @extend_schema(
        operation_id="report",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "A line per change, oldest first.")},
    )
    def retrieve(self, request: Request) -> HttpResponseBase:
        """The changes in the projects whose evidence you may take, streamed. Times are in UTC."""
        self.filters(request)
        return download_report(request._request)
