"""One event without the rest of its log: that it stands at its index under a signed checkpoint.

A proof is a c2sp.org/tlog-proof version 1: the index, the audit path of RFC 6962 section 2.1.1, and the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from countersign.bundle.encoding import read_dec, read_hash
from countersign.bundle.events import Event, is_withheld, read_event
from countersign.bundle.files import MAX_LINE
from countersign.bundle.refusal import BundleError, RuleError, one_line
from countersign.bundle.report import Witness, encoded, moment
from countersign.bundle.signed_checkpoint import MAX_CHECKPOINT, check_witnesses, open_checkpoint
from countersign.bundle.tree import check_inclusion, leaf_hash
from countersign.bundle.trust import Trust
from countersign.notes import NoteError, decode_base64, read_note

MAX_PROOF = 2 * MAX_CHECKPOINT
_FIRST_LINE = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Proof:
    """A proof taken apart. Nothing in it was checked against a key yet."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    @classmethod
    def parse(cls, data: bytes) -> Proof:
        """Read a proof file. What ``extra`` holds is ignored: nothing vouches for it. Raises RuleError."""
        head, border, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise RuleError("has a line before its checkpoint that is not ASCII") from None
        if lines[0] != _FIRST_LINE:
            raise RuleError(f"does not start with {_FIRST_LINE}")
        if not border:
            raise RuleError("has no empty line before its checkpoint")
        del lines[0]
        if lines and lines[0].startswith("extra "):
            try:
                decode_base64(lines.pop(0)[len("extra ") :])
            except ValueError as error:
                raise RuleError(f"'extra': {error}") from None
        name, _, index = lines[0].partition(" ") if lines else ("", "", "")
        if name != "index":
            raise RuleError("has no 'index' where it belongs")
        path = tuple(read_hash(line, "a hash of the audit path") for line in lines[1:])
        return cls(read_dec(index), path, checkpoint)


@dataclass(frozen=True)
class ProofReport:
    """An event that stands in a log at ``index``, as the log's checkpoint of ``size`` entries says."""

    origin: str
    size: int
    root: bytes
    witnesses: tuple[Witness, ...]
    event: Event

    def as_json(self) -> dict[str, object]:
        """The report as JSON values."""
        return {
            "origin": self.origin,
            "size": self.size,
            "root": encoded(self.root),
            "witnesses": [witness.as_json() for witness in self.witnesses],
            "index": self.event.index,
            "id": self.event.id,
            "type": self.event.type,
            "time": self.event.time,
            "subject": self.event.subject,
        }

    def as_text(self) -> str:
        """The report for people, several lines without a final LF."""
        event = self.event
        lines = [
            f"origin       {self.origin}",
            f"event        index {event.index}, id {event.id}",
            f"type         {one_line(event.type)}",
            f"subject      {event.subject or 'none'}",
            f"time         {event.time}, as the log says",
            f"checkpoint   size {self.size}, root {encoded(self.root)}",
        ]
        lines += [f"witness      {witness.name} at {moment(witness.timestamp)}" for witness in self.witnesses]
        if not self.witnesses:
            lines.append("witness      none that the trust file knows")
        lines.append(
            "not checked  who reviewed it, and every rule between events: that takes the whole bundle"
        )
        return "\n".join(lines)


def verify_proof(proof: str | Path, event: str | Path, trust: Trust) -> ProofReport:
    """Verify that the event in file ``event`` (its line, with or without LF) stands in a log of the trust file.

    Raises BundleError, whose text is one line with file and rule.
    """
    return check_proof(_read(proof, MAX_PROOF), _read(event, MAX_LINE + 1), trust)


def check_proof(proof: bytes, event: bytes, trust: Trust) -> ProofReport:
    """``verify_proof`` for the bytes of the two files."""
    try:
        parsed = Proof.parse(proof)
        origin = read_note(parsed.checkpoint).text.split("\n", 1)[0]
        trusted = trust.log(origin)
        if trusted is None:
            raise RuleError(f"the trust file does not know log {origin[:200]!r}")
        checkpoint, witnesses = open_checkpoint(parsed.checkpoint, trusted, trust)
        check_witnesses(witnesses, trust)
        seen = trusted.seen
        if seen is not None and seen.size == checkpoint.size and seen.root != checkpoint.root:
            raise RuleError("the checkpoint has another root than 'seen', at the same size")
    except (RuleError, NoteError) as error:
        raise BundleError("proof", error) from None
    line = event.removesuffix(b"\n")
    try:
        if b"\n" in line or len(line) > MAX_LINE:
            raise RuleError(f"is not one line of at most {MAX_LINE} bytes")
        if is_withheld(line):
            raise RuleError("is a withheld entry: there is no event to prove")
        read = read_event(line, parsed.index, origin)
    except RuleError as error:
        raise BundleError("event", error) from None
    try:
        check_inclusion(parsed.index, leaf_hash(line), checkpoint.size, checkpoint.root, parsed.path)
    except RuleError as error:
        raise BundleError("proof", error) from None
    return ProofReport(origin, checkpoint.size, checkpoint.root, witnesses, read)


def _read(path: str | Path, limit: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise BundleError(str(path), reason or "cannot be read") from None
    if len(data) > limit:
        raise BundleError(str(path), f"is longer than {limit} bytes")
    return data
