"""The files of a bundle (ledger-bundle sections 1, 4, 5 and 8), as a stream: memory does not grow with the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from audit import keys, proofs, tree
from audit.blobs import is_by_digest
from audit.jcs import canonical
from audit.ledger import LedgerError, current_log, timestamp
from audit.models import Blob, Checkpoint, Disclosure, b64
from audit.selection import KILLED, Selection, rows
from audit.signing import signed_note

# The files in the order in which they are written, the manifest last; each file's pieces are taken before
# the next one is asked for.
Members = Iterator[tuple[str, Iterator[bytes]]]
# Entries in memory; each has at most 65,535 bytes.
PAGE = 500


@dataclass(slots=True)
class _Measured:
    """A file as the manifest names it: digest and length, once its pieces were taken."""

    name: str
    digest: Any
    length: int = 0

    def line(self) -> str:
        return f"file {self.digest.hexdigest()} {self.length} {self.name}\n"


def members(checkpoint: Checkpoint, selection: Selection) -> Members:
    """The files of the bundle of a selection, up to a checkpoint, each in pieces.

    Raises, from the first file or a piece, `LedgerError` when what is stored is not what was signed.
    """
    log = checkpoint.log
    files: list[_Measured] = []

    def file(name: str, pieces: Iterable[bytes]) -> tuple[str, Iterator[bytes]]:
        measured = _Measured(name, hashlib.sha256())
        files.append(measured)
        return name, _taken(measured, pieces)

    # What is short and can fail comes first: a stream that has begun can only break off.
    earlier = log.checkpoints.get(size=selection.earlier) if selection.earlier else None
    consistency = proofs.consistency(checkpoint, earlier) if earlier else []
    prefix = proofs.prefix(checkpoint, selection.first)
    yield file("checkpoint", [checkpoint.note.encode()])
    if selection.first:
        yield file("prefix", map(_b64_line, prefix))
    if earlier is not None:
        yield file("previous.checkpoint", [earlier.note.encode()])
        yield file("consistency", map(_b64_line, consistency))
    entries = _Entries(checkpoint, selection, prefix)
    yield file("entries.ndjson", entries.pages())
    if selection.disclosures:
        disclosures = _disclosures(checkpoint, selection)
        if first := next(disclosures, None):
            yield file("disclosures.ndjson", _again(first, disclosures))
    for digest in sorted(entries.blobs):
        yield file(f"extra/blobs/{digest.removeprefix('sha256:')}", [_blob(digest)])
    text = (
        "ledger-bundle/v1\n"
        f"origin {log.origin}\n"
        f"size {checkpoint.size}\n"
        f"first {selection.first}\n"
        f"withheld {entries.withheld}\n"
        + (f"previous {earlier.size}\n" if earlier is not None else "")
        + f"created {timestamp(timezone.now())}\n"
    )
    text += "".join(each.line() for each in sorted(files, key=lambda each: each.name.encode()))
    signers = keys.signers(log.origin, of=current_log().origin)
    yield "manifest", iter([signed_note(text, signers).encode()])


class _Entries:
    """The lines of entries.ndjson; once they are taken, how many were withheld and which blobs they name."""

    def __init__(self, checkpoint: Checkpoint, selection: Selection, prefix: tree.Frontier) -> None:
        self._checkpoint, self._selection, self._prefix = checkpoint, selection, prefix
        self.withheld = 0
        self.blobs: set[str] = set()

    def pages(self) -> Iterator[bytes]:
        """Raises `LedgerError` at the end, unless the lines hash to the signed root."""
        edge, size = self._prefix, self._selection.first
        log, end = self._checkpoint.log, self._checkpoint.size
        # One bound on each side: given two, SQLite takes the first and reads from there on every page.
        while page := list(rows(self._selection, log, size, min(size + PAGE, end))):
            lines: list[bytes] = []
            leaves: list[bytes] = []
            for line, is_chosen, stored in page:
                if line is None:
                    self.withheld += 1
                    leaves.append(bytes(stored))
                    lines.append(canonical({"leaf_hash": b64(leaves[-1]), "reason": "filtered"}))
                else:
                    self.blobs |= _blobs_named(line) if is_chosen else _blobs_needed(line)
                    lines.append(line.encode())
                    leaves.append(tree.leaf_hash(lines[-1]))
            edge, size = tree.grow(edge, size, leaves)
            lines.append(b"")
            yield b"\n".join(lines)
        if size != self._checkpoint.size or tree.root(edge) != proofs.root_of(self._checkpoint):
            raise LedgerError(
                f"{self._checkpoint.log.origin}: the stored events do not hash to the signed head at "
                f"{self._checkpoint.size}; nothing was exported. "
                "The database was changed: compare it with a backup and the last export."
            )


def _disclosures(checkpoint: Checkpoint, selection: Selection) -> Iterator[bytes]:
    """Personal data of the events that were chosen; never of those carried only because they must be."""
    log = checkpoint.log
    for first in range(selection.first, checkpoint.size, PAGE):
        end = min(first + PAGE, checkpoint.size)
        found = (
            Disclosure.objects.filter(
                selection.chosen("event__"), event__log=log, event__index__gte=first, event__index__lt=end
            )
            .order_by("event__index", "name")
            .values_list("event__index", "name", "salt", "value")
        )
        lines = [
            canonical({"index": index, "name": name, "salt": salt, "value": value}) + b"\n"
            for index, name, salt, value in found
        ]
        if lines:
            yield b"".join(lines)


def _again(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def _blob(digest: str) -> bytes:
    """The bytes kept under a digest. Raises `LedgerError` when they are gone or other ones."""
    blob = Blob.objects.filter(digest=digest).first()
    content = b"" if blob is None else blob.content.encode()
    if blob is None or "sha256:" + hashlib.sha256(content).hexdigest() != digest:
        raise LedgerError(
            f"The value {digest} is {'missing' if blob is None else 'another one'}; nothing was exported. "
            "The database was changed: compare it with a backup and the last export."
        )
    return content


def _taken(file: _Measured, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        file.digest.update(piece)
        file.length += len(piece)
        yield piece


def _b64_line(node: bytes) -> bytes:
    return f"{b64(node)}\n".encode()


def _blobs_named(line: str) -> set[str]:
    """The digests of the values that an event carries by digest: before, after, and those of a change."""
    if '"blob":"sha256:' not in line:
        return set()
    data = json.loads(line)["data"]
    values = [data.get("before"), data.get("after")]
    operations = _operations(data)
    if isinstance(operations, dict):
        values.append(operations)
    else:
        for operation in operations:
            values += [operation.get("before"), operation["after"], *operation.get("before_any", ())]
    return {value["blob"] for value in values if is_by_digest(value)}


def _blobs_needed(line: str) -> set[str]:
    """Of these, the digests without which reviews cannot be checked: of operations, and of kills."""
    if '"blob":"sha256:' not in line:
        return set()
    event = json.loads(line)
    if event["type"] == KILLED:
        return _blobs_named(line)
    operations = _operations(event["data"])
    return {operations["blob"]} if is_by_digest(operations) else set()


def _operations(data: dict[str, Any]) -> Any:
    return data["change"].get("operations", []) if isinstance(data.get("change"), dict) else []
