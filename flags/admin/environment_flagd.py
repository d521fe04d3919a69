"""What flagd clients get of an environment, and what they do not get and why."""

from __future__ import annotations

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from countersign.flagd import HASHES
from distribution.flagd import newest_export
from flags.models import Environment

PAGE_SIZE = 100


class EnvironmentFlagdPage(Page):
    """An environment for flagd: the address to sync from, and the flags that are left out with the reasons."""

    template = "countersign/environment_flagd.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        environment = get_object_or_404(Environment, project=self.project, key=key)
        hash = request.GET.get("hash", environment.bucketing)
        if hash not in HASHES:
            hash = environment.bucketing
        made = newest_export(environment, hash)
        left_out = sorted(made.left_out.items()) if made else []
        query = "" if hash == HASHES[0] else f"?hash={hash}"
        return self.show(
            title=_("%s for flagd") % environment.name,
            here=environment,
            hashes=HASHES,
            hash=hash,
            is_published=made is not None,
            address=f"{settings.BASE_URL}/flagd/v1/flags{query}",
            left_out=len(left_out),
            page=Paginator(left_out, PAGE_SIZE).get_page(request.GET.get("page")),
        )
