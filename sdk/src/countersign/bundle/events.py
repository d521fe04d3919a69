"""The shape of one line of entries.ndjson: an event, or the hash of an event withheld (sections 5 and 6)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from countersign.bundle.encoding import (
    TIME,
    Encoder,
    check_time,
    encode_plain,
    is_day,
    plain_text,
    read_b64u,
    read_canonical,
    read_encoded,
    read_hash,
    read_object,
    read_plain_members,
)
from countersign.bundle.refusal import RuleError

_WITHHELD_START = b'{"leaf_hash":'
_MEMBER = re.compile(r"[a-z0-9]{1,20}")
_REQUIRED = frozenset({"specversion", "id", "source", "type", "sequence", "time", "datacontenttype", "data"})
_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_UUID4 = re.compile(_ID)
_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
_PATH = rf"{_SEGMENT}(?:/{_SEGMENT})*"
_SUBJECT = re.compile(_PATH)
_SUBJECT_SEGMENT = re.compile(_SEGMENT)

_HASHED = ("before", "change")
_USUAL_START = '{"data":{'
_USUAL_END = re.compile(
    rf',"datacontenttype":"application/json","id":"({_ID})","sequence":"([0-9]{{16}})","source":"([^"\\\x00-\x1f]+)"'
    rf',"specversion":"1\.0"(?:,"subject":"({_PATH})")?,"time":"({TIME})","type":"([^"\\\x00-\x1f]+)"}}'
)
"""All that follows ``data`` in the canonical form of an event without members of its own."""

_PERSONAL_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""The canonical base64url of 32 bytes: the last character has two bits that stand for nothing."""


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

    texts: dict[str, str]
    """The RFC 8785 text of each member of ``data``; none when there is no document and no change among them."""

    encode: Encoder
    """Makes the RFC 8785 text of ``data`` and of every part of it."""


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
    return _read_usual(line, index, origin) or _read_any(line, index, origin)


def _read_usual(line: bytes, index: int, origin: str) -> Event | None:
    """Read an event of the form that all but few have; None for any other, and for one that is wrong."""
    text = plain_text(line)
    if text is None or not text.startswith(_USUAL_START):
        return None
    read = read_plain_members(text, len(_USUAL_START) - 1, _HASHED)
    if read is None:
        return None
    data, texts, end = read
    match = _USUAL_END.fullmatch(text, end)
    if match is None:
        return None
    ident, sequence, source, subject, time, event_type = match.groups()
    if sequence != f"{index:016d}" or source != origin or not is_day(time[:10]):
        return None
    personal = _read_personal(data) if "personal" in data else {}
    return Event(index, ident, event_type, time, subject, data, personal, texts, encode_plain)


def _read_any(line: bytes, index: int, origin: str) -> Event:
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
    members = {name: encode(member) for name, member in data.items()}
    return Event(index, texts["id"], texts["type"], time, subject, data, personal, members, encode)


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
