"""Checkpoints: the log's signed statement of its size and root (c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

from dataclasses import dataclass

from countersign.bundle.encoding import read_dec, read_hash
from countersign.bundle.refusal import RuleError

RESERVED_ORIGIN = "ledger-bundle/"
"""No log may be called this: one key signs checkpoints and manifests, which start with these bytes."""


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: ``root`` is the RFC 6962 root over the first ``size`` entries of log ``origin``."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a checkpoint's text of exactly three lines. Raises RuleError."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] != "":
            raise RuleError("a checkpoint has exactly three lines")
        if not lines[0] or lines[0].startswith(RESERVED_ORIGIN):
            raise RuleError("the origin is empty or reserved")
        return cls(lines[0], read_dec(lines[1]), read_hash(lines[2], "root"))
