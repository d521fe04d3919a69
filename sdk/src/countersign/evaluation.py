"""Evaluation: which variant a context is served, and why (section 2 of the evaluation page)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from countersign.context import Context, findings, text_of
from countersign.flag import BrokenFlag, Flag
from countersign.result import Check, Decider, Result, always

if TYPE_CHECKING:
    from countersign.snapshot import Snapshot

__all__ = ["Result", "evaluate"]


class Dependant(NamedTuple):
    """A flag, whether it is on a cycle of prerequisites, and the flags that it needs, where it is on none."""

    flag: Flag
    cyclic: bool
    needs: tuple[Dependant, ...]


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
    check = snapshot.check(key, expected_type, stale)
    return check.decide(context, region) if check.settled is None else check.settled


def make_check(snapshot: Snapshot, key: str, expected_type: str | None, *, stale: bool) -> Check:
    """All that ``evaluate`` can settle before it sees a context; the arguments are as there."""
    flag = snapshot.flag(key)
    if flag is None:
        message = f"flag {key!r} is not in {snapshot.environment}; check the key, or create the flag"
        return always(_error("FLAG_NOT_FOUND", message, {"snapshot_version": snapshot.version}))
    if isinstance(flag, BrokenFlag):
        return always(flag.error)
    check = _stale_rows(snapshot, flag) if stale else _rows(snapshot, flag)
    return _typed(flag, check, expected_type)


def own_copy(value: Any) -> Any:
    """A copy of a JSON value that its receiver may change."""
    if type(value) is dict:
        return {name: own_copy(member) for name, member in value.items()}
    return [own_copy(item) for item in value] if type(value) is list else value


def _typed(flag: Flag, check: Check, expected_type: str | None) -> Check:
    """The same answers as values of the expected type. Where no variant is served nothing mismatches."""
    if expected_type is not None and expected_type != flag.type:
        if expected_type == "float" and flag.type == "integer":
            return _with_value(check.decide, float)
        message = f"flag {flag.key!r} has type {flag.type}, asked for as {expected_type}; ask for {flag.type}"
        mismatch = _error("TYPE_MISMATCH", message, flag.metadata)

        def refuse(context: Context, region: object) -> Result:
            result = check.decide(context, region)
            return result if result.variant is None else mismatch

        return Check(None, refuse)
    return _with_value(check.decide, own_copy) if flag.type == "object" else check


def _with_value(decide: Decider, of: Callable[[Any], Any]) -> Check:
    def convert(context: Context, region: object) -> Result:
        result = decide(context, region)
        return result if result.variant is None else replace(result, value=of(result.value))

    return Check(None, convert)


def _stale_rows(snapshot: Snapshot, flag: Flag) -> Check:
    if flag.fail_safe == "off":
        return always(flag.off("STALE", "stale"))
    decide = _rows(snapshot, flag).decide
    return Check(None, lambda context, region: replace(decide(context, region), reason="STALE"))


def _rows(snapshot: Snapshot, flag: Flag) -> Check:
    """Rows 1 to 7, with no more steps than the flag has."""
    if flag.shut is not None:
        return always(flag.shut)
    if flag.prerequisites:
        return Check(None, _after_prerequisites(snapshot.dependant(flag.key)))
    if flag.closed_regions:
        alone = Dependant(flag, cyclic=False, needs=())
        return Check(None, lambda context, region: _first_row(alone, context, region, {}))
    return flag.serve


def _after_prerequisites(asked: Dependant) -> Decider:
    def decide(context: Context, region: object) -> Result:
        found = findings(context)
        served = {} if found is None else found.served
        # Dependencies first, each once: neither a long chain nor many paths to one flag cost more than the flags.
        waiting = list(asked.needs)
        while waiting:
            key = waiting[-1].flag.key
            unmet = (
                () if key in served else [need for need in waiting[-1].needs if need.flag.key not in served]
            )
            if unmet:
                waiting.extend(unmet)
            else:
                dependant = waiting.pop()
                if key not in served:
                    served[key] = _first_row(dependant, context, region, served).variant
        return _first_row(asked, context, region, served)

    return decide


def _first_row(
    dependant: Dependant, context: Context, region: object, served: Mapping[str, str | None]
) -> Result:
    """Rows 1 to 7: the first step that decides, decides. ``served``: what the prerequisites serve."""
    flag = dependant.flag
    if flag.shut is not None:
        return flag.shut
    if flag.closed_regions:
        here = context.get("region") if region is None else region
        closed = flag.closed_regions.get(text_of(here))
        if closed is not None:
            return closed
    for prerequisite in flag.prerequisites:
        if dependant.cyclic or served.get(prerequisite.flag) not in prerequisite.variants:
            return prerequisite.unmet
    return flag.serve.decide(context, region)


def _error(code: str, message: str, metadata: Mapping[str, Any]) -> Result:
    return Result(None, None, "ERROR", code, message, MappingProxyType(dict(metadata)))
