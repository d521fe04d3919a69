"""Proofs: what RFC 6962 defines, for every two sizes, and accepted by the verifier that shares no code."""

from __future__ import annotations

import hashlib
from functools import cache

from audit import tree
from countersign.bundle.tree import check_consistency

LARGEST = 256
LEAVES = [tree.leaf_hash(str(number).encode()) for number in range(LARGEST)]


@cache
def mth(start: int, end: int) -> bytes:
    """MTH of RFC 6962 section 2.1 over some of the leaves, as it is written there."""
    if end - start == 1:
        return LEAVES[start]
    middle = start + largest_power_below(end - start)
    return hashlib.sha256(b"\x01" + mth(start, middle) + mth(middle, end)).digest()


def largest_power_below(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def path(index: int, start: int, end: int) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if end - start == 1:
        return []
    middle = start + largest_power_below(end - start)
    if index < middle:
        return [*path(index, start, middle), mth(middle, end)]
    return [*path(index, middle, end), mth(start, middle)]


def subproof(old: int, start: int, end: int, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2; `old` counts from the first leaf."""
    if old == end:
        return [] if whole else [mth(start, end)]
    middle = start + largest_power_below(end - start)
    if old <= middle:
        return [*subproof(old, start, middle, whole), mth(middle, end)]
    return [*subproof(old, middle, end, False), mth(start, middle)]


def node(height: int, index: int) -> bytes:
    return mth(index << height, (index + 1) << height)


def test_every_event_of_every_size_has_the_audit_path_of_rfc_6962() -> None:
    for size in range(1, LARGEST + 1):
        assert tree.root(tree.edge(node, 0, size)) == mth(0, size)
        for index in range(size):
            proof = tree.inclusion(node, index, size)
            assert proof == path(index, 0, size)
            assert root_by(proof, index, size) == mth(0, size)
            assert tree.root_over(LEAVES[index], proof, index, size) == mth(0, size)


def test_every_two_sizes_have_the_consistency_proof_of_rfc_6962() -> None:
    for size in range(1, LARGEST + 1):
        for old in range(1, size + 1):
            proof = tree.consistency(node, old, size)
            assert proof == subproof(old, 0, size, True)
            check_consistency(old, mth(0, old), size, mth(0, size), proof)


def root_by(proof: list[bytes], index: int, size: int) -> bytes:
    """The root that an audit path leads to: RFC 9162 section 2.1.3.2."""
    found, last = LEAVES[index], size - 1
    for sibling in proof:
        assert last, "the proof is too long"
        if index & 1 or index == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        index, last = index >> 1, last >> 1
    assert last == 0, "the proof is too short"
    return found
