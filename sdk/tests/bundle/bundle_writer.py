"""A small exporter of its own: it signs and hashes with its own code, so that tests check two readings."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countersign.bundle import Trust

ORIGIN = "flags.example.com/ledger"
CONFIGURATION = "project/shop/environment/production/flag/banner"
OFF = {"enabled": False}
ON = {"enabled": True}
HALF = {"enabled": True, "split": 50000}


def jcs(value: Any) -> bytes:
    """RFC 8785 for the ASCII names and integers that these tests use."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def digest(value: Any) -> str:
    return "sha256:" + hashlib.sha256(jcs(value)).hexdigest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def stand_in(value: Any) -> dict[str, Any]:
    return {"blob": digest(value), "size": len(jcs(value))}


def salted(name: str, value: str) -> tuple[str, str]:
    """A salt and the digest that stands for the value."""
    salt = b64u(hashlib.sha256(name.encode()).digest()[:16])
    return salt, b64u(hashlib.sha256(jcs([salt, name, value])).digest())


class Key:
    """A signer of notes: a log (type 1) or a witness (type 4)."""

    def __init__(self, name: str, seed: int, kind: int = 1) -> None:
        self.name, self.kind = name, kind
        self.private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = bytes([kind]) + self.private.public_key().public_bytes_raw()
        self.id = hashlib.sha256(name.encode() + b"\n" + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64(self.public)}"

    def line(self, text: str, seconds: int = 1_767_700_054) -> str:
        if self.kind == 4:
            message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
            signature = seconds.to_bytes(8, "big") + self.private.sign(message)
        else:
            signature = self.private.sign(text.encode())
        return f"— {self.name} {b64(self.id + signature)}\n"


def note(text: str, *keys: Key) -> str:
    return text + "\n" + "".join(key.line(text) for key in keys)


def mth(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, by its definition, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def consistency_proof(m: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962 section 2.1.2: SUBPROOF(m, D[n], b), by its definition."""
    n = len(leaves)
    if m == n:
        return [] if whole else [mth(leaves)]
    k = 1 << ((n - 1).bit_length() - 1)
    if m <= k:
        return [*consistency_proof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*consistency_proof(m - k, leaves[k:], False), mth(leaves[:k])]


def audit_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1: PATH(m, D[n]), by its definition."""
    n = len(leaves)
    if n == 1:
        return []
    k = 1 << ((n - 1).bit_length() - 1)
    if index < k:
        return [*audit_path(index, leaves[:k]), mth(leaves[k:])]
    return [*audit_path(index - k, leaves[k:]), mth(leaves[:k])]


def perfect_subtrees(leaves: Sequence[bytes]) -> list[bytes]:
    hashes, start = [], 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            hashes.append(mth(leaves[start : start + (1 << bit)]))
            start += 1 << bit
    return hashes


class Ledger:
    """A log that grows by events, valid unless told otherwise."""

    def __init__(self, origin: str = ORIGIN, seed: int = 7, *, created: bool = True, **data: Any) -> None:
        self.origin, self.key = origin, Key(origin, seed)
        self.lines: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        if created:
            self.event("ledger.v1.created", {"origin": origin, "log_key": self.key.vkey, **data})

    @property
    def size(self) -> int:
        return len(self.lines)

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]

    def time(self, index: int) -> str:
        return f"2026-01-05T{9 + index // 3600:02d}:{index // 60 % 60:02d}:{index % 60:02d}.000000Z"

    def event(self, kind: str, data: Any, subject: str | None = None, /, **members: Any) -> dict[str, Any]:
        """Append an event; ``members`` override what it would have, None leaves a member out."""
        index = len(self.lines)
        fields = {
            "specversion": "1.0",
            "id": str(
                uuid.UUID(bytes=hashlib.sha256(f"{self.origin}{index}".encode()).digest()[:16], version=4)
            ),
            "source": self.origin,
            "type": kind,
            "sequence": f"{index:016d}",
            "time": self.time(index),
            "datacontenttype": "application/json",
            "subject": subject,
            "data": data,
            **members,
        }
        event = {name: value for name, value in fields.items() if value is not None}
        self.raw(jcs(event))
        self.events.append(event)
        return event

    def raw(self, line: bytes) -> None:
        self.lines.append(line)

    def document(
        self,
        before: Any,
        after: Any,
        subject: str | None = CONFIGURATION,
        *,
        actor: str = "user:a",
        **data: Any,
    ) -> dict[str, Any]:
        kind = data.pop("kind", "flags.v1.configuration.updated")
        everything = {"actor": {"id": actor, "via": "ui"}, "before": before, "after": after, **data}
        return self.event(
            kind, {name: value for name, value in everything.items() if value is not ...}, subject
        )

    def review(self, verb: str, actor: str, change: Mapping[str, Any], **data: Any) -> dict[str, Any]:
        body = {
            "actor": {"id": actor, "via": "ui"},
            "change_id": change["id"],
            "digest": digest(change),
            **data,
        }
        return self.event(f"approvals.v1.change_request.{verb}", body, f"change/{change['id']}")

    def propose(self, change: Mapping[str, Any], actor: str = "user:a", **data: Any) -> dict[str, Any]:
        body = {"actor": {"id": actor, "via": "ui"}, "change": change, **data}
        return self.event("approvals.v1.change_request.proposed", body, f"change/{change['id']}")

    def agree(self, change: Mapping[str, Any], *approvers: str) -> None:
        """Propose and have it approved."""
        self.propose(change)
        for approver in approvers:
            self.review("approved", approver, change)

    def carry_out(
        self, change: Mapping[str, Any], n: int = 0, before: Any = ..., /, **data: Any
    ) -> dict[str, Any]:
        operations = data.pop("operations", change["operations"])
        operation = operations[n] if n < len(operations) else operations[0]
        reference = {"id": change["id"], "digest": digest(change), "operation": n}
        start = operation.get("before") if before is ... else before
        return self.document(
            start,
            data.pop("after", operation["after"]),
            data.pop("subject", operation["subject"]),
            kind=data.pop("kind", operation["type"]),
            actor="service:applier",
            change_request={**reference, **data.pop("reference", {})},
            **data,
        )

    def kill(
        self, before: Any = ON, after: Any = ..., subject: str = CONFIGURATION, **data: Any
    ) -> dict[str, Any]:
        killed = {**before, "killed": True} if after is ... else after
        return self.document(before, killed, subject, kind="flags.v1.configuration.killed", **data)

    def review_kill(self, kill: Mapping[str, Any], actor: str = "user:b", **data: Any) -> dict[str, Any]:
        body = {
            "actor": {"id": actor, "via": "ui"},
            "event": kill["id"],
            "digest": digest(kill["data"]),
            **data,
        }
        return self.event("approvals.v1.emergency.reviewed", body)

    def leaves(self, size: int | None = None) -> list[bytes]:
        return [hashlib.sha256(b"\x00" + line).digest() for line in self.lines[:size]]

    def head(self, size: int | None = None) -> dict[str, Any]:
        size = self.size if size is None else size
        return {"size": size, "root": b64(mth(self.leaves(size)))}

    def proof(self, index: int, *keys: Key, extra: str = "") -> str:
        """A c2sp.org/tlog-proof of the entry, under the checkpoint of the whole log."""
        path = "".join(b64(value) + "\n" for value in audit_path(index, self.leaves()))
        return f"c2sp.org/tlog-proof@v1\n{extra}index {index}\n{path}\n{self.checkpoint(None, *keys)}"

    def checkpoint(self, size: int | None = None, *keys: Key) -> str:
        head = self.head(size)
        return note(f"{self.origin}\n{head['size']}\n{head['root']}\n", self.key, *keys)


def operation(before: Any = None, after: Any = ON, **members: Any) -> dict[str, Any]:
    fields = {
        "subject": CONFIGURATION,
        "type": "flags.v1.configuration.updated",
        "before": before,
        "after": after,
        **members,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def change(change_id: str = "CR-1", *operations: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    fields = {
        "id": change_id,
        "title": "Banner on",
        "rationale": "",
        "ticket": "PAY-1",
        "required_approvals": 1,
        "base": {CONFIGURATION: 0},
        "operations": list(operations) or [operation()],
        **members,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def write(
    directory: Path,
    ledger: Ledger,
    *,
    first: int = 0,
    size: int | None = None,
    previous: int | None = None,
    withheld: Iterable[int] = (),
    disclosures: Iterable[Mapping[str, Any]] | None = None,
    blobs: Iterable[Any] = (),
    extra: Mapping[str, bytes] | None = None,
    witnesses: Sequence[Key] = (),
) -> Path:
    """Write a bundle of the ledger's entries [first, size)."""
    size = ledger.size if size is None else size
    directory.mkdir(parents=True)
    leaves = ledger.leaves()
    hidden = set(withheld)
    lines = [
        jcs({"leaf_hash": b64(leaves[index]), "reason": "filtered"})
        if index in hidden
        else ledger.lines[index]
        for index in range(first, size)
    ]
    files = {
        "checkpoint": ledger.checkpoint(size, *witnesses).encode(),
        "entries.ndjson": b"".join(line + b"\n" for line in lines),
        **(extra or {}),
    }
    if first:
        files["prefix"] = _hash_lines(perfect_subtrees(leaves[:first]))
    if previous is not None:
        files["previous.checkpoint"] = ledger.checkpoint(previous).encode()
        files["consistency"] = _hash_lines(consistency_proof(previous, leaves[:size]))
    if disclosures is not None:
        files["disclosures.ndjson"] = b"".join(jcs(line) + b"\n" for line in disclosures)
    for blob in blobs:
        files["extra/blobs/" + digest(blob)[7:]] = jcs(blob)
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    members = {"size": size, "first": first, "withheld": len(hidden)}
    if previous is not None:
        members["previous"] = previous
    return seal(directory, ledger.key, ledger.origin, **members)


def seal(directory: Path, key: Key, origin: str = ORIGIN, /, **members: Any) -> Path:
    """Write the manifest over the files that are there, signed by ``key``, as a hostile exporter can."""
    lines = ["ledger-bundle/v1", f"origin {origin}"]
    lines += [f"{name} {value}" for name, value in members.items()]
    lines.append("created 2026-01-06T00:00:00.000000Z")
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    for name in names:
        if name != "manifest":
            data = (directory / name).read_bytes()
            lines.append(f"file {hashlib.sha256(data).hexdigest()} {len(data)} {name}")
    (directory / "manifest").write_text(note("\n".join(lines) + "\n", key), encoding="utf-8")
    return directory


def _hash_lines(hashes: Iterable[bytes]) -> bytes:
    return "".join(b64(value) + "\n" for value in hashes).encode()


def trust(*ledgers: Ledger, seen: Mapping[str, Any] | None = None, **members: Any) -> Trust:
    """A trust file that knows the ledgers' keys and accepts unsigned reviews."""
    logs: list[dict[str, Any]] = [{"origin": ledger.origin, "log": [ledger.key.vkey]} for ledger in ledgers]
    if seen is not None:
        logs[0]["seen"] = dict(seen)
    known: Mapping[str, Any] = logs[0] if len(logs) == 1 else {"logs": logs}
    return Trust.parse(json.dumps({**known, "accept_log_vouched": True, **members}).encode())
