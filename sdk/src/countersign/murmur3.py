"""MurmurHash3 x86 32 bit, unsigned: from `mmh3` where it is installed, else the same in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

_MASK = 0xFFFFFFFF


def murmur3_plain(data: bytes, seed: int) -> int:
    """MurmurHash3_x86_32 of the bytes, 0 to 2^32-1 (Austin Appleby's public-domain definition)."""
    state = seed & _MASK
    whole = len(data) & ~3
    for position in range(0, whole, 4):
        state ^= _scramble(int.from_bytes(data[position : position + 4], "little"))
        state = (state << 13 | state >> 19) & _MASK
        state = (state * 5 + 0xE6546B64) & _MASK
    if whole < len(data):
        state ^= _scramble(int.from_bytes(data[whole:], "little"))
    state ^= len(data) & _MASK
    state = ((state ^ state >> 16) * 0x85EBCA6B) & _MASK
    state = ((state ^ state >> 13) * 0xC2B2AE35) & _MASK
    return state ^ state >> 16


def _scramble(block: int) -> int:
    block = (block * 0xCC9E2D51) & _MASK
    block = (block << 15 | block >> 17) & _MASK
    return (block * 0x1B873593) & _MASK


murmur3: Callable[[bytes, int, bool], int]
"""MurmurHash3_x86_32 of the bytes for a seed, 0 to 2^32-1; the last argument is mmh3's ``signed``, False here."""

_remembered = lru_cache(maxsize=1_024)(murmur3_plain)
_LONGEST_REMEMBERED = 256
"""Bytes: what is remembered has a bound in bytes too, whatever the contexts hold."""


def _murmur3_remembering(data: bytes, seed: int, signed: bool) -> int:
    """In plain Python a hash of 20 bytes takes 1,700 ns and to remember it 90, so one unit is hashed once a seed."""
    return (_remembered if len(data) <= _LONGEST_REMEMBERED else murmur3_plain)(data, seed)


try:
    # The C function itself, nothing of ours in between; it takes less time than to remember its answers would.
    # Half the time of `mmh3_32_uintdigest`. Never given a text, though it takes one: a lone surrogate crashes it.
    from mmh3 import hash as murmur3
except ImportError:
    murmur3 = _murmur3_remembering
