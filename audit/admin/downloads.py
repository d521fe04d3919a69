"""What can be taken away without the whole ledger: the readable report, and one event with its proof."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_safe

from access.permissions import may_in_organisation, projects_where, request_actor
from approvals import report
from audit.models import Event
from audit.proofs import event_proof

PIECE = 64 * 1024  # bytes


@require_safe
def download_report(request: HttpRequest) -> HttpResponseBase:
    """The CSV of all changes in the projects whose evidence this person may take; streamed."""
    projects = projects_where(request_actor(request), "audit.export")
    if not projects.exists():
        raise PermissionDenied(
            "The report needs the role Auditor or Administrator; ask an administrator of a project."
        )
    name = f"countersign-changes-{timezone.now():%Y-%m-%d}.csv"
    # The byte order mark tells spreadsheets that this is UTF-8.
    lines = chain(["\ufeff"], report.csv_lines(report.changes_of(projects)))
    return attachment(_joined(lines), name, "text/csv; charset=utf-8")


@require_safe
def download_proof(request: HttpRequest, project: str, event: UUID) -> HttpResponse:
    """That the event is under a signed checkpoint, for `countersign verify-proof`."""
    row = _event(request, project, event)
    return _file(event_proof(row), f"event-{row.index}.tlog-proof", "text/plain; charset=utf-8")


@require_safe
def download_line(request: HttpRequest, project: str, event: UUID) -> HttpResponse:
    """The event as it is hashed, to the byte: without a line feed."""
    row = _event(request, project, event)
    return _file(row.line, f"event-{row.index}.json", "application/json")


def _event(request: HttpRequest, project: str, event: UUID) -> Event:
    """An event of a project whose trail this person may see; empty: of the organisation. Raises Http404."""
    actor = request_actor(request)
    sees = (
        projects_where(actor, "audit.view").filter(key=project).exists()
        if project
        else may_in_organisation(actor, "audit.view")
    )
    row = Event.objects.filter(project=project, pk=event).select_related("log").first()
    if row is None or not sees:
        raise Http404
    return row


def _file(text: str, name: str, content_type: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return HttpResponse(text.encode(), content_type=content_type, headers=headers)


def attachment(pieces: Iterator[bytes], name: str, content_type: str) -> StreamingHttpResponse:
    """A download, a piece at a time: under ASGI, Django would gather a plain iterator whole in memory."""

    async def taken_in_turn() -> AsyncIterator[bytes]:
        while piece := await sync_to_async(lambda: next(pieces, b""))():
            yield piece

    return StreamingHttpResponse(
        taken_in_turn(),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _joined(texts: Iterable[str]) -> Iterator[bytes]:
    """The same text in pieces worth a change of threads."""
    gathered: list[bytes] = []
    size = 0
    for text in texts:
        gathered.append(text.encode())
        size += len(gathered[-1])
        if size >= PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


urlpatterns = [
    path("audit/report.csv", download_report, name="audit-report"),
    path("p/<str:project>/audit/<uuid:event>/proof", download_proof, name="event-proof"),
    path("p/<str:project>/audit/<uuid:event>/line", download_line, name="event-line"),
]
