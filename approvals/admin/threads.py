"""Comments on a request, as the review page shows them: in threads, at the line they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from approvals.models import Review


@dataclass(frozen=True, slots=True)
class Said:
    """One comment. `is_new`: somebody else made it since one's last look."""

    row: Review
    who: str
    is_new: bool


@dataclass(slots=True)
class Thread:
    """A comment and the answers to it."""

    opener: Said
    resolver: str
    answers: list[Said] = field(default_factory=list)

    @property
    def is_new(self) -> bool:
        return any(each.is_new for each in (self.opener, *self.answers))


def threads_of(
    reviews: Sequence[Review], names: dict[str, str], me: str, since: datetime | None
) -> dict[int, Thread]:
    """The threads by the comment that opened each, oldest first."""
    found: dict[int, Thread] = {}
    for row in reviews:
        if row.verdict != Review.Verdict.COMMENTED:
            continue
        said = Said(row, names[row.reviewer], is_later(row.created_at, since) and row.reviewer != me)
        if row.parent_id is None:
            found[row.pk] = Thread(said, names.get(row.resolved_by, row.resolved_by))
        elif row.parent_id in found:
            found[row.parent_id].answers.append(said)
    return found


def at_lines(threads: dict[int, Thread]) -> dict[tuple[str, str], list[Thread]]:
    """Those on a line, by subject and pointer."""
    found: dict[tuple[str, str], list[Thread]] = {}
    for thread in threads.values():
        row = thread.opener.row
        if row.subject:
            found.setdefault((row.subject, row.pointer), []).append(thread)
    return found


def is_later(at: datetime, since: datetime | None) -> bool:
    """Whether this came after the last look; to whoever looks for the first time nothing is news."""
    return since is not None and at > since
