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

from countersign.bundle.blobs import MAX_INLINE, is_stand_in
from countersign.bundle.changes import MAX_CHANGE, Change, Operation
from countersign.bundle.encoding import DIGEST, TIME, encode_plain, is_day, read_plain
from countersign.bundle.events import ID, PATH, PERSONAL_DIGEST, SEGMENT, Event

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
_CHANGE = re.compile(rf'\{{"base":\{{"({PATH})":({_NUMBER})\}},"id":"({SEGMENT})","operations":\[\{{"after":')
_SUBJECT_START = ',"subject":"'
_CHANGE_END = re.compile(
    rf',"subject":"({PATH})","type":"({_CHARACTER}+)"\}}\],"rationale":"({_CHARACTER}*)"'
    rf',"required_approvals":({_NUMBER}),"ticket":"({_CHARACTER}*)","title":"({_CHARACTER}*)"\}}'
)
_END_START = '},"datacontenttype":"application/json","id":"'
_END = re.compile(
    rf'(?:,"personal":\{{"name":"({PERSONAL_DIGEST})"\}})?\}},"datacontenttype":"application/json","id":"({ID})"'
    rf',"sequence":"([0-9]{{16}})","source":"({_CHARACTER}+)","specversion":"1\.0"(?:,"subject":"({PATH})")?'
    rf',"time":"({TIME})","type":"({_CHARACTER}+)"\}}'
)

_MAX_KNOWN = 2**20
"""Characters of the documents that are kept."""


class UsualEvents:
    """Reads the usual events of one log, and knows again the documents that it read last.

    A document stands in up to four events: proposed and carried out, and as what the next change starts from.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._known: dict[str, tuple[object, bytes]] = {}
        self._length = 0

    def read(self, line: bytes, index: int) -> Event | None:
        """The event that is entry ``index``, as ``read_event`` reads it; None when it is not a usual one."""
        try:
            return self._read(line.decode("utf-8"), index)
        except (ValueError, RecursionError):
            return None

    def _read(self, text: str, index: int) -> Event | None:
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
            data["change"], change, place = read
        else:
            data["after"], after, place = self._read_document(text, place, text.index(_BEFORE, place))
            start_before = place + len(_BEFORE)
            end = text.rfind(_REFERENCE_START, start_before)
            if end < 0:
                end = text.rfind(',"personal":', start_before)
            if end < 0:
                end = text.index(_END_START, start_before)
            data["before"], before, place = self._read_document(text, start_before, end)
            documents = before, after
            reference = _REFERENCE.match(text, place)
            if reference is not None:
                digest, change_id, operation = reference.groups()
                data["change_request"] = {"digest": digest, "id": change_id, "operation": int(operation)}
                place = reference.end()
        end_match = _END.fullmatch(text, place)
        if end_match is None:
            return None
        name, ident, sequence, source, subject, time, event_type = end_match.groups()
        if sequence != f"{index:016d}" or source != self._origin or not is_day(time[:10]):
            return None
        personal: dict[str, str] = {}
        if name is not None:
            data["personal"] = personal = {"name": name}
        return Event(
            index,
            ident,
            event_type,
            time,
            subject,
            data,
            personal,
            encode_plain,
            documents=documents,
            change=change,
        )

    def _read_change(self, text: str, place: int) -> tuple[object, Change, int] | None:
        """A change of one operation: its value, the change, and where it ends."""
        start = _CHANGE.match(text, place)
        if start is None:
            return None
        covered, version, change_id = start.groups()
        after, after_digest, end = self._read_document(text, start.end(), text.index(_BEFORE, start.end()))
        start_before = end + len(_BEFORE)
        before, before_digest, end = self._read_document(
            text, start_before, text.index(_SUBJECT_START, start_before)
        )
        rest = _CHANGE_END.match(text, end)
        if rest is None:
            return None
        subject, event_type, rationale, approvals, ticket, title = rest.groups()
        written = text[place : rest.end()].encode()
        if subject != covered or len(written) > MAX_CHANGE:
            return None
        value = {
            "base": {subject: int(version)},
            "id": change_id,
            "operations": [{"after": after, "before": before, "subject": subject, "type": event_type}],
            "rationale": rationale,
            "required_approvals": int(approvals),
            "ticket": ticket,
            "title": title,
        }
        operation = Operation(
            sys.intern(subject), sys.intern(event_type), (before_digest,), after_digest, repeat=False
        )
        change = Change(change_id, sha256(written).digest(), int(approvals), None, None, (operation,))
        return value, change, rest.end()

    def _read_document(self, text: str, start: int, end: int) -> tuple[object, bytes, int]:
        """A document that stands in the event itself, the digest of its form, and ``end``.

        Raises ValueError when the text from ``start`` to ``end`` is no such document.
        """
        written = text[start:end]
        known = self._known.get(written)
        if known is None:
            document, data = read_plain(written), written.encode()
            if is_stand_in(document) or len(data) > MAX_INLINE:
                raise ValueError("is not of the form of a short document")
            if self._length > _MAX_KNOWN:
                self._known.clear()
                self._length = 0
            self._length += len(written)
            known = self._known[written] = document, sha256(data).digest()
        return (*known, end)
