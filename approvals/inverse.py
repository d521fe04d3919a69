"""The way back of a change: the operations that bring back what stood before, known before it is applied.

inverse(inverse(operation)) puts there what the operation put there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone

from audit.ledger import timestamp
from flags.subjects import GOVERNING, Subject

Operation = dict[str, Any]
Document = dict[str, Any]
# By this label an operation is the way back, approved together with the change itself.
LABEL = "revert"
# With a time: it is carried out then.
END = "end"
_STAYING = frozenset({"segment", "environment"})


def can_go_back(operation: Mapping[str, Any]) -> bool:
    """Whether something can stand there once it is taken back: a new segment or environment stays."""
    return operation["before"] is not None or Subject.parse(operation["subject"]).kind not in _STAYING


def document_before(operation: Mapping[str, Any]) -> Document | None:
    """What should stand there once the operation is taken back; None: a policy, or roles, that go again.

    Nothing that was served is ever removed. A configuration that was the first one becomes one that is off
    and gives callers their own default, as before; a new flag is archived.
    """
    before: Document | None = operation["before"]
    subject, after = Subject.parse(operation["subject"]), operation["after"]
    if before is not None:
        return before
    match subject.kind:
        case "configuration":
            return {**{name: value for name, value in after.items() if name != "off"}, "enabled": False}
        case "definition":
            return {**after, "archived": True}
        case "expectations":
            return {"expectations": []}
    return None


def way_back(operations: Iterable[Mapping[str, Any]]) -> list[Operation]:
    """The operations labelled `revert` that take these back, the last one first; none for what governs.

    Each starts from exactly what was put there. Not repeated: what was taken back once is over.
    """
    found = []
    operations = list(operations)
    if any(Subject.parse(each["subject"]).kind in GOVERNING for each in operations):
        return []  # on-call makes things safe; who governs is not theirs to say
    for operation in reversed(operations):
        after = document_before(operation)
        if can_go_back(operation) and after != operation["after"]:
            found.append(
                {
                    "subject": operation["subject"],
                    "type": operation["type"].replace(".created", ".updated"),
                    "before": operation["after"],
                    "after": after,
                    "label": LABEL,
                }
            )
    return found


def planned_end(operations: Iterable[Mapping[str, Any]], at: str) -> list[Operation]:
    """The same operations, to be carried out at a time (as the ledger writes it) instead of when asked."""
    return [{**operation, "label": f"{END} {at}"} for operation in way_back(operations)]


def is_end(operation: Mapping[str, Any]) -> bool:
    """Whether the operation is of a change's planned end."""
    return str(operation.get("label", "")).startswith(f"{END} ")


def is_over(operation: Mapping[str, Any]) -> bool:
    """Whether it is of a planned end whose time has come."""
    return is_end(operation) and str(operation["label"]).removeprefix(f"{END} ") <= timestamp(timezone.now())


def is_way_back(operation: Mapping[str, Any]) -> bool:
    """Whether the operation is of a change's way back, taken once. A rollout plan's, which is repeated, is not."""
    return operation.get("label") == LABEL and not operation.get("repeat")
