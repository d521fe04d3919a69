"""Evaluation: which variant a context is served, and why (section 2 of the evaluation page)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from countersign.context import Context, text_of
from countersign.flag import BrokenFlag, Flag
from countersign.result import Result

if TYPE_CHECKING:
    from countersign.snapshot import Snapshot

__all__ = ["Result", "evaluate"]


def evaluate(
    snapshot: Snapshot,
    key: str,
    context: Context,
    expected_type: str | None = None,
    *,
    region: object = None,
    stale: bool = False,
) -> Result:
    """What a flag answers for a context. Pure: no I/O, clock, randomness, lock or log.

    ``expected_type``: boolean, string, integer, float or object; None takes any. ``region``: the region of
    a client's static context, which the context's own does not override for the flag's regions; None where
    there is none. ``stale``: answer as section 6 says for a snapshot past the client's ``max_staleness``.
    A problem of the flag or the snapshot is a Result with reason ERROR, not an exception.
    """
    flag = snapshot.flag(key)
    if flag is None:
        message = f"flag {key!r} is not in {snapshot.environment}; check the key, or create the flag"
        return _error("FLAG_NOT_FOUND", message, {"snapshot_version": snapshot.version})
    if isinstance(flag, BrokenFlag):
        return flag.error
    result = flag.stale_off if stale and flag.fail_safe == "off" else _decide(snapshot, flag, context, region)
    if stale and result.reason != "STALE":
        result = replace(result, reason="STALE")
    kind = flag.type
    if result.variant is None or (kind != "object" and (expected_type is None or expected_type == kind)):
        return result
    if expected_type == "float" and kind == "integer":
        return replace(result, value=float(result.value))
    if expected_type is None or expected_type == kind:
        return replace(result, value=own_copy(result.value))
    message = f"flag {key!r} has type {kind}, asked for as {expected_type}; ask for {kind}"
    return _error("TYPE_MISMATCH", message, flag.metadata)


def own_copy(value: Any) -> Any:
    """A copy of a JSON value that its receiver may change."""
    if type(value) is dict:
        return {name: own_copy(member) for name, member in value.items()}
    return [own_copy(item) for item in value] if type(value) is list else value


def _decide(snapshot: Snapshot, flag: Flag, context: Context, region: object) -> Result:
    if not flag.prerequisites or flag.shut is not None:
        return _first_row(flag, context, region, {}, cyclic=False)
    # Dependencies first, each once: neither a long chain nor many paths to one flag cost more than the flags.
    served: dict[str, str | None] = {}
    result = flag.prerequisite_off
    for step, cyclic in snapshot.prerequisite_order(flag.key):
        result = _first_row(step, context, region, served, cyclic=cyclic)
        served[step.key] = result.variant
    return result


def _first_row(
    flag: Flag, context: Context, region: object, served: Mapping[str, str | None], *, cyclic: bool
) -> Result:
    """Rows 1 to 7: the first step that decides, decides.

    ``served``: what the prerequisites serve. ``cyclic``: the flag is on a cycle of prerequisites.
    """
    if flag.shut is not None:
        return flag.shut
    if flag.closed_regions:
        here = context.get("region") if region is None else region
        if text_of(here) in flag.closed_regions:
            return flag.region_off
    if cyclic:
        return flag.prerequisite_off
    for prerequisite in flag.prerequisites:
        if served.get(prerequisite.flag) not in prerequisite.variants:
            return flag.prerequisite_off
    if flag.targets:
        key = text_of(context.get("targetingKey"))
        if key is not None:
            target = flag.targets.get(key)
            if target is not None:
                return target
    for rule in flag.rules:
        result = rule(context)
        if result is not None:
            return result
    return flag.default(context)


def _error(code: str, message: str, metadata: Mapping[str, Any]) -> Result:
    return Result(None, None, "ERROR", code, message, MappingProxyType(dict(metadata)))
