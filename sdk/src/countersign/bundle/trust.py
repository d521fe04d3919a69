"""The auditor's trust file: what a verification rests on. It never comes from the bundle (section 9)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from countersign.bundle.checkpoint import RESERVED_ORIGIN
from countersign.bundle.encoding import is_integer, read_digest, read_hash, read_json, read_object
from countersign.bundle.refusal import RuleError
from countersign.notes import COSIGNATURE, ED25519, NoteError, VerifierKey

_MAX_FILE = 2**24
_LOG = frozenset({"origin", "log"})
_LOG_OPTIONAL = frozenset({"seen", "review_from"})
_POLICY = frozenset(
    {
        "witnesses",
        "witness_threshold",
        "rp_ids",
        "origins",
        "roots",
        "review_required",
        "min_approvals",
        "accept_log_vouched",
        "max_emergency",
        "max_withheld",
    }
)
_PREFIX = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(?:/|\Z))+")


class TrustError(ValueError):
    """The trust file cannot be used. The text says why, in one line."""


@dataclass(frozen=True)
class Seen:
    """The checkpoint that the auditor kept last time."""

    size: int
    root: bytes


@dataclass(frozen=True)
class TrustedLog:
    """A log by its origin, with all keys it ever had."""

    origin: str
    keys: tuple[VerifierKey, ...]
    seen: Seen | None = None
    review_from: int = 0
    """Index of the first entry for which ``review_required`` holds."""


@dataclass(frozen=True)
class Trust:
    """What the auditor trusts and asks for.

    ``min_approvals`` is never under 1; ``max_emergency`` None means any number. ``rp_ids``, ``origins``
    and ``roots`` concern personal signatures.
    """

    logs: tuple[TrustedLog, ...]
    witnesses: tuple[VerifierKey, ...] = ()
    witness_threshold: int = 0
    rp_ids: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    roots: tuple[bytes, ...] = ()
    review_required: tuple[str, ...] = ()
    min_approvals: int = 1
    accept_log_vouched: bool = False
    max_emergency: int | None = None
    max_withheld: int = 0
    _prefixes: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Prefixes match whole segments: each ends where a segment does.
        prefixes = tuple(prefix and prefix.rstrip("/") + "/" for prefix in self.review_required)
        object.__setattr__(self, "_prefixes", prefixes)

    @classmethod
    def load(cls, path: str | Path) -> Trust:
        """Read a trust file. Raises TrustError when it cannot be read or used."""
        try:
            with Path(path).open("rb") as file:  # may be a pipe, and a device without end
                raw = file.read(_MAX_FILE + 1)
        except OSError as error:
            raise TrustError(f"{path}: {error.strerror or 'cannot be read'}") from None
        if len(raw) > _MAX_FILE:
            raise TrustError(f"{path}: is longer than {_MAX_FILE} bytes")
        return cls.parse(raw)

    @classmethod
    def parse(cls, raw: bytes) -> Trust:
        """Read the JSON of a trust file. Raises TrustError; a member not known here is an error too,
        for a demand with a misspelt name would otherwise never be made."""
        try:
            return _read_trust(read_json(raw))
        except (RuleError, NoteError) as error:
            raise TrustError(f"trust file: {error}") from None

    def log(self, origin: str) -> TrustedLog | None:
        """The trusted log of this origin."""
        return next((log for log in self.logs if log.origin == origin), None)

    def needs_review(self, subject: str) -> bool:
        """Whether ``review_required`` names this subject. Prefixes match whole segments."""
        return f"{subject}/".startswith(self._prefixes)


def _read_trust(value: object) -> Trust:
    if isinstance(value, dict) and "logs" in value:
        trust = read_object(value, "it", frozenset({"logs"}), _POLICY)
        logs = tuple(_read_log(log) for log in _list(trust, "logs"))
    else:
        trust = read_object(value, "it", _LOG, _LOG_OPTIONAL | _POLICY)
        logs = (_read_log({name: trust[name] for name in trust if name not in _POLICY}),)
    if not logs or len({log.origin for log in logs}) != len(logs):
        raise RuleError("it names no log, or one twice")
    accept = trust.get("accept_log_vouched", False)
    if not isinstance(accept, bool):
        raise RuleError("'accept_log_vouched' is neither true nor false")
    prefixes = _texts(trust, "review_required")
    for prefix in prefixes:
        if prefix and not _PREFIX.fullmatch(prefix):
            raise RuleError(f"'review_required' has an invalid prefix: {prefix!r}")
    return Trust(
        logs=logs,
        witnesses=tuple(_read_key(vkey, COSIGNATURE) for vkey in _texts(trust, "witnesses")),
        witness_threshold=_number(trust, "witness_threshold", 0),
        rp_ids=_texts(trust, "rp_ids"),
        origins=_texts(trust, "origins"),
        roots=tuple(read_digest(root, "a root") for root in _texts(trust, "roots")),
        review_required=prefixes,
        min_approvals=max(1, _number(trust, "min_approvals", 1)),
        accept_log_vouched=accept,
        max_emergency=_number(trust, "max_emergency", 0) if "max_emergency" in trust else None,
        max_withheld=_number(trust, "max_withheld", 0),
    )


def _read_log(value: object) -> TrustedLog:
    log = read_object(value, "a log", _LOG, _LOG_OPTIONAL)
    origin = log["origin"]
    if not isinstance(origin, str) or not origin or origin.startswith(RESERVED_ORIGIN):
        raise RuleError("'origin' is not a text that can name a log")
    keys = tuple(_read_key(vkey, ED25519) for vkey in _texts(log, "log"))
    if not keys:
        raise RuleError(f"log {origin!r} has no key")
    for key in keys:
        if key.name != origin:
            raise RuleError(f"a key of log {origin!r} has another name: {key.name!r}")
    seen = None
    if "seen" in log:
        head = read_object(log["seen"], "'seen'", frozenset({"size", "root"}), frozenset())
        seen = Seen(_number(head, "size", 0), read_hash(head["root"], "the root of 'seen'"))
    return TrustedLog(origin, keys, seen, _number(log, "review_from", 0))


def _read_key(vkey: str, key_type: int) -> VerifierKey:
    key = VerifierKey.parse(vkey)
    if key.type != key_type:
        raise RuleError(f"key of {key.name!r} is not of the type that belongs there")
    return key


def _list(members: dict[str, object], name: str) -> list[object]:
    value = members.get(name, [])
    if not isinstance(value, list):
        raise RuleError(f"{name!r} is not a list")
    return value


def _texts(members: dict[str, object], name: str) -> tuple[str, ...]:
    texts: list[str] = []
    for value in _list(members, name):
        if not isinstance(value, str):
            raise RuleError(f"{name!r} is not a list of texts")
        texts.append(value)
    return tuple(texts)


def _number(members: dict[str, object], name: str, default: int) -> int:
    value = members.get(name, default)
    if not is_integer(value):
        raise RuleError(f"{name!r} is not an integer >= 0")
    return value
