"""Which open change requests are about what, for marks beside switches."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from approvals.models import ChangeRequest


@dataclass(frozen=True, slots=True)
class Pending:
    """An open request, as a mark needs it."""

    number: int
    change_id: str
    title: str
    state: str

    @property
    def state_name(self) -> str:
        return str(ChangeRequest.State(self.state).label)


def open_by_subject(project: Any) -> dict[str, list[Pending]]:
    """The project's open requests by each subject that they are about, oldest first. One query."""
    found: dict[str, list[Pending]] = defaultdict(list)
    rows = (
        ChangeRequest.objects.filter(project=project, state__in=ChangeRequest.OPEN)
        .order_by("pk")
        .values_list("pk", "revision", "title", "state", "change__base")
    )
    for number, revision, title, state, base in rows:
        change_id = f"CR-{number}" + (f".{revision}" if revision > 1 else "")
        for subject in base or ():
            found[subject].append(Pending(number, change_id, title, state))
    return dict(found)
