"""The Merkle tree of RFC 6962 section 2.1: kept as its right edge, so that an append costs O(log n), and
proofs, of which each hash is asked for as the root of a perfect subtree.
"""

import hashlib
from collections.abc import Callable, Iterable

Hash = bytes
# The roots of the perfect subtrees that cover the tree, left to right, largest first: one for each
# 1 bit of the size.
Frontier = list[Hash]
# The root of the perfect subtree of 2^height leaves that is number `index` from the left.
Node = Callable[[int, int], Hash]


def leaf_hash(entry: bytes) -> Hash:
    """RFC 6962 section 2.1: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _parent(left: Hash, right: Hash) -> Hash:
    """RFC 6962 section 2.1: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grow(
    frontier: Frontier,
    size: int,
    leaves: Iterable[Hash],
    completed: Callable[[int, int, Hash], None] | None = None,
) -> tuple[Frontier, int]:
    """The frontier and size after `leaves` are appended to a tree of `size` leaves.

    `completed(height, index, root)` is told each perfect subtree of two or more leaves that they complete.
    """
    edge = list(frontier)
    for leaf in leaves:
        node, n, height = leaf, size, 0
        while n & 1:  # a full subtree of this height stands to the left: join them
            node = _parent(edge.pop(), node)
            n >>= 1
            height += 1
            if completed is not None:
                completed(height, n, node)
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


def perfect_root(nodes: list[Hash]) -> Hash:
    """The root over the roots of 2^k subtrees of one height, side by side."""
    while len(nodes) > 1:
        nodes = [_parent(nodes[n], nodes[n + 1]) for n in range(0, len(nodes), 2)]
    return nodes[0]


def edge(node: Node, start: int, end: int) -> Frontier:
    """The roots of the perfect subtrees that cover the leaves `[start, end)`, left to right.

    `start` is 0 or a multiple of the largest power of two that is not above `end - start`.
    """
    roots = []
    for height in reversed(range((end - start).bit_length())):
        if (end - start) >> height & 1:
            roots.append(node(height, start >> height))
            start += 1 << height
    return roots


def inclusion(node: Node, index: int, size: int) -> list[Hash]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1, from the leaf's sibling upwards; 0 ≤ index < size."""
    path: list[Hash] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root(edge(node, middle, end)))
            end = middle
        else:
            path.append(root(edge(node, start, middle)))
            start = middle
    return path[::-1]


def root_over(leaf: Hash, path: list[Hash], index: int, size: int) -> Hash:
    """The tree head to which the audit path of leaf `index` in a tree of `size` leads."""
    found = leaf
    depth, start, end = [], 0, size
    while end - start > 1:  # which sibling stands on the left, from the root downwards
        middle = start + _split(end - start)
        depth.append(index >= middle)
        start, end = (middle, end) if index >= middle else (start, middle)
    for is_right, sibling in zip(reversed(depth), path, strict=True):
        found = _parent(sibling, found) if is_right else _parent(found, sibling)
    return found


def consistency(node: Node, old: int, size: int) -> list[Hash]:
    """PROOF(old, D[size]) of RFC 6962 section 2.1.2, in the RFC's order; 0 < old ≤ size."""
    proof: list[Hash] = []
    start, end = 0, size
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(root(edge(node, middle, end)))
            end = middle
        else:
            proof.append(root(edge(node, start, middle)))
            start = middle
    if start:  # else the subtree that is left is the old tree itself, whose root its checkpoint has
        proof.append(root(edge(node, start, end)))
    return proof[::-1]


def _split(size: int) -> int:
    """The largest power of two below `size` (RFC 6962 section 2.1)."""
    return 1 << (size - 1).bit_length() - 1
