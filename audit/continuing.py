"""Where a log ends that a restored system goes on from: its largest checkpoint that somebody can show."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import ledger
from audit.checkpoints import kept_checkpoint
from audit.errors import LedgerError
from audit.models import Log, b64
from countersign.bundle import BundleError, Trust, verify_bundle
from countersign.bundle.checkpoint import Checkpoint as Head
from countersign.bundle.refusal import RuleError
from countersign.bundle.trust import TrustedLog
from countersign.notes import NoteError, VerifierKey, open_note


@dataclass(frozen=True, slots=True)
class End:
    """A head that one of the log's keys signed, its note, and where it was found."""

    head: Head
    note: str
    source: str

    @property
    def continues(self) -> dict[str, Any]:
        """The member of the next log's first event (ledger-bundle, section 6)."""
        return {
            "origin": self.head.origin,
            "size": self.head.size,
            "root": b64(self.head.root),
            "checkpoint": self.note,
        }

    @property
    def rank(self) -> tuple[int, int]:
        """Later logs are larger than earlier ones, whatever their sizes."""
        return number_of(self.head.origin), self.head.size


def number_of(origin: str) -> int:
    """1 for the first log of this installation, 2 for `…/ledger/2`. Raises `LedgerError` for another's."""
    first = _first()
    if origin == first:
        return 1
    match = re.fullmatch(re.escape(first) + r"/([1-9][0-9]{0,5})", origin)
    if match is None or int(match[1]) < 2:
        raise LedgerError(f"{origin} is no ledger of this installation, whose first one is {first}.")
    return int(match[1])


def read_end(path: Path) -> End:
    """The end that a checkpoint's file or an exported bundle shows, verified. Raises `LedgerError`."""
    try:
        end = _verified((path / "checkpoint" if path.is_dir() else path).read_bytes(), str(path))
        if path.is_dir():
            trusted = TrustedLog(end.head.origin, tuple(_keys(end.head.origin)))
            # Enough withheld entries for any bundle: what counts here is that it hashes to its checkpoint.
            verify_bundle(path, Trust((trusted,), max_withheld=2**53), integrity_only=True)
    except (OSError, BundleError) as error:
        raise LedgerError(f"{path}: {error}") from error
    return end


def ends(given: Iterable[End] = ()) -> list[End]:
    """Every end that is known: the database's, this host's, and what somebody gave."""
    found = list(given)
    if (kept := kept_checkpoint()) is not None:
        found.append(_verified(kept.encode(), "this host's last-known-good"))
    for log in Log.objects.order_by("-pk")[:1]:
        if (newest := log.checkpoints.order_by("-size").first()) is not None:
            found.append(_verified(newest.note.encode(), "the database"))
    return found


def largest(known: Iterable[End]) -> End | None:
    """The one to go on from; None for none.

    Raises `LedgerError` where two of the largest size differ: a signed history was forked.
    """
    found = sorted(known, key=lambda end: end.rank)
    if not found:
        return None
    other = next((end for end in found if end.rank == found[-1].rank and end.head != found[-1].head), None)
    if other is not None:
        raise LedgerError(
            f"Two different trees of {other.head.origin} at {other.head.size} events were signed, as shown by "
            f"{found[-1].source} and {other.source}. Tell the auditors, and keep only the one that they saw."
        )
    return found[-1]


def next_origin(known: Iterable[End]) -> str:
    """What the next log is called: after every log that is known here or was shown."""
    numbers = [number_of(end.head.origin) for end in known]
    numbers += [number_of(origin) for origin in Log.objects.values_list("origin", flat=True)]
    return f"{_first()}/{max(numbers) + 1}"


def _first() -> str:
    """The origin of the first log, which stays what it was when the installation is called otherwise."""
    return Log.objects.order_by("pk").values_list("origin", flat=True).first() or ledger.origin()


def verified(note: str, source: str) -> End:
    """The end that a checkpoint's note shows. Raises `LedgerError` unless a key of ours signed it."""
    return _verified(note.encode(), source)


def _keys(origin: str) -> list[VerifierKey]:
    # A database from before a rotation does not know the key that signed last; the host does.
    return [VerifierKey.parse(vkey) for vkey in ledger.keys_ever(origin)]


def _verified(raw: bytes, source: str) -> End:
    try:
        origin = raw.split(b"\n", 1)[0].decode()
        number_of(origin)
        head = Head.parse(open_note(raw, _keys(origin)).text)
        return End(head, raw.decode(), source)
    except (NoteError, RuleError, UnicodeDecodeError) as error:
        raise LedgerError(f"{source}: is no checkpoint that a key of ours signed: {error}") from error
