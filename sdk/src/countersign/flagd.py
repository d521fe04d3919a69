"""flagd flag definitions from a snapshot: what flagd can say exactly, and a list of what is left out and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from countersign.jsonline import read_line
from countersign.jsonlogic import (
    Logic,
    UnsayableError,
    condition_of,
    every,
    is_listed,
    is_text,
    makes_text,
    negation,
    some,
    variable,
)
from countersign.members import integer, shown
from countersign.snapshot import Snapshot

__all__ = ["HASHES", "SCHEMA", "Export", "export"]

HASHES = ("murmur3", "murmur3-cbor")
"""The hashes of flagd clients: Go, JavaScript and Python's provider 0.5; and Python's provider 0.6."""

SCHEMA = "https://flagd.dev/schema/v0/flags.json"


LARGEST = 2**20
"""Characters of one flag's definition, as of a line of the snapshot: segments are written out in each flag."""


@dataclass(frozen=True)
class Export:
    """A flagd document, as bytes (JSON in ASCII), and what it leaves out: for each flag's key, why."""

    document: bytes
    left_out: Mapping[str, str]


def export(snapshot: Snapshot, hash: str = "murmur3") -> Export:
    """The snapshot's flags as flagd flag definitions for clients with the given hash, one of HASHES.

    A flag is in the document only if every such client decides for every context as this SDK does. The
    document's metadata tells the environment, the snapshot's version, the hash and what was left out.
    Raises ValueError for another hash.
    """
    if hash not in HASHES:
        raise ValueError(f"hash: {shown(hash)} is none of flagd's; take {' or '.join(HASHES)}")
    members: list[str] = []
    left_out: dict[str, str] = {}
    segments_line, *lines = snapshot.body.removesuffix(b"\n").split(b"\n")
    segments = read_line(segments_line)["segments"]
    for key, line in zip(snapshot.keys(), lines, strict=True):
        unreadable = snapshot.evaluate(key, {}).error_message
        if unreadable is not None:
            left_out[key] = unreadable
            continue
        try:
            member = (
                f"{_json(key)}:{_json(_Definition(key, read_line(line)[1], segments, hash).definition())}"
            )
            if len(member) > LARGEST:
                raise UnsayableError(
                    "rules", "with its segments written out it takes more than 1 MiB; list fewer keys in them"
                )
            members.append(member)
        except UnsayableError as error:
            left_out[key] = str(error)
    document = {
        "$schema": SCHEMA,
        # Clients take strings, numbers and booleans here, nothing nested, so the list is JSON in a string.
        "metadata": {
            "environment": snapshot.environment,
            "snapshot_version": snapshot.version,
            "hash": hash,
            "left_out_count": len(left_out),
            "left_out": _json(left_out),
        },
    }
    # The definitions are written already: an environment may have many, each of which may be large.
    head = _json(document).removesuffix("}")
    return Export(f'{head},"flags":{{{",".join(members)}}}}}\n'.encode("ascii"), left_out)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class _Definition:
    """One flag on its way into flagd's form. Its document is one that the evaluator has read."""

    def __init__(self, key: str, document: dict[str, Any], segments: Mapping[str, Any], hash: str) -> None:
        self._key = key
        self._document = document
        self._segments = segments
        self._hash = hash

    def definition(self) -> dict[str, Any]:
        """The member of flagd's `flags`. Raises UnsayableError."""
        document = self._document
        served, targeting = document.get("off"), None
        if document["enabled"] and not document.get("killed", False):
            served, targeting = self._served()
        metadata = {"flag_version": integer(document["version"])}
        if document.get("change") is not None:
            metadata["change"] = document["change"]
        return {
            "state": "ENABLED",
            "variants": {
                name: _value(value, document["type"]) for name, value in document["variants"].items()
            },
            "defaultVariant": served,
            **({} if targeting is None else {"targeting": targeting}),
            "metadata": metadata,
        }

    def _served(self) -> tuple[str | None, Logic | None]:
        """The default variant, and the targeting where there is any (rows 2 to 7 of the evaluation page)."""
        document, off = self._document, self._document.get("off")
        if document.get("prerequisites"):
            raise UnsayableError("prerequisites", "flagd cannot ask what another flag serves")
        steps = [
            *(
                {"if": [is_listed({"var": "targetingKey"}, listed), variant, None]}
                for variant, listed in self._targets()
            ),
            *(
                self._rule(rule, f"rules[{position}]")
                for position, rule in enumerate(document.get("rules", []))
            ),
        ]
        closed = [name for name, is_open in document.get("regions", {}).items() if not is_open]
        default = document["default"]
        if not steps and not closed and "variant" in default:
            return default["variant"], None
        last = self._serve(default, "default", [])
        targeting = _first([*steps, last], off, always="variant" in default)
        if closed:
            targeting = {"if": [is_listed({"var": "region"}, closed), None, targeting]}
        return off, targeting

    def _targets(self) -> list[tuple[str, list[str]]]:
        listed = self._document.get("targets", {})
        return [(variant, kept) for variant, keys in listed.items() if (kept := [key for key in keys if key])]

    def _rule(self, rule: Mapping[str, Any], at: str) -> Logic:
        constraints = rule.get("constraints", [])
        condition = self._all(constraints, f"{at}.constraints")
        serve = self._serve(rule["serve"], f"{at}.serve", constraints)
        return serve if condition is True else {"if": [condition, serve, None]}

    def _all(self, constraints: list[Mapping[str, Any]], at: str) -> Logic:
        return every(
            condition_of(each, f"{at}[{position}]", self._segment)
            for position, each in enumerate(constraints)
        )

    def _segment(self, name: str) -> Logic:
        """The condition of being in a segment; one that is not in the snapshot matches nobody."""
        segment = self._segments.get(name)
        if segment is None:
            return False
        key = {"var": "targetingKey"}
        included, excluded = (
            is_listed(key, [each for each in segment.get(member, []) if each])
            for member in ("included", "excluded")
        )
        rules = some(
            self._all(rule, f"segments.{name}.rules[{position}]")
            for position, rule in enumerate(segment.get("rules", []))
        )
        return some([included, every([negation(excluded), rules])])

    def _serve(self, serve: Mapping[str, Any], at: str, constraints: list[Mapping[str, Any]]) -> Logic:
        """A variant's name, or a split that answers null where it yields nothing."""
        if "variant" in serve:
            return serve["variant"]
        split = serve["split"]
        by, seed = split.get("by", "targetingKey"), split.get("seed", self._key)
        name = split.get("hash", "murmur3")
        if name != self._hash:
            reason = f"flagd clients of this document hash with {self._hash}, this split with {name}"
            if name in HASHES:
                reason += "; ask for a document with that hash where the clients have it"
            raise UnsayableError(f"{at}.split.hash", reason)
        if by != "targetingKey" and not any(makes_text(each, by) for each in constraints):
            raise UnsayableError(
                f"{at}.split.by", f"{shown(by)} may be a number, which flagd clients spell differently"
            )
        if not seed.isascii() or seed != seed.lstrip():
            raise UnsayableError(
                f"{at}.split.seed",
                f"{shown(seed)} is not ASCII or begins blank, which flagd clients hash differently",
            )
        value = variable(by, f"{at}.split.by")
        slices = [[variant, integer(weight)] for variant, weight in split["weights"]]
        dealt = {"fractional": [{"cat": [f"{seed}.", value]}, *slices]}
        return {"if": [every([is_text(value), {"!==": [value, ""]}]), dealt, None]}


def _first(steps: list[Logic], off: str | None, *, always: bool) -> Logic:
    """The first variant that a step answers, else null. ``always``: the last step answers one.

    Go's `or` answers false, not null, where no step answers.
    """
    if len(steps) == 1:
        return steps[0]
    if always:
        return {"or": steps}
    if off is not None:
        return {"or": [*steps, off]}
    return {"if": [{"or": steps}, {"or": steps}, None]}


def _value(value: Any, kind: str) -> Any:
    """A variant's value as clients in typed languages tell it: integers without a decimal point, floats with."""
    if kind == "integer":
        return integer(value)
    return float(value) + 0.0 if kind == "float" else value
