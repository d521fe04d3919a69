"""Segments: who is in them, and where they are used."""

from __future__ import annotations

from collections import defaultdict

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from approvals.admin.pending import open_by_subject
from flags import personal, wording
from flags.admin.segment_samples import expected_contexts, segment_samples
from flags.documents import configurations_with, segments_named
from flags.models import FlagConfiguration, Project, Segment

PAGE_SIZE = 50


def uses(project: Project) -> dict[str, list[FlagConfiguration]]:
    """By segment, the configurations whose rules name it. Two queries."""
    found: dict[str, list[FlagConfiguration]] = defaultdict(list)
    for configuration in configurations_with("in_segment", project.environments.all()):
        for key in segments_named(configuration.document):
            found[key].append(configuration)
    return found


class SegmentListPage(Page):
    """Segments of a project with who is in them and where they are used."""

    template = "countersign/segment_list.html"
    title = _("Segments")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        segments = Segment.objects.filter(project=self.project)
        if text := request.GET.get("q", "").strip()[:200]:
            segments = segments.filter(key__icontains=text)
        page = Paginator(segments, PAGE_SIZE).get_page(request.GET.get("page"))
        used = uses(self.project)
        rows = [
            {
                "segment": segment,
                "words": wording.segment(segment.document),
                "uses": len(used.get(segment.key, ())),
            }
            for segment in page.object_list
        ]
        return self.show(page=page, rows=rows, is_filtered=bool(text))


class SegmentPage(Page):
    """One segment."""

    template = "countersign/segment.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        segment = find(self, key)
        return self.show(
            title=segment.key,
            segment=segment,
            words=wording.segment(segment.document),
            addresses=personal.addresses_in([segment.document]),
            uses=uses(self.project).get(key, []),
            pending=open_by_subject(self.project).get(segment.ledger_subject, []),
            subject=f"segment/{segment.key}",
            samples=segment_samples(expected_contexts(self.project), segment.document, segment.document),
        )


def find(page: Page, key: str) -> Segment:
    """The project's segment of this key. Raises Http404."""
    segment: Segment | None = (
        Segment.objects.filter(project=page.project, key=key).select_related("project").first()
    )
    if segment is None:
        raise Http404
    return segment
