"""The ``countersign`` command: verify evidence, evaluate and convert flags, offline, from files."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from countersign.bundle import BundleError, Trust, TrustError, verify_bundles, verify_proof
from countersign.flagd import HASHES, export
from countersign.jsonline import LineError, read_line
from countersign.members import step
from countersign.notes import NoteError, VerifierKey
from countersign.snapshot import Snapshot, SnapshotError

ACCEPTED = 0
REFUSED = 1
USAGE = 2
"""Exit codes. A trust file, context or key that cannot be read is usage: it is the caller's own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the process's own arguments); returns the exit code.

    Raises SystemExit with code 2 for wrong usage, as argparse does.
    """
    parser = argparse.ArgumentParser(prog="countersign", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    verify = commands.add_parser("verify", help="verify ledger export bundles against a trust file")
    verify.add_argument("bundles", nargs="+", metavar="BUNDLE", help="bundle directories, in sequence")
    verify.add_argument("--trust", required=True, metavar="FILE", help="the auditor's trust file (JSON)")
    verify.add_argument(
        "--integrity-only", action="store_true", help="files, signatures and tree only; read no event"
    )
    verify.add_argument("--json", action="store_true", help="print the report as JSON")

    proof = commands.add_parser("verify-proof", help="verify that one event stands in a log")
    proof.add_argument("proof", metavar="PROOF", help="a c2sp.org/tlog-proof file")
    proof.add_argument("event", metavar="EVENT", help="a file with the event's line")
    proof.add_argument("--trust", required=True, metavar="FILE", help="the auditor's trust file (JSON)")
    proof.add_argument("--json", action="store_true", help="print the report as JSON")

    evaluate = commands.add_parser("evaluate", help="evaluate a flag from a snapshot file")
    evaluate.add_argument("snapshot", metavar="SNAPSHOT_FILE")
    evaluate.add_argument("flag", metavar="FLAG")
    evaluate.add_argument("--context", default="{}", metavar="JSON", help="the evaluation context")

    flagd = commands.add_parser("flagd", help="write flagd flag definitions from a snapshot file")
    flagd.add_argument("snapshot", metavar="SNAPSHOT_FILE")
    flagd.add_argument("--hash", choices=HASHES, default=HASHES[0], help="the hash that the clients have")
    for command in (evaluate, flagd):
        command.add_argument(
            "--verify",
            action="append",
            default=[],
            metavar="VKEY",
            help="a key that may have signed; repeatable",
        )

    arguments = parser.parse_args(argv)
    if arguments.command == "verify":
        return _verify(arguments.bundles, arguments.trust, arguments.integrity_only, arguments.json)
    if arguments.command == "verify-proof":
        return _verify_proof(arguments.proof, arguments.event, arguments.trust, arguments.json)
    if arguments.command == "flagd":
        return _flagd(arguments.snapshot, arguments.hash, arguments.verify)
    return _evaluate(arguments.snapshot, arguments.flag, arguments.context, arguments.verify)


def _verify(bundles: list[str], trust_file: str, integrity_only: bool, as_json: bool) -> int:
    try:
        trust = Trust.load(trust_file)
    except TrustError as error:
        return _usage(error)
    for bundle in bundles:
        if not Path(bundle).is_dir():
            return _usage(f"{bundle}: not a directory; unpack the bundle, and name the directory it is in")
    # What is kept of a long log has no cycles, and to look for some in it takes a sixth of the time.
    gc.set_threshold(100_000)
    try:
        reports = verify_bundles(bundles, trust, integrity_only=integrity_only, read_ahead=_processors() > 1)
    except BundleError as error:
        return _refused(error, as_json)
    if as_json:
        _print(json.dumps({"accepted": True, "bundles": [report.as_json() for report in reports]}, indent=2))
    else:
        for bundle, report in zip(bundles, reports, strict=True):
            _print(f"accepted: {bundle}\n{report.as_text()}")
    return ACCEPTED


def _processors() -> int:
    """How many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _verify_proof(proof: str, event: str, trust_file: str, as_json: bool) -> int:
    try:
        trust = Trust.load(trust_file)
    except TrustError as error:
        return _usage(error)
    for path in (proof, event):
        if not Path(path).exists() or Path(path).is_dir():  # it may be a pipe
            return _usage(f"{path}: no such file")
    try:
        report = verify_proof(proof, event, trust)
    except BundleError as error:
        return _refused(error, as_json)
    if as_json:
        _print(json.dumps({"accepted": True, "proof": report.as_json()}, indent=2))
    else:
        _print(f"accepted: {event}\n{report.as_text()}")
    return ACCEPTED


def _refused(error: BundleError, as_json: bool) -> int:
    if as_json:
        _print(json.dumps({"accepted": False, "refused": str(error)}, indent=2))
    print(f"refused: {error}", file=sys.stderr)
    return REFUSED


def _evaluate(snapshot_file: str, flag: str, context_json: str, vkeys: list[str]) -> int:
    try:
        # Read as strictly as a snapshot's lines: a member that stands twice is a slip of the hand.
        context = read_line(context_json.encode("utf-8", "surrogateescape"))
    except LineError as error:
        return _usage(f'--context {error}; write an object like {{"targetingKey": "user-1"}}')
    if not isinstance(context, dict):
        return _usage('--context is not an object; write one like {"targetingKey": "user-1"}')
    snapshot = _read_snapshot(snapshot_file, vkeys)
    if isinstance(snapshot, int):
        return snapshot
    result = snapshot.evaluate(flag, context)
    answer = {
        "value": result.value,
        "variant": result.variant,
        "reason": result.reason,
        "error_code": result.error_code,
        "error_message": result.error_message,
        "metadata": dict(result.metadata),
    }
    _print(json.dumps(answer, indent=2))
    return ACCEPTED


def _flagd(snapshot_file: str, hash: str, vkeys: list[str]) -> int:
    snapshot = _read_snapshot(snapshot_file, vkeys)
    if isinstance(snapshot, int):
        return snapshot
    made = export(snapshot, hash)
    sys.stdout.buffer.write(made.document)
    for key, reason in made.left_out.items():
        print(f"left out: {step(key)}: {reason}", file=sys.stderr)
    return ACCEPTED


def _read_snapshot(snapshot_file: str, vkeys: list[str]) -> Snapshot | int:
    """The snapshot, or the exit code after saying why there is none."""
    try:
        for vkey in vkeys:
            VerifierKey.parse(vkey)
    except NoteError as error:
        return _usage(f"--verify: {error}; copy the key again")
    try:
        raw = Path(snapshot_file).read_bytes()
    except (OSError, ValueError) as error:
        return _usage(f"{snapshot_file}: {error}")
    try:
        return Snapshot.parse(raw, verify=tuple(vkeys))
    except SnapshotError as error:
        print(f"refused: {error}", file=sys.stderr)
        return REFUSED


def _usage(reason: object) -> int:
    print(f"countersign: error: {reason}", file=sys.stderr)
    return USAGE


def _print(text: str) -> None:
    # Names in a bundle may have characters that the terminal's encoding has not.
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
