"""What compliance staff take away: the readable report, and the evidence that anyone can check offline."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from access.permissions import projects_where, request_actor
from approvals import report
from audit.export import export_bundle
from audit.ledger import LedgerError
from flags.models import Project

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
    return _attachment(_joined(lines), name, "text/csv; charset=utf-8")


@require_POST
def download_bundle(request: HttpRequest) -> HttpResponseBase:
    """The whole ledger as a bundle in a zip file. A POST, because the export is itself recorded.

    The ledger has no walls between projects, so this takes the right to export in all of them.
    """
    actor = request_actor(request)
    allowed = projects_where(actor, "audit.export").values("pk")
    if Project.objects.exclude(pk__in=allowed).exists() or not Project.objects.exists():
        messages.error(
            request,
            "A bundle holds the whole ledger, so it takes the role Auditor or Administrator in every project. "
            "The report covers the projects you may export.",
        )
        return redirect("admin:audit")
    name = f"countersign-evidence-{timezone.now():%Y-%m-%dT%H%M%SZ}"
    directory = Path(tempfile.mkdtemp(prefix="countersign-export-"))
    try:
        export_bundle(actor, directory / name)
        packed = _zipped(directory / name)
    except (OSError, LedgerError) as error:
        messages.error(request, f"Nothing was exported. {error}")
        return redirect("admin:audit")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return _attachment(_read(packed), f"{name}.zip", "application/zip")


def _attachment(pieces: Iterator[bytes], name: str, content_type: str) -> StreamingHttpResponse:
    """A download, a piece at a time: under ASGI, Django would gather a plain iterator whole in memory."""

    async def taken_in_turn() -> AsyncIterator[bytes]:
        while piece := await sync_to_async(lambda: next(pieces, b""))():
            yield piece

    return StreamingHttpResponse(
        taken_in_turn(),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


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


def _zipped(bundle: Path) -> BinaryIO:
    """The bundle's files in a zip that vanishes when it is closed; nothing is held in memory."""
    packed = tempfile.TemporaryFile(suffix=".zip")  # noqa: SIM115  (whoever reads it closes it)
    try:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in _files(bundle):
                archive.write(file, Path(bundle.name) / file.relative_to(bundle))
    except BaseException:
        packed.close()
        raise
    packed.seek(0)
    return cast(BinaryIO, packed)


def _files(bundle: Path) -> Iterator[Path]:
    yield from sorted(path for path in bundle.rglob("*") if path.is_file())


urlpatterns = [
    path("audit/report.csv", download_report, name="audit-report"),
    path("audit/export", download_bundle, name="audit-export"),
]
