"""Checkpoints as they come: a note that a trusted log signed, and that witnesses may have cosigned (section 3)."""

from __future__ import annotations

from countersign.bundle.checkpoint import Checkpoint
from countersign.bundle.refusal import RuleError
from countersign.bundle.report import Witness
from countersign.bundle.trust import Trust, TrustedLog
from countersign.notes import COSIGNATURE, NoteError, open_note

MAX_CHECKPOINT = 256 * 2**10
"""Bytes of the note: 64 signatures and three lines are far less."""


def open_checkpoint(data: bytes, trusted: TrustedLog, trust: Trust) -> tuple[Checkpoint, tuple[Witness, ...]]:
    """The checkpoint that ``trusted`` signed, and its known witnesses. Raises RuleError."""
    try:
        note = open_note(data, (*trusted.keys, *trust.witnesses))
    except NoteError as error:
        raise RuleError(error) from None
    if all(signer.key.type == COSIGNATURE for signer in note.signers):
        raise RuleError("is not signed by a known key of the log")
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != trusted.origin:
        raise RuleError(f"is of log {checkpoint.origin[:200]!r}, not of {trusted.origin!r}")
    return checkpoint, tuple(
        Witness(signer.key.name, signer.timestamp) for signer in note.signers if signer.timestamp is not None
    )


def check_witnesses(witnesses: tuple[Witness, ...], trust: Trust) -> None:
    """As many witnesses as the auditor asks for. Raises RuleError."""
    # By name: a witness that changes its key signs with both, and is one witness all the same.
    names = {witness.name for witness in witnesses}
    if len(names) < trust.witness_threshold:
        raise RuleError(f"is cosigned by {len(names)} known witnesses, {trust.witness_threshold} are needed")
