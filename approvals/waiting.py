"""What waits for whom."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from approvals.models import ChangeRequest, Emergency, Review
from audit.actor import Actor


def waiting_for(actor: Actor, requests: QuerySet[ChangeRequest]) -> QuerySet[ChangeRequest]:
    """Of these, the ones in review that the actor neither proposed nor gave a verdict on, as they stand."""
    verdicts = Review.objects.filter(
        request=OuterRef("pk"), digest=OuterRef("digest"), reviewer=actor.id
    ).exclude(verdict=Review.Verdict.COMMENTED)
    return requests.filter(~Exists(verdicts), state=ChangeRequest.State.IN_REVIEW).exclude(proposer=actor.id)


def approvals_by(members: Collection[str]) -> int:
    """How many approvals of requests that are not applied yet these people gave, as the requests stand."""
    given = Review.objects.filter(
        reviewer__in=members,
        verdict=Review.Verdict.APPROVED,
        digest=F("request__digest"),
        request__state__in=ChangeRequest.OPEN,
    )
    return given.count()


def overdue_in(project: Any) -> QuerySet[Emergency]:
    """The project's kills and reverts at once whose review is overdue."""
    return Emergency.objects.filter(project=project, reviewed_at=None, due_at__lte=timezone.now())
