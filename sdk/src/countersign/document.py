"""What a writer may put into a snapshot: whole documents, checked as the evaluation page's section 5 says."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

import rfc8785

from countersign.constraints import Scope
from countersign.context import Predicate
from countersign.flag import Flag, read_flag
from countersign.jsonline import DEEPEST, LONGEST_LINE, check_json
from countersign.members import KEY_HINT, KEY_PATTERN, DocumentError, shown, step
from countersign.prerequisites import dependency_order, on_cycle
from countersign.segments import nobody, read_segment

__all__ = [
    "KEY_PATTERN",
    "LONGEST_CHAIN",
    "DocumentError",
    "validate_environment",
    "validate_flag",
    "validate_segment",
]

LONGEST_CHAIN = 16
"""Prerequisites in a row: a flag may need one that needs one …, sixteen times."""


def validate_flag(key: str, flag: object, *, segments: Container[str]) -> None:
    """Refuses a flag document that a writer may not publish, with a DocumentError naming the member.

    ``segments``: the names of the environment's segments. Prerequisites lead to other flags, so they are
    ``validate_environment``'s to check.
    """
    _checked_flag(key, flag, segments, "")


def validate_segment(name: str, segment: object) -> None:
    """Refuses a segment document that a writer may not publish, with a DocumentError naming the member."""
    _check_segment(name, segment, "")


def validate_environment(flags: Mapping[str, object], segments: Mapping[str, object]) -> None:
    """Refuses an environment that a writer may not publish: segments, flags and where their names lead.

    Raises DocumentError whose member begins with ``flags.<key>`` or ``segments.<name>``: also for a
    prerequisite on a flag or variant that does not exist, a cycle of them, or a chain of more than 16.
    """
    for name, segment in segments.items():
        _check_segment(name, segment, f"segments.{step(name)}")
    _check_length({"segments": dict(segments)}, "segments")
    checked = {key: _checked_flag(key, flag, segments, f"flags.{step(key)}") for key, flag in flags.items()}
    for flag in checked.values():
        _check_prerequisites_exist(flag, checked)
    _check_chains(checked)


def _checked_flag(key: str, flag: object, segments: Container[str], at: str) -> Flag:
    def segment(name: str, here: str) -> Predicate:
        if name not in segments:
            raise DocumentError(here, f"there is no segment {shown(name)}; create it first, or name another")
        return nobody

    check_json(flag, at, DEEPEST - 1, root="flag")  # the line's own array is the first level
    checked = read_flag(key, flag, at, Scope(strict=True, segment=segment))
    _check_length([key, flag], at or "flag")
    return checked


def _check_segment(name: str, segment: object, at: str) -> None:
    if KEY_PATTERN.match(name) is None:
        raise DocumentError(at or "name", f"{shown(name)} is not a key; {KEY_HINT}")
    check_json(segment, at, DEEPEST - 2, root="segment")  # inside {"segments":{…}}
    read_segment(segment, at, strict=True)
    _check_length({"segments": {name: segment}}, at or "segment")


def _check_length(line: object, at: str) -> None:
    length = len(rfc8785.dumps(line))  # type: ignore[arg-type]  # check_json has made sure
    if length > LONGEST_LINE:
        reason = f"takes {length} bytes in a snapshot, more than {LONGEST_LINE}; list fewer keys"
        raise DocumentError(at, reason)


def _check_prerequisites_exist(flag: Flag, flags: Mapping[str, Flag]) -> None:
    for position, prerequisite in enumerate(flag.prerequisites):
        at = f"flags.{flag.key}.prerequisites[{position}]"
        needed = flags.get(prerequisite.flag)
        if needed is None:
            raise DocumentError(f"{at}.flag", f"there is no flag {shown(prerequisite.flag)}; create it first")
        unknown = prerequisite.variants - needed.variants
        if unknown:
            raise DocumentError(f"{at}.variants", f"{shown(min(unknown))} is no variant of {needed.key!r}")


def _check_chains(flags: Mapping[str, Flag]) -> None:
    def needs(key: str) -> Iterable[str]:
        return [prerequisite.flag for prerequisite in flags[key].prerequisites]

    length: dict[str, int] = {}
    for group in dependency_order(flags, needs):
        key = min(group)
        at = f"flags.{key}.prerequisites"
        if on_cycle(group, needs):
            raise DocumentError(at, f"are a cycle of {', '.join(sorted(group))}; remove one of them")
        length[key] = max((length[needed] + 1 for needed in needs(key)), default=0)
        if length[key] > LONGEST_CHAIN:
            raise DocumentError(at, f"are a chain of {length[key]}, more than {LONGEST_CHAIN}; shorten it")
