"""The tree of RFC 6962 against its definition, for all sizes to 64."""

from __future__ import annotations

import hashlib

import pytest
from bundle_writer import audit_path, consistency_proof, mth, perfect_subtrees

from countersign.bundle.refusal import RuleError
from countersign.bundle.tree import CompactRange, check_consistency, check_inclusion, leaf_hash

LEAVES = [leaf_hash(b"entry %d" % number) for number in range(64)]
SIZES = range(len(LEAVES) + 1)


def test_a_leaf_is_hashed_with_a_zero_byte_before_it() -> None:
    assert leaf_hash(b"") == hashlib.sha256(b"\x00").digest()


def test_the_root_of_every_size_is_the_one_defined() -> None:
    tree = CompactRange()
    assert tree.root() == hashlib.sha256(b"").digest()
    for size, leaf in enumerate(LEAVES, 1):
        tree.extend([leaf])
        assert tree.size == size
        assert tree.root() == mth(LEAVES[:size])


def test_a_tree_grown_from_any_prefix_has_the_same_root() -> None:
    for first in SIZES:
        tree = CompactRange(first, perfect_subtrees(LEAVES[:first]))
        assert tree.root() == mth(LEAVES[:first])
        for leaf in LEAVES[first:]:
            tree.extend([leaf])
        assert tree.root() == mth(LEAVES)


def test_leaves_may_come_in_blocks_of_any_lengths() -> None:
    for first in range(20):
        for block in range(45):
            tree = CompactRange(first, perfect_subtrees(LEAVES[:first]))
            tree.extend(LEAVES[first : first + block])
            tree.extend(LEAVES[first + block :])
            assert (tree.size, tree.root()) == (len(LEAVES), mth(LEAVES))


def test_every_audit_path_holds_for_its_entry_and_for_no_other() -> None:
    for size in SIZES[1:]:
        root = mth(LEAVES[:size])
        for index in range(size):
            path = audit_path(index, LEAVES[:size])
            check_inclusion(index, LEAVES[index], size, root, path)
            for other in {(index + 1) % size, index ^ 1, size - 1} - {index}:
                with pytest.raises(RuleError):
                    check_inclusion(other, LEAVES[index], size, root, path)


def test_no_changed_shortened_or_lengthened_audit_path_holds() -> None:
    for size in range(1, 20):
        root = mth(LEAVES[:size])
        for index in range(size):
            path = audit_path(index, LEAVES[:size])
            wrong = [[*path, LEAVES[63]], [LEAVES[63], *path], *(path[:n] for n in range(len(path)))]
            wrong += [[*path[:n], LEAVES[63], *path[n + 1 :]] for n in range(len(path))]
            for changed in wrong:
                with pytest.raises(RuleError):
                    check_inclusion(index, LEAVES[index], size, root, changed)
            with pytest.raises(RuleError):
                check_inclusion(index, LEAVES[63], size, root, path)


def test_a_prefix_of_the_wrong_number_of_hashes_is_refused() -> None:
    for first in SIZES:
        hashes = perfect_subtrees(LEAVES[:first])
        for wrong in ([*hashes, LEAVES[0]], hashes[1:]):
            if len(wrong) != len(hashes):
                with pytest.raises(RuleError):
                    CompactRange(first, wrong)


def test_every_consistency_proof_holds() -> None:
    for size in SIZES[1:]:
        for old in range(1, size + 1):
            check_consistency(
                old, mth(LEAVES[:old]), size, mth(LEAVES[:size]), consistency_proof(old, LEAVES[:size])
            )


def test_no_changed_shortened_or_lengthened_proof_holds() -> None:
    for size in range(1, 20):
        for old in range(1, size + 1):
            proof = consistency_proof(old, LEAVES[:size])
            old_root, root = mth(LEAVES[:old]), mth(LEAVES[:size])
            wrong = [[*proof, LEAVES[0]], [LEAVES[0], *proof], *(proof[:n] for n in range(len(proof)))]
            wrong += [[*proof[:n], LEAVES[63], *proof[n + 1 :]] for n in range(len(proof))]
            for changed in wrong:
                with pytest.raises(RuleError):
                    check_consistency(old, old_root, size, root, changed)
            for roots in ((LEAVES[63], root), (old_root, LEAVES[63])):
                with pytest.raises(RuleError):
                    check_consistency(old, roots[0], size, roots[1], proof)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3)])
def test_a_proof_needs_an_earlier_tree_that_is_not_empty(old: int, new: int) -> None:
    with pytest.raises(RuleError):
        check_consistency(old, LEAVES[0], new, LEAVES[1], [])
