"""What a request became since an earlier revision: for whoever looked at that one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from approvals.looks import operations_at
from approvals.models import ChangeRequest
from audit.jcs import canonical
from flags.subjects import Subject


@dataclass(frozen=True, slots=True)
class Difference:
    """One operation as it was asked for then and now; None: not asked for."""

    subject: Subject
    label: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Since:
    """All that differs from an earlier revision."""

    change_id: str
    differences: tuple[Difference, ...]


def since(row: ChangeRequest, revision: int) -> Since | None:
    """None where that revision is not an earlier one, or is not known any more."""
    if not 0 < revision < row.revision or (then := operations_at(row, revision)) is None:
        return None
    old, new = (
        {(each["subject"], each.get("label", "")): each["after"] for each in operations}
        for operations in (then, row.change["operations"])
    )
    found = tuple(
        Difference(Subject.parse(subject), label, old.get((subject, label)), new.get((subject, label)))
        for subject, label in dict.fromkeys((*old, *new))
        if canonical(old.get((subject, label))) != canonical(new.get((subject, label)))
    )
    return Since(f"CR-{row.number}" + (f".{revision}" if revision > 1 else ""), found)
