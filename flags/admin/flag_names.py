"""Flags by a part of their key, each with its variants: what a field offers while one types."""

from __future__ import annotations

from django.db.models import Case, When
from django.http import HttpRequest, HttpResponse, JsonResponse

from access.admin.pages import Page
from flags.models import Flag

OFFERED = 12


class FlagNamesPage(Page):
    """The first flags whose key holds `q`, as JSON; the one of just this key before all others."""

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        text = request.GET.get("q", "").strip()
        rows = Flag.objects.filter(project=self.project, archived=False, key__icontains=text)
        nearness = Case(When(key=text, then=0), When(key__istartswith=text, then=1), default=2)
        found = rows.order_by(nearness, "key")[:OFFERED]
        return JsonResponse({"flags": {flag.key: list(flag.variants) for flag in found}})
