"""Values in the form in which an event carries them: whole, or by digest where they are large."""

import hashlib
from typing import Any

from django.db import transaction

from audit.jcs import canonical
from audit.models import Blob

VALUE_LIMIT = 8_192  # bytes of JCS; a larger document stands by digest
CHANGE_LIMIT = 32_768  # bytes of JCS; the operations of a larger change stand by digest


def event_value(value: Any, limit: int = VALUE_LIMIT) -> Any:
    """`value`, or `{"blob", "size"}` where its JCS exceeds `limit` bytes (ledger-bundle section 6)."""
    content = canonical(value)
    if len(content) <= limit:
        return value
    return {"blob": "sha256:" + hashlib.sha256(content).hexdigest(), "size": len(content)}


def is_by_digest(value: Any) -> bool:
    """Whether this is the form of a value that stands by digest; no real value has just these members."""
    return isinstance(value, dict) and set(value) == {"blob", "size"}


def _event_operations(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shown = []
    for operation in operations:
        members = {**operation, "after": event_value(operation["after"])}
        if "before" in operation:
            members["before"] = event_value(operation["before"])
        if "before_any" in operation:
            members["before_any"] = [event_value(value) for value in operation["before_any"]]
        shown.append(members)
    return shown


def event_change(change: dict[str, Any]) -> dict[str, Any]:
    """A change in its event form: documents by digest where large, then all operations where still large."""
    shown = {**change, "operations": _event_operations(change["operations"])}
    if len(canonical(shown)) > CHANGE_LIMIT:
        shown["operations"] = event_value(shown["operations"], limit=0)
    return shown


def keep(*values: Any, limit: int = VALUE_LIMIT) -> None:
    """Store the bytes of each value that an event carries by digest. Must run inside a recording."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("Blobs are kept in the transaction of the event that names them.")
    for value in values:
        shown = event_value(value, limit)
        if shown is not value:
            Blob.objects.get_or_create(digest=shown["blob"], defaults={"content": canonical(value).decode()})


def keep_change(change: dict[str, Any]) -> None:
    """Store every large value of a change, and its operations where they stand by digest."""
    for operation in change["operations"]:
        keep(*(operation[name] for name in ("before", "after") if name in operation))
        keep(*operation.get("before_any", ()))
    if isinstance(event_change(change)["operations"], dict):
        keep(_event_operations(change["operations"]), limit=0)
