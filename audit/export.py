"""Export of the whole log as a bundle that anyone can check offline (ledger-bundle, section 12)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.utils import timezone

from audit import keys, tree
from audit.actor import Actor
from audit.blobs import is_by_digest
from audit.checkpoints import sign_current
from audit.jcs import canonical
from audit.ledger import LedgerError, timestamp
from audit.models import Blob, Checkpoint, Disclosure, Log
from audit.recording import recording
from audit.signing import signed_note


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file of the bundle, as the manifest names it. `length` in bytes."""

    name: str
    digest: str
    length: int


def export_bundle(actor: Actor, directory: Path, origin: str = "") -> Checkpoint:
    """Write a bundle of every event so far to `directory`, which must not exist; return its checkpoint.

    The export itself is recorded first, so that the bundle contains it. `origin`: of an earlier log instead,
    as far as it was signed; the export is then recorded in the open one. Entries are streamed: memory does
    not grow with the log. Raises FileExistsError, OSError (then nothing is left behind), or `LedgerError`
    when the stored events do not hash to the signed head.
    """
    if directory.exists():
        raise FileExistsError(f"{directory} exists already; name a directory that does not.")
    with recording(actor) as record:
        record.event("ledger.v1.exported", data={"by": actor.id, "filter": None, "first": 0})
    checkpoint = sign_current()
    if origin and origin != checkpoint.log.origin:
        earlier = Checkpoint.objects.filter(log__origin=origin).order_by("-size").first()
        if earlier is None:
            raise LedgerError(f"There is no log {origin} here of which a checkpoint was signed.")
        checkpoint = earlier
    draft = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        _write_bundle(draft, checkpoint)
        draft.rename(directory)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return checkpoint


def _write_bundle(directory: Path, checkpoint: Checkpoint) -> None:
    events = checkpoint.log.events.filter(index__lt=checkpoint.size).order_by("index")
    blobs: set[str] = set()
    leaves: list[bytes] = []
    frontier: tree.Frontier = []
    size = 0
    files = []

    def entries() -> Iterator[bytes]:
        nonlocal frontier, size
        for line in events.values_list("line", flat=True).iterator(chunk_size=5_000):
            raw = line.encode()
            blobs.update(_blobs_named(line))
            leaves.append(tree.leaf_hash(raw))
            if len(leaves) == 5_000:
                frontier, size = tree.grow(frontier, size, leaves)
                leaves.clear()
            yield raw

    files.append(_write(directory, "entries.ndjson", entries()))
    frontier, size = tree.grow(frontier, size, leaves)
    if size != checkpoint.size or tree.root(frontier) != Log(frontier=checkpoint.frontier).root:
        raise LedgerError(
            f"{checkpoint.log.origin}: the stored events do not hash to the signed head at "
            f"{checkpoint.size}; nothing was exported. "
            "The database was changed: compare it with a backup and the last export."
        )
    files.append(_write(directory, "checkpoint", [checkpoint.note.encode()], end=b""))
    disclosures = (
        Disclosure.objects.filter(event__log=checkpoint.log, event__index__lt=checkpoint.size)
        .order_by("event__index", "name")
        .values_list("event__index", "name", "salt", "value")
    )
    if disclosures.exists():
        lines = (
            canonical({"index": index, "name": name, "salt": salt, "value": value})
            for index, name, salt, value in disclosures.iterator(chunk_size=5_000)
        )
        files.append(_write(directory, "disclosures.ndjson", lines))
    for digest in sorted(blobs):
        content = _blob(digest)
        name = f"extra/blobs/{digest.removeprefix('sha256:')}"
        files.append(_write(directory, name, [content], end=b""))
    text = (
        "ledger-bundle/v1\n"
        f"origin {checkpoint.log.origin}\n"
        f"size {checkpoint.size}\n"
        "first 0\n"
        "withheld 0\n"
        f"created {timestamp(timezone.now())}\n"
    )
    for file in sorted(files, key=lambda each: each.name.encode()):
        text += f"file {file.digest} {file.length} {file.name}\n"
    (directory / "manifest").write_bytes(signed_note(text, keys.signers(checkpoint.log.origin)).encode())


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


def _write(directory: Path, name: str, parts: Iterable[bytes], end: bytes = b"\n") -> BundleFile:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, length = hashlib.sha256(), 0
    with path.open("wb") as file:
        for part in parts:
            length += _put(file, digest, part + end)
    return BundleFile(name, digest.hexdigest(), length)


def _put(file: BinaryIO, digest: Any, raw: bytes) -> int:
    digest.update(raw)
    return file.write(raw)


def _blobs_named(line: str) -> set[str]:
    """The digests of the values that an event carries by digest: before, after, and those of a change."""
    if '"blob":"sha256:' not in line:
        return set()
    data = json.loads(line)["data"]
    operations = data.get("change", {}).get("operations", []) if isinstance(data.get("change"), dict) else []
    values = [data.get("before"), data.get("after")]
    if isinstance(operations, dict):
        values.append(operations)
    else:
        for operation in operations:
            values += [operation.get("before"), operation["after"], *operation.get("before_any", ())]
    return {value["blob"] for value in values if is_by_digest(value)}
