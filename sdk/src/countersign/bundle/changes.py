"""A change: what reviewers saw and approved, and what may be carried out under it (section 6)."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection
from dataclasses import dataclass

from countersign.bundle.blobs import Blobs, is_stand_in
from countersign.bundle.encoding import Encoder, check_time, is_integer, read_object
from countersign.bundle.events import check_segment, check_subject
from countersign.bundle.refusal import RuleError

MAX_CHANGE = 32_768
"""Bytes of JCS(change) up to which its operations stand in the event itself."""

_REQUIRED = frozenset({"id", "title", "rationale", "ticket", "required_approvals", "base", "operations"})
_OPTIONAL = frozenset({"not_before", "not_after", "confirm_within"})
_OPERATION_REQUIRED = frozenset({"subject", "type", "after"})
_OPERATION_OPTIONAL = frozenset({"before", "before_any", "label", "repeat"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a change. ``before`` and ``after`` hold the digests of the documents' forms."""

    subject: str
    type: str
    before: Collection[bytes]
    after: bytes
    repeat: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A change whose shape was checked. ``digest`` is over it as it stands in its proposal."""

    id: str
    digest: bytes
    required_approvals: int
    not_before: str | None
    not_after: str | None
    operations: tuple[Operation, ...]


def read_change(value: object, encode: Encoder, blobs: Blobs) -> Change:
    """Read the change of a proposal. Raises RuleError when it is not of exactly the shape of section 6."""
    change = read_object(value, "the change", _REQUIRED, _OPTIONAL)
    change_id = check_segment(change["id"], "the change's 'id'")
    for name in ("title", "rationale", "ticket"):
        if not isinstance(change[name], str):
            raise RuleError(f"the change's {name!r} is not a string")
    required_approvals = change["required_approvals"]
    if not is_integer(required_approvals):
        raise RuleError("the change's 'required_approvals' is not an integer >= 0")
    if "confirm_within" in change and not is_integer(change["confirm_within"]):
        raise RuleError("the change's 'confirm_within' is not an integer >= 0")
    bounds = [
        check_time(change[name], f"the change's {name!r}") if name in change else None
        for name in ("not_before", "not_after")
    ]
    base = change["base"]
    if not isinstance(base, dict):
        raise RuleError("the change's 'base' is not an object")
    for subject, version in base.items():
        check_subject(subject, "a subject of the change's 'base'")
        if not is_integer(version):
            raise RuleError("a version in the change's 'base' is not an integer >= 0")
    data = encode(value).encode()
    operations, labels = _read_operations(change["operations"], len(data), encode, blobs)
    for operation in operations:
        if operation.subject not in base:
            raise RuleError(f"the change's 'base' does not cover {operation.subject!r}")
    if "confirm_within" in change and "revert" not in labels:
        raise RuleError("the change has 'confirm_within' and no operation labelled revert")
    digest = hashlib.sha256(data).digest()
    return Change(change_id, digest, required_approvals, bounds[0], bounds[1], operations)


def _read_operations(
    value: object, size: int, encode: Encoder, blobs: Blobs
) -> tuple[tuple[Operation, ...], frozenset[str]]:
    """The operations of a change whose JCS has ``size`` bytes, and their labels."""
    if is_stand_in(value):
        # The length that JCS(change) would have with its operations in place.
        size += blobs.name(value) - len(encode(value).encode())
        if size <= MAX_CHANGE:
            raise RuleError(f"a change of {MAX_CHANGE} bytes or less has its operations as a blob")
    elif size > MAX_CHANGE:
        raise RuleError(f"a change of more than {MAX_CHANGE} bytes has its operations in place")
    return blobs.read(
        value, encode, "the change", lambda document, encode: _read_operation_list(document, encode, blobs)
    )


def _read_operation_list(
    value: object, encode: Encoder, blobs: Blobs
) -> tuple[tuple[Operation, ...], frozenset[str]]:
    if not isinstance(value, list):
        raise RuleError("the change's 'operations' is not a list")
    labels: set[str] = set()
    operations = tuple(_read_operation(operation, labels, encode, blobs) for operation in value)
    return operations, frozenset(labels)


def _read_operation(value: object, labels: set[str], encode: Encoder, blobs: Blobs) -> Operation:
    operation = read_object(value, "an operation", _OPERATION_REQUIRED, _OPERATION_OPTIONAL)
    subject = check_subject(operation["subject"], "an operation's 'subject'")
    event_type = operation["type"]
    if not isinstance(event_type, str) or not event_type:
        raise RuleError("an operation's 'type' is not a non-empty string")
    if ("before" in operation) == ("before_any" in operation):
        raise RuleError("an operation has not exactly one of 'before' and 'before_any'")
    before = operation["before_any"] if "before_any" in operation else [operation["before"]]
    if not isinstance(before, list):
        raise RuleError("an operation's 'before_any' is not a list")
    if "label" in operation:
        label = operation["label"]
        if not isinstance(label, str):
            raise RuleError("an operation's 'label' is not a string")
        labels.add(label)
    if "repeat" in operation and operation["repeat"] is not True:
        raise RuleError("an operation's 'repeat' is not true")
    digests: Collection[bytes] = {blobs.form_digest(document, encode(document)) for document in before}
    if len(digests) <= 4:
        digests = tuple(digests)  # a fifth of a set's memory; a long one would be searched for too long
    # Many operations are of the same subjects and types, and their changes are kept.
    return Operation(
        sys.intern(subject),
        sys.intern(event_type),
        digests,
        blobs.form_digest(operation["after"], encode(operation["after"])),
        "repeat" in operation,
    )
