"""Verifying a bundle, step by step in the order of section 10. Any failure refuses the whole bundle."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from countersign.bundle.blobs import Blobs
from countersign.bundle.checkpoint import Checkpoint
from countersign.bundle.disclosures import Disclosures
from countersign.bundle.encoding import read_hash
from countersign.bundle.events import Event, is_withheld, read_event, read_withheld
from countersign.bundle.files import ENTRIES, BundleFiles, Manifest
from countersign.bundle.log import Log
from countersign.bundle.reading import (
    WORTH_A_PROCESS,
    Block,
    lines_alone,
    read_blocks,
    read_blocks_ahead,
)
from countersign.bundle.refusal import BundleError, RuleError, entry_place
from countersign.bundle.report import Findings, Report, Witness
from countersign.bundle.signed_checkpoint import MAX_CHECKPOINT, check_witnesses, open_checkpoint
from countersign.bundle.tree import CompactRange, check_consistency, leaf_hash
from countersign.bundle.trust import Trust, TrustedLog
from countersign.bundle.usual import event_of
from countersign.notes import NoteError, open_note, read_note

_MAX_HASHES = 16 * 2**10
"""Bytes of ``prefix`` and ``consistency``: no tree of 2^54 entries needs 200 hashes."""


@dataclass(frozen=True)
class _Opened:
    """A bundle after steps 1 and 2: its files are the listed ones, its checkpoint is the log's."""

    files: BundleFiles
    manifest: Manifest
    trusted: TrustedLog
    checkpoint: Checkpoint
    witnesses: tuple[Witness, ...]
    prefix: tuple[bytes, ...]


@dataclass
class _Verified:
    """A bundle accepted, and the log as the next one of the sequence finds it."""

    report: Report
    previous: Checkpoint | None
    log: Log


def verify_bundle(
    path: str | Path, trust: Trust, *, integrity_only: bool = False, read_ahead: bool = False
) -> Report:
    """Verify the bundle in directory ``path`` against the auditor's trust.

    ``integrity_only`` checks files, signatures, tree and consistency (steps 1, 2, 4 and 5 of section 10)
    and reads no event; only so can a bundle be verified that does not start at index 0.
    ``read_ahead``: a large bundle is read by a second process (of ``sys.executable``) while this one follows the
    log. It is quicker on two processors, and the outcome is the same.
    Raises BundleError, whose text is one line with file, line and rule.
    """
    return verify_bundles([path], trust, integrity_only=integrity_only, read_ahead=read_ahead)[0]


def verify_bundles(
    paths: Iterable[str | Path], trust: Trust, *, integrity_only: bool = False, read_ahead: bool = False
) -> list[Report]:
    """Verify bundles in sequence: each goes on where the one before ends, or its log continues that log.

    Returns a report for each; raises BundleError for the first that is refused, its text then starting
    with the path when there are several.
    """
    verified: list[_Verified] = []
    paths = list(paths)
    for path in paths:
        try:
            before = verified[-1] if verified else None
            verified.append(_verify(Path(path), trust, before, integrity_only, read_ahead))
        except BundleError as error:
            if len(paths) == 1:
                raise
            raise BundleError(str(path), error) from None
    _check_seen(verified, trust)
    return [bundle.report for bundle in verified]


def _verify(
    path: Path, trust: Trust, before: _Verified | None, integrity_only: bool, read_ahead: bool
) -> _Verified:
    opened = _open(path, trust)
    manifest = opened.manifest
    follows = before is not None and before.report.origin == manifest.origin
    if before is not None and follows:
        _check_follows(opened, before.report)
        log = before.log
    else:
        if before is not None and integrity_only:
            raise BundleError("manifest", "is of another log, which only events can tie to the one before")
        if manifest.first > 0 and not integrity_only:
            raise BundleError(
                "manifest",
                f"starts at index {manifest.first}: give the bundles before it, or ask for integrity only",
            )
        log = Log(opened.trusted, trust)
    findings, disclosures = Findings(), Disclosures()
    withheld = _read_entries(opened, None if integrity_only else log, findings, disclosures, read_ahead)
    if not integrity_only and before is not None and not follows:
        _check_continues(log, before.report)
    if withheld > trust.max_withheld:
        raise BundleError(ENTRIES, f"{withheld} entries are withheld, max_withheld is {trust.max_withheld}")
    previous = _check_previous(opened, trust)
    if integrity_only:
        report = Report(
            manifest.origin,
            manifest.first,
            manifest.size,
            opened.checkpoint.root,
            True,
            withheld,
            opened.witnesses,
        )
    else:
        disclosures.check(opened.files)
        report = Report(
            origin=manifest.origin,
            first=manifest.first,
            size=manifest.size,
            root=opened.checkpoint.root,
            integrity_only=False,
            withheld=withheld,
            witnesses=opened.witnesses,
            continues=log.continues,
            disclosed=disclosures.disclosed,
            erased=disclosures.erased,
            reviewed=tuple(findings.reviewed),
            log_vouched=tuple(findings.log_vouched),
            emergency=tuple(findings.emergency),
            unreviewed=tuple(findings.unreviewed),
            emergency_unreviewed=log.unreviewed_kills,
        )
    return _Verified(report, previous, log)


def _open(path: Path, trust: Trust) -> _Opened:
    """Steps 1 and 2: manifest, files, checkpoint, witnesses."""
    files = BundleFiles(path)
    manifest, trusted = _open_manifest(files.read_manifest(), trust)
    files.check(manifest.files)
    checkpoint, witnesses = _read_checkpoint(files, "checkpoint", trusted, trust)
    if checkpoint.size != manifest.size:
        raise BundleError("checkpoint", "has another size than the manifest")
    try:
        check_witnesses(witnesses, trust)
    except RuleError as error:
        raise BundleError("checkpoint", error) from None
    prefix = _read_hashes(files, "prefix") if manifest.first else ()
    return _Opened(files, manifest, trusted, checkpoint, witnesses, prefix)


def _open_manifest(data: bytes, trust: Trust) -> tuple[Manifest, TrustedLog]:
    try:
        # The signature first: nothing but the first two lines is read for whoever may have written them.
        origin = Manifest.origin_of(read_note(data).text)
        trusted = trust.log(origin)
        if trusted is None:
            raise RuleError(f"the trust file does not know log {origin[:200]!r}")
        manifest = Manifest.parse(open_note(data, trusted.keys).text)
    except (RuleError, NoteError) as error:
        raise BundleError("manifest", error) from None
    return manifest, trusted


def _read_checkpoint(
    files: BundleFiles, name: str, trusted: TrustedLog, trust: Trust
) -> tuple[Checkpoint, tuple[Witness, ...]]:
    try:
        return open_checkpoint(files.read_small(name, MAX_CHECKPOINT), trusted, trust)
    except RuleError as error:
        raise BundleError(name, error) from None


def _read_hashes(files: BundleFiles, name: str) -> tuple[bytes, ...]:
    hashes: list[bytes] = []
    if files.listed[name].length > _MAX_HASHES:
        raise BundleError(name, f"is longer than {_MAX_HASHES} bytes")
    for number, line in files.lines(name, 44):
        try:
            hashes.append(read_hash(line.decode("ascii", "replace"), "a line"))
        except RuleError as error:
            raise BundleError(f"{name} line {number}", error) from None
    return tuple(hashes)


def _read_entries(
    opened: _Opened, log: Log | None, findings: Findings, disclosures: Disclosures, read_ahead: bool
) -> int:
    """Steps 3 (left out without ``log``) and 4. Returns the number of withheld entries."""
    try:
        return _take_entries(opened, log, findings, disclosures, read_ahead)
    except BundleError:
        opened.files.check_digest(ENTRIES)  # the first thing to say of a file that is not the listed one
        raise


def _take_entries(
    opened: _Opened, log: Log | None, findings: Findings, disclosures: Disclosures, read_ahead: bool
) -> int:
    manifest, files = opened.manifest, opened.files
    tree = _prefix_tree(opened)
    blobs = Blobs(files)
    withheld = 0
    with closing(_blocks(opened, log, read_ahead)) as blocks:
        for number, entries in blocks:
            start = manifest.first + number - 1
            if start + len(entries) > manifest.size:
                raise BundleError(ENTRIES, f"has more than the {manifest.size - manifest.first} entries")
            leaves: list[bytes] = []
            for index, entry in enumerate(entries, start):
                try:
                    if isinstance(entry, tuple):
                        leaf, row = entry
                        event: Event | None = event_of(row, index)
                    elif is_withheld(entry):
                        leaves.append(read_withheld(entry))
                        withheld += 1
                        if log is not None:
                            log.withhold(index)
                        continue
                    else:
                        leaf = leaf_hash(entry)
                        event = read_event(entry, index, manifest.origin) if log is not None else None
                    leaves.append(leaf)
                    if log is not None and event is not None:
                        log.take(event, blobs, findings)
                        disclosures.expect(event)
                except RuleError as error:
                    raise BundleError(entry_place(index, manifest.first), error) from None
            tree.extend(leaves)
    if log is not None:
        blobs.check_named()
    if tree.size != manifest.size:
        raise BundleError(ENTRIES, f"has fewer than the {manifest.size - manifest.first} entries")
    if tree.root() != opened.checkpoint.root:
        raise BundleError(ENTRIES, "the entries do not hash to the checkpoint's root")
    if withheld != manifest.withheld:
        raise BundleError(ENTRIES, f"{withheld} entries are withheld, the manifest says {manifest.withheld}")
    return withheld


def _blocks(opened: _Opened, log: Log | None, read_ahead: bool) -> Generator[Block, None, None]:
    files, manifest = opened.files, opened.manifest
    if log is None:
        return lines_alone(files)
    if read_ahead and files.listed[ENTRIES].length >= WORTH_A_PROCESS:
        return read_blocks_ahead(files, manifest.origin, manifest.first)
    return read_blocks(files, manifest.origin, manifest.first)


def _prefix_tree(opened: _Opened) -> CompactRange:
    try:
        return CompactRange(opened.manifest.first, opened.prefix)
    except RuleError as error:
        raise BundleError("prefix", error) from None


def _check_previous(opened: _Opened, trust: Trust) -> Checkpoint | None:
    """Step 5: nothing before the previous checkpoint was changed."""
    manifest = opened.manifest
    if manifest.previous is None:
        return None
    name = "previous.checkpoint"
    previous, _ = _read_checkpoint(opened.files, name, opened.trusted, trust)
    if previous.size != manifest.previous:
        raise BundleError(name, "has another size than the manifest says")
    proof = _read_hashes(opened.files, "consistency")
    now = opened.checkpoint
    try:
        check_consistency(previous.size, previous.root, now.size, now.root, proof)
    except RuleError as error:
        raise BundleError("consistency", error) from None
    return previous


def _check_follows(opened: _Opened, before: Report) -> None:
    """The bundle goes on where the one before it, of the same log, ends."""
    if opened.manifest.first != before.size:
        raise BundleError(
            "manifest",
            f"starts at index {opened.manifest.first}, the bundle before it ends at size {before.size}",
        )
    if _prefix_tree(opened).root() != before.root:
        raise BundleError("prefix", "does not fold to the root of the bundle before it")


def _check_continues(log: Log, before: Report) -> None:
    """The bundle's log continues the one of the bundle before it, at its end or further on."""
    place, continues = entry_place(0, 0), log.continues
    if continues is None or continues.origin != before.origin:
        raise BundleError(place, "the log does not continue the one of the bundle before it")
    if continues.size < before.size:
        raise BundleError(place, "'continues' names a smaller tree than the bundle before it")
    if continues.size == before.size and continues.root != before.root:
        raise BundleError(place, "'continues' names another root than the bundle before it")


def _check_seen(verified: Sequence[_Verified], trust: Trust) -> None:
    """A log of which the auditor kept a checkpoint must show that it goes on from there."""
    for origin in dict.fromkeys(bundle.report.origin for bundle in verified):
        log = trust.log(origin)
        if log is None or log.seen is None:
            continue
        seen = Checkpoint(origin, log.seen.size, log.seen.root)
        if all(bundle.previous != seen for bundle in verified):
            raise BundleError("previous.checkpoint", f"is not the one that 'seen' of {origin!r} asks for")
