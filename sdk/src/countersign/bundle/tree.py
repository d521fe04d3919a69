"""The Merkle tree of RFC 6962 section 2.1: hashes, a root built entry by entry, consistency proofs."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from countersign.bundle.refusal import RuleError


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 || entry) (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an interior node: SHA-256(0x01 || left || right) (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The tree over the leaves [0, size), held as the roots of its perfect subtrees, largest first.

    There is one subtree for every 1 bit of the size, so a tree of 2^40 leaves needs 40 hashes.
    """

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """Start at ``size`` leaves covered by ``subtrees``. Raises RuleError when their number is wrong."""
        if bin(size).count("1") != len(subtrees):
            raise RuleError(f"{len(subtrees)} hashes do not cover {size} entries")
        self.size = size
        self._subtrees = list(subtrees)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add the next leaves, given their leaf hashes: level by level, each node once."""
        nodes, level, left = list(leaves), self.size, []
        self.size += len(nodes)
        while nodes:
            if level & 1:  # a subtree of this level waits for its right half
                nodes.insert(0, self._subtrees.pop())
            if len(nodes) & 1:
                left.append(nodes.pop())
            nodes = [
                sha256(b"\x01" + first + second).digest()
                for first, second in zip(nodes[::2], nodes[1::2], strict=True)
            ]
            level >>= 1
        self._subtrees.extend(reversed(left))

    def root(self) -> bytes:
        """MTH of all leaves; SHA-256 of nothing for the empty tree (RFC 6962 section 2.1)."""
        if not self._subtrees:
            return sha256(b"").digest()
        root = self._subtrees[-1]
        for subtree in reversed(self._subtrees[:-1]):
            root = node_hash(subtree, root)
        return root


def check_inclusion(index: int, leaf: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Check that ``leaf`` (a leaf hash) is entry ``index`` of the tree of ``size`` leaves.

    ``path`` is PATH(index, D[size]) of RFC 6962 section 2.1.1, checked as in RFC 9162 section 2.1.3.2.
    Raises RuleError when it does not hold.
    """
    if index >= size:
        raise RuleError(f"index {index} is not in a tree of {size} entries")
    node, last, hashed = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise RuleError("the audit path has too many hashes")
        if node & 1 or node == last:
            hashed = node_hash(sibling, hashed)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            hashed = node_hash(hashed, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise RuleError("the audit path has too few hashes")
    if hashed != root:
        raise RuleError("the audit path does not lead from the event to the checkpoint's root")


def check_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of ``old_size`` leaves is the beginning of the one of ``new_size``.

    ``proof`` is PROOF(old_size, D[new_size]) of RFC 6962 section 2.1.2, checked as in RFC 9162
    section 2.1.4.2. Raises RuleError when it does not hold; 0 < old_size <= new_size.
    """
    if not 0 < old_size <= new_size:
        raise RuleError("the earlier checkpoint is not of an earlier, non-empty tree")
    if old_size == new_size:
        if proof:
            raise RuleError("a proof between trees of the same size has no hashes")
        if old_root != new_root:
            raise RuleError("two trees of the same size have different roots")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # a perfect tree is its own first node, and left out of the proof
        path.insert(0, old_root)
    if not path:
        raise RuleError("the consistency proof has too few hashes")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise RuleError("the consistency proof has too many hashes")
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while node and not node & 1:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise RuleError("the consistency proof has too few hashes")
    if old != old_root or new != new_root:
        raise RuleError("the consistency proof does not lead from the earlier root to the checkpoint's")
