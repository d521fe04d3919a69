"""Who agreed to what: proposals, approvals, rejections, what was carried out, and kills (section 6)."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass

from countersign.bundle.blobs import Blobs, stored_form_digest
from countersign.bundle.changes import Change, read_change
from countersign.bundle.encoding import Encoder, is_integer, read_object
from countersign.bundle.events import Event, check_segment
from countersign.bundle.refusal import RuleError

KILLED = "flags.v1.configuration.killed"

_PROPOSED = "approvals.v1.change_request.proposed"
_APPROVED = "approvals.v1.change_request.approved"
_REJECTED = "approvals.v1.change_request.rejected"
_APPLIED = "approvals.v1.change_request.applied"
_EMERGENCY_REVIEWED = "approvals.v1.emergency.reviewed"
REVIEWS = frozenset({_PROPOSED, _APPROVED, _REJECTED, _APPLIED, _EMERGENCY_REVIEWED})
"""The types of unsigned reviews. Their data has no members but those of the specification."""

_PERSONAL = frozenset({"personal"})
_REFERENCE = frozenset({"id", "digest", "operation"})
_PROPOSAL = frozenset({"actor", "change"})
_REVIEW = frozenset({"actor", "change_id", "digest"})
_KILL_REVIEW = frozenset({"actor", "event", "digest"})


@dataclass(slots=True)
class Proposal:
    """A proposed change and what happened to it so far."""

    change: Change
    index: int
    proposer: str
    approvers: set[str] | None = None
    used: bytearray | None = None
    """One byte for each operation, 1 when it was carried out; None when nothing was so far."""

    rejected: bool = False
    way_back: bool = False
    """Whether ``repeat`` operations stayed open when it was rejected."""

    @property
    def approvals(self) -> int:
        """How many different people other than the proposer approved."""
        return len(self.approvers) if self.approvers else 0


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill, by whom, and the digest of its data that a later review names."""

    actor: str
    digest: bytes


class Reviews:
    """The reviews of one log, event by event. Every method raises RuleError when a rule is broken."""

    def __init__(self) -> None:
        self._proposals: dict[str, Proposal] = {}
        self._kills: dict[str, Kill] = {}
        self._last_withheld = -1
        self.unreviewed_kills: dict[str, None] = {}  # ids, in the order of the log
        self.kills = 0

    def withhold(self, index: int) -> None:
        """Entry ``index`` is withheld: it may have carried something out, but is no review or kill."""
        self._last_withheld = index

    def take(self, event: Event, actor: str, blobs: Blobs, *, accept_log_vouched: bool) -> None:
        """Take in an unsigned review (a type of ``REVIEWS``) by ``actor``.

        Reviews of kills count only with ``accept_log_vouched``.
        """
        if event.type == _PROPOSED:
            self._propose(event, actor, blobs)
        elif event.type == _EMERGENCY_REVIEWED:
            self._review_kill(event, actor, accept_log_vouched)
        else:
            self._review(event, actor)

    def carry_out(self, event: Event, before: bytes, after: bytes) -> Proposal:
        """Check that the event carries out the operation it names, under the approvals that needs.

        ``before`` and ``after`` are the digests of the event's documents.
        """
        reference = read_object(event.data["change_request"], "'change_request'", _REFERENCE, frozenset())
        proposal = self._proposal(reference["id"], reference["digest"])
        change, number = proposal.change, reference["operation"]
        if not is_integer(number) or number >= len(change.operations):
            raise RuleError(f"change {change.id} has no such operation")
        operation = change.operations[number]
        if event.subject != operation.subject or event.type != operation.type:
            raise RuleError(f"operation {number} of change {change.id} is of another subject or type")
        if after != operation.after:
            raise RuleError(f"'after' is not that of operation {number} of change {change.id}")
        if before not in operation.before:
            raise RuleError(f"'before' is not one that operation {number} of change {change.id} starts from")
        if proposal.used is None:
            proposal.used = bytearray(len(change.operations))
        elif proposal.used[number] and not operation.repeat:
            raise RuleError(f"operation {number} of change {change.id} was carried out before")
        if change.not_before is not None and event.time < change.not_before:
            raise RuleError(f"change {change.id} is carried out before its 'not_before'")
        if change.not_after is not None and event.time > change.not_after and not operation.repeat:
            raise RuleError(f"change {change.id} is carried out after its 'not_after'")
        if proposal.approvals < change.required_approvals:
            raise RuleError(
                f"change {change.id} has {proposal.approvals} approvals of {change.required_approvals}"
            )
        if proposal.rejected and not (operation.repeat and proposal.way_back):
            raise RuleError(f"change {change.id} was rejected before it was carried out")
        proposal.used[number] = 1
        return proposal

    def kill(self, event: Event, actor: str, after: bytes, blobs: Blobs) -> None:
        """Check that the event does nothing but set ``killed`` of one configuration, and remember it.

        ``after`` is the digest of the event's second document.
        """
        segments = (event.subject or "").split("/")
        if len(segments) != 6 or segments[0::2] != ["project", "environment", "flag"]:
            raise RuleError("a kill is not of a configuration")
        if "change" in event.data or "change_request" in event.data:
            raise RuleError("a kill names a change")
        blobs.require(event.data["after"], "a kill")
        if after != blobs.read(event.data["before"], event.encode, "a kill", _killed):
            raise RuleError("'after' of a kill is not 'before' with 'killed' true")
        digest = hashlib.sha256(event.encode(event.data).encode()).digest()
        self._kills[event.id] = Kill(sys.intern(actor), digest)
        self.unreviewed_kills[event.id] = None
        self.kills += 1

    def _propose(self, event: Event, actor: str, blobs: Blobs) -> None:
        data = read_object(event.data, "'data'", _PROPOSAL, _PERSONAL)
        change = event.change or read_change(data["change"], event.encode, blobs)
        _check_change_subject(event, change.id)
        if change.id in self._proposals:
            raise RuleError(f"the id of change {change.id} was used before")
        self._proposals[change.id] = Proposal(change, event.index, sys.intern(actor))

    def _review(self, event: Event, actor: str) -> None:
        data = read_object(event.data, "'data'", _REVIEW, _PERSONAL)
        proposal = self._proposal(data["change_id"], data["digest"])
        change = proposal.change
        _check_change_subject(event, change.id)
        # Something withheld since the proposal may have been a part of the change carried out.
        in_use = proposal.used is not None or self._last_withheld > proposal.index
        if event.type == _APPROVED:
            if actor == proposal.proposer:
                raise RuleError(f"change {change.id} is approved by its proposer")
            if proposal.approvers is None:
                proposal.approvers = set()
            proposal.approvers.add(sys.intern(actor))
        elif event.type == _REJECTED:
            if not proposal.rejected:
                proposal.rejected, proposal.way_back = True, in_use
        elif not in_use:
            raise RuleError(f"change {change.id} is recorded as applied and nothing of it was carried out")

    def _review_kill(self, event: Event, actor: str, counts: bool) -> None:
        data = read_object(event.data, "'data'", _KILL_REVIEW, _PERSONAL | {"change_id"})
        if "change_id" in data:
            check_segment(data["change_id"], "'change_id'")
        kill_id = data["event"]
        kill = self._kills.get(kill_id) if isinstance(kill_id, str) else None
        if kill is None:
            raise RuleError("an emergency is reviewed that is not a kill before")
        if data["digest"] != f"sha256:{kill.digest.hex()}":
            raise RuleError("the digest is not that of the kill's data")
        if actor == kill.actor:
            raise RuleError("a kill is reviewed by its own actor")
        if counts:
            self.unreviewed_kills.pop(str(kill_id), None)

    def _proposal(self, change_id: object, change_digest: object) -> Proposal:
        proposal = self._proposals.get(change_id) if isinstance(change_id, str) else None
        if proposal is None:
            raise RuleError(f"change {str(change_id)[:60]!r} was not proposed before")
        if change_digest != f"sha256:{proposal.change.digest.hex()}":
            raise RuleError(f"the digest is not that of change {proposal.change.id}")
        return proposal


def _killed(before: object, encode: Encoder) -> bytes:
    """The digest of what a kill makes of a configuration, in the form in which it stands in an event."""
    if not isinstance(before, dict) or before.get("killed", False) is not False:
        raise RuleError("'before' of a kill is not an object with 'killed' absent or false")
    return stored_form_digest({**before, "killed": True}, encode)


def _check_change_subject(event: Event, change_id: str) -> None:
    if event.subject is not None and event.subject != f"change/{change_id}":
        raise RuleError("the subject is not the change that the event is about")
