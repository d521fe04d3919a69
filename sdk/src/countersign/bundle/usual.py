"""Events as all but few are, taken apart by patterns instead of parsed and written again.

Whatever is read here is in RFC 8785 form, for that form has one way to write it: the patterns name the members in
their order and allow no spaces; a text between quotes without backslash, quote and control character stands for
itself; an integer has no sign, fraction or leading zero; and a document is a text that was itself parsed and
written again. Where a document ends is guessed, and need not be guessed well: values that are each by itself in
that form make one object in that form, and nobody can take it apart in another way.

What does not look as expected, right or wrong, is left to ``read_event`` and ``read_change``, which say what is
wrong with it: nothing is refused here.
"""

from __future__ import annotations

import re
import sys
from hashlib import sha256
from typing import Any

from countersign.bundle.blobs import MAX_INLINE, is_stand_in
from countersign.bundle.changes import MAX_CHANGE, Change, Operation
from countersign.bundle.encoding import DIGEST, TIME, encode_plain, is_day, read_plain
from countersign.bundle.events import ID, PATH, PERSONAL_DIGEST, SEGMENT, Event
from countersign.bundle.reviews import KILLED

_CHARACTER = r'[^"\\\x00-\x1f]'
_NUMBER = "0|[1-9][0-9]{0,14}"
_START = re.compile(
    rf'\{{"data":\{{"actor":\{{(?:"credential":"({_CHARACTER}*)",)?"id":"({_CHARACTER}+)"'
    rf',"via":"({_CHARACTER}*)"\}},"(after|change|change_id)":'
)
_REVIEW = re.compile(rf'"({SEGMENT})","digest":"({DIGEST})"')
_BEFORE = ',"before":'
_REFERENCE_START = ',"change_request":{"digest":"'
_REFERENCE = re.compile(
    rf',"change_request":\{{"digest":"({DIGEST})","id":"({SEGMENT})","operation":({_NUMBER})\}}'
)
_CHANGE = re.compile(
    rf'\{{"base":\{{"({PATH})":(?:{_NUMBER})\}},"id":"({SEGMENT})","operations":\[\{{"after":'
)
_SUBJECT_START = ',"subject":"'
_CHANGE_END = re.compile(
    rf',"subject":"({PATH})","type":"({_CHARACTER}+)"\}}\],"rationale":"{_CHARACTER}*"'
    rf',"required_approvals":({_NUMBER}),"ticket":"{_CHARACTER}*","title":"{_CHARACTER}*"\}}'
)
_PERSONAL_START = ',"personal":'
_END_START = '},"datacontenttype":"application/json","id":"'
_END = re.compile(
    rf'(?:,"personal":\{{"name":"({PERSONAL_DIGEST})"\}})?\}},"datacontenttype":"application/json","id":"({ID})"'
    rf',"sequence":"([0-9]{{16}})","source":"({_CHARACTER}+)","specversion":"1\.0"(?:,"subject":"({PATH})")?'
    rf',"time":"({TIME})","type":"({_CHARACTER}+)"\}}'
)

_MAX_KNOWN = 2**20
"""Characters of the documents that are known again."""

Row = tuple[Any, ...]
"""A usual event in plain values, which can be handed to another process; see ``UsualEvents``."""


class UsualEvents:
    """Reads the usual events of one log, and knows again the documents that it read last.

    A document stands in up to four events: proposed and carried out, and as what the next change starts from.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._known: dict[str, bytes] = {}
        self._length = 0

    def read(self, line: bytes, index: int) -> Row | None:
        """What entry ``index`` says, for ``event_of``; None when it is not a usual event."""
        try:
            return self._read(line.decode("utf-8"), index)
        except (ValueError, RecursionError):
            return None

    def _read(self, text: str, index: int) -> Row | None:
        start = _START.match(text)
        if start is None:
            return None
        credential, actor_id, via, first = start.groups()
        actor = {"id": actor_id, "via": via}
        if credential is not None:
            actor["credential"] = credential
        data: dict[str, object] = {"actor": actor}
        change = documents = None
        place = start.end()
        if first == "change_id":
            review = _REVIEW.match(text, place)
            if review is None:
                return None
            data["change_id"], data["digest"] = review.groups()
            place = review.end()
        elif first == "change":
            read = self._read_change(text, place)
            if read is None:
                return None
            change, place = read
            data["change"] = None
        else:
            after, place = self._form_digest(text, place, text.index(_BEFORE, place))
            start_before = place + len(_BEFORE)
            before, place = self._form_digest(text, start_before, _end_of_documents(text, start_before))
            data["before"] = data["after"] = None
            documents = before, after
            reference = _REFERENCE.match(text, place)
            if reference is not None:
                digest, change_id, operation = reference.groups()
                data["change_request"] = {"digest": digest, "id": change_id, "operation": int(operation)}
                place = reference.end()
        end = _END.fullmatch(text, place)
        if end is None:
            return None
        name, ident, sequence, source, subject, time, event_type = end.groups()
        if sequence != f"{index:016d}" or source != self._origin or not is_day(time[:10]):
            return None
        if event_type == KILLED:  # its documents are looked into
            return None
        personal: dict[str, str] = {}
        if name is not None:
            data["personal"] = personal = {"name": name}
        return ident, event_type, time, subject, data, personal, documents, change

    def _read_change(self, text: str, place: int) -> tuple[Row, int] | None:
        """A change of one operation, for ``_change_of``, and where it ends."""
        start = _CHANGE.match(text, place)
        if start is None:
            return None
        covered, change_id = start.groups()
        after, end = self._form_digest(text, start.end(), text.index(_BEFORE, start.end()))
        start_before = end + len(_BEFORE)
        before, end = self._form_digest(text, start_before, text.index(_SUBJECT_START, start_before))
        rest = _CHANGE_END.match(text, end)
        if rest is None:
            return None
        subject, event_type, required_approvals = rest.groups()
        written = text[place : rest.end()].encode()
        if subject != covered or len(written) > MAX_CHANGE:
            return None
        digest = sha256(written).digest()
        return (change_id, digest, int(required_approvals), subject, event_type, before, after), rest.end()

    def _form_digest(self, text: str, start: int, end: int) -> tuple[bytes, int]:
        """The digest of the form of a document that stands in the event itself, and ``end``.

        Raises ValueError when the text from ``start`` to ``end`` is no such document.
        """
        written = text[start:end]
        digest = self._known.get(written)
        if digest is None:
            document, data = read_plain(written), written.encode()
            if is_stand_in(document) or len(data) > MAX_INLINE:
                raise ValueError("is not of the form of a short document")
            if self._length > _MAX_KNOWN:
                self._known.clear()
                self._length = 0
            self._length += len(written)
            digest = self._known[written] = sha256(data).digest()
        return digest, end


def event_of(row: Row, index: int) -> Event:
    """The event that ``UsualEvents.read`` read at ``index``."""
    ident, event_type, time, subject, data, personal, documents, change = row
    return Event(
        index,
        ident,
        event_type,
        time,
        subject,
        data,
        personal,
        encode_plain,
        documents,
        change and _change_of(*change),
    )


def _change_of(
    change_id: str,
    digest: bytes,
    required_approvals: int,
    subject: str,
    event_type: str,
    before: bytes,
    after: bytes,
) -> Change:
    operation = Operation(sys.intern(subject), sys.intern(event_type), (before,), after, repeat=False)
    return Change(change_id, digest, required_approvals, None, None, (operation,))


def _end_of_documents(text: str, start: int) -> int:
    """Where the last document may end, before the first of the members that can follow. Raises ValueError."""
    for following in (_REFERENCE_START, _PERSONAL_START):
        place = text.rfind(following, start)
        if place >= 0:
            return place
    return text.index(_END_START, start)
