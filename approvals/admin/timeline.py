"""The timeline of a request: what the ledger tells of it and what people said, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from approvals.admin.live import EVENT_WORDS, REVIEW_WORDS
from approvals.admin.threads import Thread, is_later
from approvals.models import ChangeRequest, Review
from audit.models import Event

# Of a request that was edited and planned anew hundreds of times, the first ones.
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    at: datetime
    icon: str
    who: str
    what: str
    text: str = ""
    revision: str = ""
    # The event's place in the ledger: several may bear the same time.
    index: int = -1
    is_new: bool = False
    # Of a comment: its row, and the thread that it opened.
    review: Review | None = None
    thread: Thread | None = None


def told_of(row: ChangeRequest) -> list[Event]:
    """The ledger's events about a request and all its revisions, the oldest first; verdicts come from reviews."""
    ids = [f"CR-{row.number}" + (f".{n}" if n > 1 else "") for n in range(1, row.revision + 1)]
    events = Event.objects.filter(change_id__in=ids, type__in=EVENT_WORDS)
    return list(events.order_by("log_id", "index")[:_LONGEST])


def timeline(
    events: Sequence[Event],
    reviews: Sequence[Review],
    names: dict[str, str],
    threads: dict[int, Thread],
    me: str,
    since: datetime | None,
) -> list[Moment]:
    """A moment for each event and each review. `since`: the last look; what others did after it is new."""
    moments = []
    proposer = events[0].actor if events else ""
    icon: str
    what: Any
    for event in events:
        icon, what = EVENT_WORDS[event.type]
        moments.append(
            Moment(
                event.time,
                icon,
                names[event.actor],
                str(what),
                "",
                event.change_id,
                event.index,
                is_later(event.time, since) and event.actor != me,
            )
        )
    for review in reviews:
        icon, what = REVIEW_WORDS[Review.Verdict(review.verdict)]
        if review.verdict == Review.Verdict.REJECTED and review.reviewer == proposer:
            icon, what = "undo", _("took it back")
        if review.parent_id is not None:
            icon, what = "reply", _("answered")
        moments.append(
            Moment(
                # A verdict's time is the ledger's, like that of the events around it.
                review.event.time if review.event else review.created_at,
                icon,
                names[review.reviewer],
                str(what),
                review.comment,
                review.change_id,
                review.event.index if review.event else -1,
                is_later(review.created_at, since) and review.reviewer != me,
                review,
                threads.get(review.pk),
            )
        )
    return sorted(moments, key=lambda each: (each.at, each.index))
