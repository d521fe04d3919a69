"""The shape of one line of entries.ndjson: an event, or the hash of an event withheld (sections 5 and 6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from countersign.bundle.encoding import (
    Encoder,
    check_time,
    read_b64u,
    read_canonical,
    read_encoded,
    read_hash,
    read_object,
)
from countersign.bundle.refusal import RuleError

if TYPE_CHECKING:
    from countersign.bundle.changes import Change

_WITHHELD_START = b'{"leaf_hash":'
_MEMBER = re.compile(r"[a-z0-9]{1,20}")
_REQUIRED = frozenset({"specversion", "id", "source", "type", "sequence", "time", "datacontenttype", "data"})
ID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_UUID4 = re.compile(ID)
SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
PATH = rf"{SEGMENT}(?:/{SEGMENT})*"
_SUBJECT = re.compile(PATH)
_SUBJECT_SEGMENT = re.compile(SEGMENT)

PERSONAL_DIGEST = r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
"""The canonical base64url of 32 bytes: the last character has two bits that stand for nothing."""

_PERSONAL_DIGEST = re.compile(PERSONAL_DIGEST)


@dataclass(slots=True)
class Event:
    """An event whose shape was checked. ``time`` is UTC text that sorts as the moment does."""

    index: int
    id: str
    type: str
    time: str
    subject: str | None
    data: dict[str, object]
    personal: dict[str, str]
    """Names of personal data to the salted digests (base64url) that stand for them."""

    encode: Encoder
    """Makes the RFC 8785 text of ``data`` and of every part of it."""

    documents: tuple[bytes, bytes] | None = None
    """The digests of the forms of ``before`` and ``after`` where these were read already; they are None in ``data``."""

    change: Change | None = None
    """The change of a proposal where it was read already; it is None in ``data``."""


def is_withheld(line: bytes) -> bool:
    """Whether a line is a withheld entry; no event starts with these bytes."""
    return line.startswith(_WITHHELD_START)


def read_withheld(line: bytes) -> bytes:
    """The leaf hash that stands for a withheld entry. Raises RuleError."""
    entry = read_object(
        read_canonical(line), "a withheld entry", frozenset({"leaf_hash", "reason"}), frozenset()
    )
    if entry["reason"] not in ("filtered", "pruned"):
        raise RuleError("the reason of a withheld entry is neither filtered nor pruned")
    return read_hash(entry["leaf_hash"], "leaf_hash")


def read_event(line: bytes, index: int, origin: str) -> Event:
    """Read the event that is entry ``index`` of log ``origin``. Raises RuleError for a wrong shape."""
    event, encode = read_encoded(line)
    if not isinstance(event, dict):
        raise RuleError("an entry is not an object")
    for name in sorted(_REQUIRED):
        if name not in event:
            raise RuleError(f"the event has no {name!r}")
    texts: dict[str, str] = {}
    for name, value in event.items():
        if not _MEMBER.fullmatch(name):
            raise RuleError(f"the event has a member with an invalid name: {name[:60]!r}")
        if name == "data":
            continue
        if not isinstance(value, str):
            raise RuleError(f"{name!r} is not a string")
        texts[name] = value
    data = event["data"]
    if not isinstance(data, dict):
        raise RuleError("'data' is not an object")
    if texts["specversion"] != "1.0":
        raise RuleError("'specversion' is not 1.0")
    if not _UUID4.fullmatch(texts["id"]):
        raise RuleError("'id' is not a lower case UUIDv4")
    if texts["source"] != origin:
        raise RuleError("'source' is not the origin")
    if not texts["type"]:
        raise RuleError("'type' is empty")
    if texts["sequence"] != f"{index:016d}":
        raise RuleError("'sequence' is not the index as 16 digits")
    if texts["datacontenttype"] != "application/json":
        raise RuleError("'datacontenttype' is not application/json")
    time = check_time(texts["time"], "'time'")
    subject = texts.get("subject")
    if subject is not None:
        check_subject(subject, "'subject'")
    personal = _read_personal(data) if "personal" in data else {}
    return Event(index, texts["id"], texts["type"], time, subject, data, personal, encode)


def check_subject(subject: object, what: str) -> str:
    """A subject: segments joined by slashes. Returns it; raises RuleError naming ``what``."""
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise RuleError(f"{what} is not segments joined by slashes")
    return subject


def check_segment(text: object, what: str) -> str:
    """One segment of a subject. Returns it; raises RuleError naming ``what``."""
    if not isinstance(text, str) or not _SUBJECT_SEGMENT.fullmatch(text):
        raise RuleError(f"{what} is not one segment of a subject")
    return text


def read_actor(data: dict[str, object]) -> str:
    """The id of the actor of an application event. Raises RuleError when data has no such actor."""
    actor = data.get("actor")
    if not isinstance(actor, dict):
        raise RuleError("'data' has no 'actor' object")
    actor_id = actor.get("id")
    if not isinstance(actor_id, str) or not actor_id:
        raise RuleError("the actor's 'id' is not a non-empty string")
    if not isinstance(actor.get("via"), str):
        raise RuleError("the actor's 'via' is not a string")
    return actor_id


def _read_personal(data: dict[str, object]) -> dict[str, str]:
    personal = data["personal"]
    if not isinstance(personal, dict):
        raise RuleError("'personal' is not an object")
    for value in personal.values():
        if isinstance(value, str) and _PERSONAL_DIGEST.fullmatch(value):
            continue
        read_b64u(value, "a personal digest")  # names what is wrong with its form, if anything is
        raise RuleError("a personal digest is not of 32 bytes")
    return personal
