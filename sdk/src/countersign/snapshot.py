"""A snapshot: one environment's whole truth at one version, verified, indexed, and parsed at first use."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from countersign.constraints import Scope
from countersign.context import Context, Predicate, sharing
from countersign.evaluation import Dependant, make_check
from countersign.flag import TYPES, BrokenFlag, Flag, broken_flag, read_flag
from countersign.jsonline import LineError, read_line
from countersign.members import DocumentError, shown, step
from countersign.notes import ED25519, NoteError, VerifierKey, open_note, read_note
from countersign.prerequisites import dependency_order, on_cycle
from countersign.result import Check, Decider, Result
from countersign.segments import nobody, read_segment

MEDIA_TYPE = "application/vnd.countersign.snapshot"
KEY_SUFFIX = "/snapshots"
"""The name of the key that signs snapshots is the origin with this after it."""

LONGEST_HEAD = 64 * 1024
"""Bytes of the signed note: seven lines, and 64 signatures at most."""

_KEY = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_DECIMAL = "(?:0|[1-9][0-9]{0,15})"
_HEAD = re.compile(
    "countersign-snapshot/v1\n"
    r"origin (?P<origin>[^\s+]+)\n"
    f"environment (?P<environment>{_KEY}/{_KEY})\n"
    "version (?P<version>[1-9][0-9]{0,15})\n"
    r"created (?P<created>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)\n"
    f"ledger (?P<size>{_DECIMAL}) (?P<root>[A-Za-z0-9+/]{{43}}=)\n"
    f"body sha256:(?P<hash>[0-9a-f]{{64}}) (?P<length>{_DECIMAL})\n"
)
_MAY_NEED = (b'"prerequisites"', b"\\u")
_INDEXED = re.compile(rb'\["([A-Za-z0-9._-]+)",')


class SnapshotError(ValueError):
    """A snapshot was refused; the message says what is wrong and what to look at."""


class _Plan(NamedTuple):
    """How the values of all flags are found: ``values`` has those that are the same for everyone."""

    values: dict[str, Any]
    deciders: tuple[tuple[str, Decider], ...]


class Snapshot:
    """One environment at one version. Immutable; safe to share between threads.

    ``raw``: the file's bytes. ``head_text``: the seven signed lines. ``body``: the lines of segments and
    flags. ``origin``, ``environment`` (project key/environment key), ``version``, ``created`` (RFC 3339
    UTC). ``ledger_size``, ``ledger_root`` (base64): the audit ledger when this was published.
    ``body_sha256``: lower-case hex. ``etag``: with its quotes.
    """

    def __init__(self, raw: bytes, body_start: int, head_text: str, head: Mapping[str, str]) -> None:
        """For ``parse``, which checks what this takes for granted."""
        self.raw = raw
        self.head_text = head_text
        self.origin = head["origin"]
        self.environment = head["environment"]
        self.version = int(head["version"])
        self.created = head["created"]
        self.ledger_size = int(head["size"])
        self.ledger_root = head["root"]
        self.body_sha256 = head["hash"]
        self.etag = f'"{self.version}-{self.body_sha256[:16]}"'
        self._body_start = body_start
        self._segment_documents, self._lines = _index(raw, body_start)
        # Filled at first use. Two threads that meet here make the same twice; no lock is worth more.
        self._segments: dict[str, Predicate] = {}
        self._flags: dict[str, Flag | BrokenFlag] = {}
        self._dependants: dict[str, Dependant] = {}
        # By expected type and then by key, so that a flag check compares no types; second for a stale client.
        self._checks: dict[str | None, dict[str, Check]] = {kind: {} for kind in (None, *TYPES)}
        self._stale_checks: dict[str | None, dict[str, Check]] = {kind: {} for kind in (None, *TYPES)}
        self._plans: dict[bool, _Plan] = {}

    @classmethod
    def parse(cls, raw: bytes, *, verify: Sequence[str] = (), environment: str | None = None) -> Snapshot:
        """Checks a snapshot file and indexes its lines; its flags are parsed when first asked for.

        ``verify``: verifier keys (vkeys) named origin + "/snapshots", several while keys rotate; without
        any, signature and origin are not checked. ``environment``: ``project/environment`` that it must be
        of. Raises SnapshotError.
        """
        head_text, body_start, head = _read_head(raw, verify)
        if environment is not None and head["environment"] != environment:
            raise SnapshotError(
                f"snapshot is of environment {head['environment']}, not {environment}; check the SDK key"
            )
        length = len(raw) - body_start
        if length != int(head["length"]):
            raise SnapshotError(
                f"snapshot's body has {length} bytes, its head says {head['length']}; fetch it again"
            )
        digest = hashlib.sha256(memoryview(raw)[body_start:]).hexdigest()
        if digest != head["hash"]:
            raise SnapshotError(
                f"snapshot's body has hash {digest}, its head says {head['hash']}; fetch it again"
            )
        return cls(raw, body_start, head_text, head)

    @property
    def body(self) -> bytes:
        """The bytes after the signed head."""
        return self.raw[self._body_start :]

    def keys(self) -> list[str]:
        """The keys of all flags, ascending by byte."""
        return list(self._lines)

    def __contains__(self, key: object) -> bool:
        return key in self._lines

    def __len__(self) -> int:
        return len(self._lines)

    def evaluate(self, key: str, context: Context, expected_type: str | None = None) -> Result:
        """What the flag answers for the context; see ``countersign.evaluation.evaluate``."""
        check = self.check(key, expected_type)
        if check.settled is not None:
            return check.settled
        decide = check.decide
        return decide(context, None)

    def evaluate_all(
        self,
        context: Context,
        keys: Iterable[str] | None = None,
        *,
        region: object = None,
        stale: bool = False,
    ) -> Iterator[tuple[str, Result]]:
        """What all flags answer for one context, or those of ``keys``, each as it is asked for.

        The same answers as ``countersign.evaluation.evaluate`` gives, where the arguments are explained, but
        whether the context is in a segment, and what a flag that others need serves, is found out once.
        """
        asked = sharing(context)
        checks = (self._stale_checks if stale else self._checks)[None]
        for key in self._lines if keys is None else keys:
            check = checks.get(key) or self.check(key, None, stale)
            result = check.settled
            if result is None:
                decide = check.decide
                result = decide(asked, region)
            yield key, result

    def values(self, context: Context, *, region: object = None, stale: bool = False) -> dict[str, Any]:
        """The values of ``evaluate_all`` by key: what is the same for everyone is copied and not asked."""
        plan = self._plans.get(stale)
        if plan is None:
            plan = self._plans[stale] = self._plan(stale)
        asked = sharing(context)
        values = plan.values.copy()
        for key, decide in plan.deciders:
            values[key] = decide(asked, region).value
        return values

    def _plan(self, stale: bool) -> _Plan:
        checks = {key: self.check(key, None, stale) for key in self._lines}
        return _Plan(
            {key: None if check.settled is None else check.settled.value for key, check in checks.items()},
            tuple((key, check.decide) for key, check in checks.items() if check.settled is None),
        )

    def check(self, key: str, expected_type: str | None = None, stale: bool = False) -> Check:
        """What answers for the flag, made at its first use; see ``countersign.evaluation.evaluate``."""
        checks = self._stale_checks if stale else self._checks
        try:
            return checks[expected_type][key]
        except KeyError:
            check = make_check(self, key, expected_type, stale=stale)
            # Only what is there is kept: a caller may ask for any number of other keys and types.
            if key in self._lines and expected_type in checks:
                checks[expected_type][key] = check
            return check

    def flag_type(self, key: str) -> str | None:
        """boolean, string, integer, float or object; None where the flag is not there or cannot be read."""
        flag = self.flag(key)
        return flag.type if isinstance(flag, Flag) else None

    def flag_is_client_side(self, key: str) -> bool:
        """Whether client-side SDK keys may see the flag; no where it is not there or cannot be read."""
        flag = self.flag(key)
        return isinstance(flag, Flag) and flag.client_side

    def supersedes(self, previous: Snapshot | None) -> bool:
        """Whether a client that uses ``previous`` should use this one: yes when newer, no when the same.

        Raises SnapshotError where it must be refused: it is older, or the same version with another body.
        """
        if previous is None or self.version > previous.version:
            return True
        if self.version < previous.version:
            raise SnapshotError(
                f"snapshot version {self.version} is older than version {previous.version}, which was used; "
                "after a restore from backup, run the server's `manage.py recover`"
            )
        if self.body_sha256 != previous.body_sha256:
            raise SnapshotError(
                f"snapshot version {self.version} has another body than the one in use; a version is signed "
                "once, so ask the operator how there came to be two"
            )
        return False

    def changed_keys(self, previous: Snapshot) -> list[str] | None:
        """The keys of flags whose answers may differ from those of ``previous``, ascending by byte.

        They were added, removed or changed, or need such a flag. None where segments changed, because any
        flag may name them.
        """
        if self._segment_documents != previous._segment_documents:
            return None
        changed = {key for key in {*self._lines, *previous._lines} if self._line(key) != previous._line(key)}
        # An escape may hide the name. Few lines have either, so that few flags are parsed for this.
        needy = [key for key in self._lines if any(mark in self._line(key) for mark in _MAY_NEED)]
        needs = {key: self._needs(key) for key in needy}
        while dependants := {key for key in needs.keys() - changed if not changed.isdisjoint(needs[key])}:
            changed |= dependants
        return sorted(changed)

    def _line(self, key: str) -> bytes:
        """Without its LF; empty where there is none."""
        start = self._lines.get(key)
        return b"" if start is None else self.raw[start : self.raw.index(b"\n", start)]

    def flag(self, key: str) -> Flag | BrokenFlag | None:
        """The flag as read from its line; None where there is no such line."""
        flag = self._flags.get(key)
        if flag is None and key in self._lines:
            flag = self._flags[key] = self._read_flag(key)
        return flag

    def dependant(self, key: str) -> Dependant:
        """A flag that was read, and what it needs. However many flags need one another, each is linked once."""
        linked, fresh = self._dependants, dict[str, Dependant]()
        for group in dependency_order([key], self._needs, done=linked):
            cyclic = on_cycle(group, self._needs)
            for member in group:
                flag = self.flag(member)
                if isinstance(flag, Flag):
                    found = [linked.get(needed) or fresh.get(needed) for needed in self._needs(member)]
                    needs = () if cyclic else tuple(filter(None, found))
                    fresh[member] = Dependant(flag, cyclic, needs)
        # What another thread linked meanwhile stays: its cycle was whole, and may have been cut short here. All at
        # once, so that with a flag everything that it needs is linked.
        linked.update({member: dependant for member, dependant in fresh.items() if member not in linked})
        return linked[key]

    def _needs(self, key: str) -> list[str]:
        flag = self.flag(key)
        return [needed.flag for needed in flag.prerequisites] if isinstance(flag, Flag) else []

    def _read_flag(self, key: str) -> Flag | BrokenFlag:
        document: Any = None
        try:
            line = read_line(self._line(key))
            if type(line) is not list or len(line) != 2 or line[0] != key:
                raise DocumentError("line", "is not [key, flag]")
            document = line[1]
            scope = Scope(strict=False, segment=self._segment)
            return read_flag(key, document, "", scope, snapshot_version=self.version)
        except LineError as error:
            refusal = DocumentError("line", str(error))
        except DocumentError as error:
            refusal = error
        return broken_flag(key, document, refusal, snapshot_version=self.version)

    def _segment(self, name: str, at: str) -> Predicate:
        predicate = self._segments.get(name)
        if predicate is None:
            if name not in self._segment_documents:
                return nobody
            predicate = read_segment(self._segment_documents[name], f"segments.{step(name)}", strict=False)
            self._segments[name] = predicate
        return predicate


def _read_head(raw: bytes, verify: Sequence[str]) -> tuple[str, int, Mapping[str, str]]:
    """The head's text, where the body starts, and the head's fields."""
    text_end = raw.find(b"\n\n", 0, LONGEST_HEAD) + 1
    lines_end = raw.find(b"\n\n", text_end + 1, LONGEST_HEAD) + 1
    if not text_end or not lines_end:
        raise SnapshotError("not a snapshot: it does not begin with a signed note; check the address")
    note_bytes = raw[:lines_end]
    try:
        text = raw[:text_end].decode("utf-8")
    except UnicodeDecodeError:
        raise SnapshotError("not a snapshot: its head is not UTF-8; check the address") from None
    match = _HEAD.fullmatch(text)
    if match is None:
        raise SnapshotError(
            "unknown snapshot format: its head is not the seven lines of countersign-snapshot/v1; "
            "update the SDK, or check the address"
        )
    head = match.groupdict()
    _check_created_and_root(head)
    keys = _snapshot_keys(verify, head["origin"]) if verify else None
    try:
        note = read_note(note_bytes) if keys is None else open_note(note_bytes, keys)
    except NoteError as error:
        raise SnapshotError(f"snapshot's signature is refused: {error}") from None
    if note.text != text:
        raise SnapshotError("unknown snapshot format: there are empty lines among its signatures")
    return text, lines_end + 1, head


def _check_created_and_root(head: Mapping[str, str]) -> None:
    try:
        datetime.strptime(head["created"], "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        raise SnapshotError(f"unknown snapshot format: created {head['created']} is not a time") from None
    if base64.b64encode(base64.b64decode(head["root"])).decode() != head["root"]:
        raise SnapshotError("unknown snapshot format: the ledger's root is not canonical base64")


def _snapshot_keys(verify: Sequence[str], origin: str) -> list[VerifierKey]:
    """The verifier keys that may sign for the origin; SnapshotError where none of the given ones may."""
    try:
        keys = [VerifierKey.parse(vkey) for vkey in verify]
    except NoteError as error:
        raise SnapshotError(f"a key to verify with cannot be used: {error}; copy it again") from None
    matching = [key for key in keys if key.type == ED25519 and key.name == origin + KEY_SUFFIX]
    if not matching:
        names = ", ".join(sorted({key.name for key in keys}))
        raise SnapshotError(
            f"snapshot has origin {shown(origin)}, whose key would be named {shown(origin + KEY_SUFFIX)}; "
            f"the keys to verify with are named {names}"
        )
    return matching


def _index(raw: bytes, start: int) -> tuple[dict[str, Any], dict[str, int]]:
    """The segments' documents, and for each flag's key the start of its line.

    This is most of what loading costs beside the hash of the body, so it makes as little as it can: the end of
    a line is looked for when the line is read.
    """
    end = raw.find(b"\n", start)
    try:
        if end < 0:
            raise LineError("is missing")
        first = read_line(raw[start:end])
    except LineError as error:
        raise SnapshotError(f"snapshot's line of segments {error}") from None
    segments = first.get("segments") if type(first) is dict else None
    if type(segments) is not dict:
        raise SnapshotError('snapshot\'s first line is not {"segments":{…}}')
    if not raw.endswith(b"\n"):
        raise SnapshotError("snapshot's last line is not ended by LF; fetch it again")
    lines: dict[str, int] = {}
    last = b""
    position, size, find, indexed = end + 1, len(raw), raw.find, _INDEXED.match
    while position < size:
        match = indexed(raw, position)
        end = find(b"\n", position)
        if match:
            encoded = match[1]
            key = encoded.decode()
        else:
            key = _key_of(raw[position:end], len(lines) + 2)
            encoded = key.encode()
        if encoded <= last:
            raise SnapshotError(
                f"snapshot's line {len(lines) + 2}: key {shown(key)} is not above the key before it; "
                "ask the operator, for its writer does not keep to the format"
            )
        last = encoded
        lines[key] = position
        position = end + 1
    return segments, lines


def _key_of(line: bytes, number: int) -> str:
    """The key of a line that is not in the form that writers write."""
    try:
        value = read_line(line)
    except LineError as error:
        raise SnapshotError(f"snapshot's line {number} {error}") from None
    if type(value) is not list or not value or type(value[0]) is not str:
        raise SnapshotError(f"snapshot's line {number} is not [key, flag]")
    return value[0]
