"""The Merkle tree of RFC 6962 section 2.1, kept as its right edge so that an append costs O(log n)."""

import hashlib
from collections.abc import Iterable

Hash = bytes
# The roots of the perfect subtrees that cover the tree, left to right, largest first: one for each
# 1 bit of the size.
Frontier = list[Hash]


def leaf_hash(entry: bytes) -> Hash:
    """RFC 6962 section 2.1: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _parent(left: Hash, right: Hash) -> Hash:
    """RFC 6962 section 2.1: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grow(frontier: Frontier, size: int, leaves: Iterable[Hash]) -> tuple[Frontier, int]:
    """The frontier and size after `leaves` are appended to a tree of `size` leaves."""
    edge = list(frontier)
    for leaf in leaves:
        node, n = leaf, size
        while n & 1:  # a full subtree of this height stands to the left: join them
            node = _parent(edge.pop(), node)
            n >>= 1
        edge.append(node)
        size += 1
    return edge, size


def root(frontier: Frontier) -> Hash:
    """The tree head; of the empty tree SHA-256 of nothing (RFC 6962 section 2.1)."""
    if not frontier:
        return hashlib.sha256(b"").digest()
    node = frontier[-1]
    for left in reversed(frontier[:-1]):
        node = _parent(left, node)
    return node
