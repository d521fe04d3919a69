"""What an accepted bundle shows (section 10)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime, timezone

from countersign.bundle.refusal import one_line


@dataclass(frozen=True)
class Continues:
    """The log that this one continues after a restore, at the head it names.

    ``signature_checked`` is False when the trust file does not know that log.
    """

    origin: str
    size: int
    root: bytes
    signature_checked: bool


@dataclass(frozen=True)
class Witness:
    """Who cosigned the checkpoint, and when: whole seconds since 1970-01-01T00:00:00Z."""

    name: str
    timestamp: int

    def as_json(self) -> dict[str, object]:
        """The witness as JSON values."""
        return {"name": self.name, "timestamp": self.timestamp}


@dataclass
class Findings:
    """Indices of the events that change a document, each in one list, in the order of the log."""

    reviewed: list[int] = field(default_factory=list)
    log_vouched: list[int] = field(default_factory=list)
    emergency: list[int] = field(default_factory=list)
    unreviewed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """An accepted bundle: entries ``first`` to ``size`` - 1; ``root`` is over all before ``size``.

    With ``integrity_only`` no event was read, and everything after ``witnesses`` says nothing.
    """

    origin: str
    first: int
    size: int
    root: bytes
    integrity_only: bool
    withheld: int
    witnesses: tuple[Witness, ...]
    continues: Continues | None = None
    disclosed: int = 0
    erased: int = 0
    reviewed: tuple[int, ...] = ()
    log_vouched: tuple[int, ...] = ()
    emergency: tuple[int, ...] = ()
    unreviewed: tuple[int, ...] = ()
    emergency_unreviewed: tuple[str, ...] = ()
    """Ids of the kills of the log so far that nobody reviewed in a way the trust file accepts."""

    def as_json(self) -> dict[str, object]:
        """The report as JSON values; what was not checked is left out."""
        members: dict[str, object] = {
            "origin": self.origin,
            "first": self.first,
            "size": self.size,
            "root": encoded(self.root),
            "integrity_only": self.integrity_only,
            "withheld": self.withheld,
            "witnesses": [witness.as_json() for witness in self.witnesses],
        }
        if self.integrity_only:
            return members
        continues = self.continues
        members["continues"] = continues and {
            "origin": continues.origin,
            "size": continues.size,
            "root": encoded(continues.root),
            "signature_checked": continues.signature_checked,
        }
        members["disclosed"] = self.disclosed
        members["erased"] = self.erased
        kinds = {
            "reviewed": self.reviewed,
            "log_vouched": self.log_vouched,
            "emergency": self.emergency,
            "unreviewed": self.unreviewed,
        }
        members["counts"] = {kind: len(indices) for kind, indices in kinds.items()}
        members.update((kind, list(indices)) for kind, indices in kinds.items())
        members["emergency_unreviewed"] = list(self.emergency_unreviewed)
        return members

    def as_text(self) -> str:
        """The report for people, several lines without a final LF."""
        lines = [
            f"origin       {self.origin}",
            f"entries      {self.size - self.first}, from index {self.first} to size {self.size}",
            f"root         {encoded(self.root)}",
            f"withheld     {self.withheld}",
        ]
        lines += [f"witness      {witness.name} at {moment(witness.timestamp)}" for witness in self.witnesses]
        if not self.witnesses:
            lines.append("witness      none that the trust file knows")
        if self.integrity_only:
            return "\n".join([*lines, "integrity only: signatures, tree and files; no event was read"])
        if self.continues:
            checked = "checked" if self.continues.signature_checked else "not checked, its log is not known"
            origin = one_line(self.continues.origin)
            lines.append(f"continues    {origin} at size {self.continues.size} (signature {checked})")
        lines += [
            f"disclosed    {self.disclosed}, erased {self.erased}",
            f"reviewed     {_listing(self.reviewed)}",
            f"log vouched  {_listing(self.log_vouched)}",
            f"emergency    {_listing(self.emergency)}",
            f"unreviewed   {_listing(self.unreviewed)}",
        ]
        lines += [f"emergency not reviewed: {event_id}" for event_id in self.emergency_unreviewed]
        lines += [
            "checked      files, signatures, hash tree, every event; what was approved is what was carried out",
            "not checked  that events say the truth, what never reached the log, why a name is not disclosed",
        ]
        if self.withheld:
            lines.append(
                "             that nothing withheld is a rejection, a review or a kill, as the format asks"
            )
        if not self.witnesses:
            lines.append("             that others were shown the same log: keep size and root as 'seen'")
        return "\n".join(lines)


def _listing(indices: tuple[int, ...], shown: int = 20) -> str:
    if not indices:
        return "0"
    more = ", ..." if len(indices) > shown else ""
    return f"{len(indices)} (index {', '.join(map(str, indices[:shown]))}{more})"


def moment(timestamp: int) -> str:
    """Whole seconds since 1970-01-01T00:00:00Z, for people."""
    try:
        return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"{timestamp} s"  # a witness may sign any 64-bit number


def encoded(data: bytes) -> str:
    """Bytes in base64, as they stand in checkpoints."""
    return base64.b64encode(data).decode("ascii")
