"""Versions as the `semver_*` operators read them: Semantic Versioning 2.0 precedence, missing parts are 0."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

LONGEST = 256
_NUMBER = r"(0|[1-9][0-9]*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"v?{_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER})?)?"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


class Version(NamedTuple):
    """A version whose tuple order is its precedence; build metadata does not take part."""

    major: int
    minor: int
    patch: int
    released: bool  # a prerelease precedes its release
    prerelease: tuple[tuple[bool, int, str], ...]  # (is a word, number, word): numbers precede words


def read_version(text: str) -> Version | None:
    """Reads ``v?N[.N[.N]][-pre][+build]`` of at most 256 ASCII characters, or answers None."""
    return _read_version(text) if len(text) <= LONGEST else None


# A service sees few versions and many checks: to remember one takes 100 ns, to read it 3,000. Bounded by the
# number and the length of what a context may hold.
@lru_cache(maxsize=1_024)
def _read_version(text: str) -> Version | None:
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups()
    identifiers = prerelease.split(".") if prerelease else []
    return Version(
        int(major),
        int(minor or 0),
        int(patch or 0),
        not identifiers,
        tuple((False, int(word), "") if word.isdigit() else (True, 0, word) for word in identifiers),
    )
