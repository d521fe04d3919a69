"""Comments on a request: on the whole of it or on a line of what it changes, in threads that get resolved."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from access.permissions import require
from approvals.errors import InvalidError
from approvals.models import ChangeRequest, Review
from approvals.workflow.reach import touched_by_request
from approvals.workflow.request import checked_text
from audit.actor import Actor


def comment(
    actor: Actor,
    request: ChangeRequest,
    text: str,
    *,
    subject: str = "",
    pointer: str = "",
    parent: int | None = None,
) -> Review:
    """Say something about a request. Comments are not part of the evidence.

    `subject` and `pointer`: on this member of what the operation on that subject changes. `parent`: an answer
    to this comment, in its thread. Raises `InvalidError`.
    """
    require(actor, "change.comment", request.project, touched_by_request(request))
    text = checked_text("comment", text, 4_000)
    if not text:
        raise InvalidError("comment", "is empty")
    opener = None
    if parent is not None:
        opener = _opener(request, parent, "parent")
        # An answer is where its thread is.
        subject, pointer = opener.subject, opener.pointer
    elif subject:
        _require_line(request, subject, pointer)
    elif pointer:
        raise InvalidError("pointer", "names a member of no operation; give its subject too")
    return Review.objects.create(
        request=request,
        change_id=request.change_id,
        digest=request.digest,
        reviewer=actor.id,
        verdict=Review.Verdict.COMMENTED,
        comment=text,
        subject=subject,
        pointer=pointer,
        parent=opener,
    )


def resolve(actor: Actor, request: ChangeRequest, number: int, *, resolved: bool = True) -> Review:
    """Say that the thread which this comment opened is settled, or that it is not after all."""
    require(actor, "change.comment", request.project, touched_by_request(request))
    opener = _opener(request, number, "comment")
    opener.resolved_by, opener.resolved_at = (actor.id, timezone.now()) if resolved else ("", None)
    opener.save(update_fields=["resolved_by", "resolved_at"])
    return opener


def _opener(request: ChangeRequest, number: int, member: str) -> Review:
    """The comment that opened the thread of this one, which `member` names."""
    rows = request.reviews.filter(verdict=Review.Verdict.COMMENTED).select_related("parent")
    found: Review | None = rows.filter(pk=number).first()
    if found is None:
        raise InvalidError(member, f"is no comment on {request.change_id}; its reviews have their numbers")
    return found.parent or found


def _require_line(request: ChangeRequest, subject: str, pointer: str) -> None:
    operations = [each for each in request.change["operations"] if each["subject"] == subject]
    if not operations:
        raise InvalidError("subject", "is none that this request changes")
    documents = [
        document
        for each in operations
        for document in (each["after"], each.get("before"), *each.get("before_any", ()))
    ]
    if not any(_has(document, pointer) for document in documents):
        raise InvalidError("pointer", "names no member that the request changes or keeps")


def _has(document: Any, pointer: str) -> bool:
    if not pointer:
        return True
    if not pointer.startswith("/"):
        return False
    for step in pointer[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif (
            isinstance(document, list)
            and name.isascii()
            and name.isdecimal()
            and len(name) < 10
            and int(name) < len(document)
        ):
            document = document[int(name)]
        else:
            return False
    return True
