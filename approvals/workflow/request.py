"""A change request under the verbs' hands: locking it, its state, the verdicts on it, its texts."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from approvals.errors import InvalidError, StateError
from approvals.models import ChangeRequest, Review
from audit.jcs import canonical
from audit.ledger import timestamp
from audit.recording import Recording
from countersign.document import DocumentError
from flags import documents


def locked(request: ChangeRequest) -> ChangeRequest:
    """The request as it stands now, its row held until the transaction ends."""
    return ChangeRequest.objects.select_for_update(no_key=True).get(pk=request.pk)


def require_open(request: ChangeRequest) -> None:
    """Raise `StateError` for a request that was applied, rejected or withdrawn."""
    if not request.is_open:
        raise StateError(f"{request.change_id} is {request.get_state_display().lower()}; it is closed.")


def reference(request: ChangeRequest) -> dict[str, str]:
    """The members by which an event names this revision (ledger-bundle, section 6)."""
    return {"change_id": request.change_id, "digest": request.digest}


def is_due(request: ChangeRequest) -> bool:
    not_before = request.change.get("not_before")
    return (
        request.scheduled_at is not None
        and request.scheduled_at <= timezone.now()
        and (not not_before or not_before <= timestamp(timezone.now()))
    )


def same(one: Any, other: Any) -> bool:
    """Whether two documents are equal as canonical JSON: 3.0 is 3."""
    return canonical(one) == canonical(other)


def checked_text(member: str, text: str, limit: int) -> str:
    text = text.strip()
    if len(text) > limit:
        raise InvalidError(member, f"is longer than {limit} characters; shorten it")
    refuse_unstorable(member, text)
    return text


def refuse_unstorable(member: str, value: Any) -> None:
    try:
        documents.refuse_unstorable(member, value)
    except DocumentError as error:
        raise InvalidError(error.member, error.reason) from error


def verdicts(request: ChangeRequest) -> Any:
    return request.reviews.filter(change_id=request.change_id).exclude(verdict=Review.Verdict.COMMENTED)


def record_verdict(record: Recording, request: ChangeRequest, verdict: str, comment: str = "") -> None:
    event = record.event(
        f"approvals.v1.change_request.{verdict}",
        f"change/{request.change_id}",
        reference(request),
        project=request.project.key,
        change_id=request.change_id,
    )
    try:
        with transaction.atomic():
            Review.objects.create(
                request=request,
                change_id=request.change_id,
                digest=request.digest,
                reviewer=record.actor.id,
                verdict=verdict,
                comment=comment,
                event_id=event.id,
            )
    except IntegrityError as error:
        raise StateError(f"You have reviewed {request.change_id} already.") from error
