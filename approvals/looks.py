"""What somebody saw of a request when they looked last, and what changed since."""

from __future__ import annotations

import json
from typing import Any

from django.utils import timezone

from approvals import report
from approvals.models import ChangeRequest, Look
from audit.actor import Actor
from audit.models import Event


def look(actor: Actor, request: ChangeRequest) -> Look | None:
    """Remember that the person sees the request as it stands; what they saw before, None: nothing."""
    mine = Look.objects.filter(person__pseudonym=actor.id, request=request)
    before = mine.first()
    now = {"revision": request.revision, "at": timezone.now()}
    if before is None:
        # Two tabs opened at once: either one was first.
        Look.objects.bulk_create([Look(person_id=actor.id, request=request, **now)], ignore_conflicts=True)
    else:
        mine.update(**now)
    return before


def operations_at(request: ChangeRequest, revision: int) -> list[dict[str, Any]] | None:
    """The operations of an earlier revision, from the ledger; None where it does not have it."""
    change_id = f"CR-{request.number}" + (f".{revision}" if revision > 1 else "")
    event = (
        Event.objects.filter(change_id=change_id, type="approvals.v1.change_request.proposed")
        .order_by("-log_id", "-index")
        .first()
    )
    if event is None:
        return None
    operations = report.whole(json.loads(event.line)["data"]["change"]["operations"])
    if not isinstance(operations, list):
        return None
    return [{**each, "after": report.whole(each["after"])} for each in operations]
