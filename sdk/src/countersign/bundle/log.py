"""One log, taken in entry by entry: what must hold from one event to the next (section 6)."""

from __future__ import annotations

from countersign.bundle.blobs import Blobs
from countersign.bundle.checkpoint import Checkpoint
from countersign.bundle.encoding import is_integer, read_hash, read_object
from countersign.bundle.events import Event, read_actor
from countersign.bundle.refusal import RuleError
from countersign.bundle.report import Continues, Findings
from countersign.bundle.reviews import KILLED, REVIEWS, Reviews
from countersign.bundle.trust import Trust, TrustedLog
from countersign.notes import NoteError, VerifierKey, open_note, read_note

_CREATED = "ledger.v1.created"
_RECORDS = frozenset({"ledger.v1.exported", "ledger.v1.pruned", "ledger.v1.log_key.changed"})
_PERSONALLY_SIGNED = frozenset(
    {
        "ledger.v1.relying_party.changed",
        "ledger.v1.credential.enrolled",
        "ledger.v1.credential.revoked",
        "ledger.v1.change.proposed",
        "ledger.v1.change.approved",
        "ledger.v1.change.rejected",
        "ledger.v1.emergency.reviewed",
    }
)


class Log:
    """The state of one log after the entries taken in so far; it outlives a bundle when another follows.

    ``take`` and ``withhold`` raise RuleError when an entry breaks a rule; the log is of no use afterwards.
    """

    def __init__(self, trusted: TrustedLog, trust: Trust) -> None:
        self._trusted = trusted
        self._trust = trust
        self._ids: set[bytes] = set()
        self._last_time = ""
        self._after: dict[str, bytes] = {}  # subject -> digest of the last document's form
        self._reviews = Reviews()
        self.continues: Continues | None = None

    @property
    def unreviewed_kills(self) -> tuple[str, ...]:
        """Ids of the kills that nobody reviewed so far, in the order of the log."""
        return tuple(self._reviews.unreviewed_kills)

    def withhold(self, index: int) -> None:
        """Entry ``index`` is withheld. It may have changed any document, but is no review and no kill."""
        if index == 0:
            raise RuleError(f"{_CREATED} is withheld")
        self._after.clear()
        self._reviews.withhold(index)

    def take(self, event: Event, blobs: Blobs, findings: Findings) -> None:
        """Check the next event against all before it, and put it where it belongs in the report."""
        self._check_order(event)
        if event.type.startswith("ledger."):
            self._take_ledger_event(event)
            return
        actor = read_actor(event.data)
        if event.type in REVIEWS:
            self._reviews.take(event, actor, blobs, accept_log_vouched=self._trust.accept_log_vouched)
            return
        if "change" in event.data and event.type != KILLED:
            raise RuleError("'change' names a personally signed proposal: unsupported here")
        documents = self._read_documents(event, blobs)
        if documents is not None:
            self._take_documents(event, actor, *documents, blobs, findings)

    def _check_order(self, event: Event) -> None:
        # Bytes, whose hash is keyed: colliding integers would be easy to find, and searched one by one.
        ident = bytes.fromhex(event.id.replace("-", ""))
        if ident in self._ids:
            raise RuleError("'id' was used before")
        self._ids.add(ident)
        if event.time < self._last_time:
            raise RuleError("'time' is before that of the event before")
        self._last_time = event.time
        if (event.index == 0) != (event.type == _CREATED):
            raise RuleError(f"{_CREATED} is the event at index 0, always and only")

    def _take_ledger_event(self, event: Event) -> None:
        if event.type == _CREATED:
            self.continues = _read_created(event, self._trusted, self._trust)
        elif event.type in _PERSONALLY_SIGNED:
            raise RuleError(f"type {event.type} is unsupported: personal signatures cannot be checked here")
        elif event.type not in _RECORDS:
            raise RuleError(f"type {event.type[:80]!r} is unsupported: ledger types are never skipped")
        elif not event.data.keys().isdisjoint(("before", "after")) and self._asks_for_review(event):
            raise RuleError("review is required for this subject, and a record carries out no change")

    def _asks_for_review(self, event: Event) -> bool:
        return event.index >= self._trusted.review_from and self._trust.needs_review(event.subject or "")

    def _read_documents(self, event: Event, blobs: Blobs) -> tuple[bytes, bytes] | None:
        """The digests of the forms of the documents before and after the event, if it has any."""
        data = event.data
        if "before" not in data or "after" not in data:
            if "before" in data or "after" in data or event.type.startswith("flags."):
                raise RuleError("'data' has not both 'before' and 'after'")
            if "change_request" in data:
                raise RuleError("'change_request' stands in an event without 'before' and 'after'")
            return None
        subject = event.subject
        if subject is None or not subject.startswith(("project/", "access/")):
            raise RuleError("'before' and 'after' are not at a subject below project/ or access/")
        if event.documents is not None:
            return event.documents
        before, after = data["before"], data["after"]
        return blobs.form_digest(before, event.encode(before)), blobs.form_digest(after, event.encode(after))

    def _take_documents(
        self, event: Event, actor: str, before: bytes, after: bytes, blobs: Blobs, findings: Findings
    ) -> None:
        subject = event.subject or ""
        if self._after.get(subject, before) != before:
            raise RuleError("'before' is not the last 'after' of this subject")
        self._after[subject] = after
        trust, reviewed_here = self._trust, self._asks_for_review(event)
        if event.type == KILLED:
            self._reviews.kill(event, actor, after, blobs)
            if trust.max_emergency is not None and self._reviews.kills > trust.max_emergency:
                raise RuleError(f"there are more kills than max_emergency ({trust.max_emergency})")
            findings.emergency.append(event.index)
            return
        if "change_request" not in event.data:
            if reviewed_here:
                raise RuleError("review is required for this subject, and no change is carried out")
            findings.unreviewed.append(event.index)
            return
        proposal = self._reviews.carry_out(event, before, after)
        if reviewed_here and not trust.accept_log_vouched:
            raise RuleError("review is required for this subject, and unsigned reviews do not suffice")
        if reviewed_here and proposal.approvals < trust.min_approvals:
            raise RuleError(
                f"review is required for this subject with {trust.min_approvals} approvals, "
                f"and there are {proposal.approvals}"
            )
        if proposal.change.required_approvals:
            findings.log_vouched.append(event.index)
        else:
            findings.unreviewed.append(event.index)


def _read_created(event: Event, trusted: TrustedLog, trust: Trust) -> Continues | None:
    data = read_object(
        event.data,
        "'data'",
        frozenset({"origin", "log_key"}),
        frozenset({"rp_id", "continues", "personal"}),
    )
    if data["origin"] != trusted.origin:
        raise RuleError("the origin of ledger.v1.created is not that of the log")
    if not isinstance(data["log_key"], str):
        raise RuleError("'log_key' is not a string")
    try:
        key = VerifierKey.parse(data["log_key"])
    except NoteError as error:
        raise RuleError(f"'log_key': {error}") from None
    if key not in trusted.keys:
        raise RuleError("'log_key' is not a key that the trust file knows for this log")
    if not isinstance(data.get("rp_id", ""), str):
        raise RuleError("'rp_id' is not a string")
    if "continues" not in data:
        return None
    return _read_continues(data["continues"], trusted, trust)


def _read_continues(value: object, trusted: TrustedLog, trust: Trust) -> Continues:
    members = frozenset({"origin", "size", "root", "checkpoint"})
    continues = read_object(value, "'continues'", members, frozenset())
    origin, size, note_text = continues["origin"], continues["size"], continues["checkpoint"]
    root = read_hash(continues["root"], "the root of 'continues'")
    if not isinstance(origin, str) or not is_integer(size) or not isinstance(note_text, str):
        raise RuleError("'continues' has a member of the wrong kind")
    if origin == trusted.origin:
        raise RuleError("the log continues itself")
    old = trust.log(origin)
    try:
        data = note_text.encode("utf-8")
        note = read_note(data)
        signed_by = {(signature.name, signature.key_id) for signature in note.signatures}
        keys = (*(old.keys if old else ()), *trust.witnesses)
        known = [key for key in keys if (key.name, key.key_id) in signed_by]
        if known:
            note = open_note(data, known)
    except NoteError as error:
        raise RuleError(f"the checkpoint of 'continues': {error}") from None
    if Checkpoint.parse(note.text) != Checkpoint(origin, size, root):
        raise RuleError("the checkpoint of 'continues' has other values")
    if old is not None:
        if not any(signer.key in old.keys for signer in note.signers):
            raise RuleError("the checkpoint of 'continues' is not signed by a known key of its log")
        seen = old.seen
        if seen is not None and (seen.size > size or (seen.size == size and seen.root != root)):
            raise RuleError("'continues' drops entries that 'seen' knows of, or has another root")
    return Continues(origin, size, root, signature_checked=old is not None)
