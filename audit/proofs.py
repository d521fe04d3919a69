"""What can be handed out without the whole log: that an event is in it, and that it only grew.

Every proof is checked against the checkpoint before it leaves: a stored hash that was changed is found here,
not by the auditor.
"""

from __future__ import annotations

from audit import tiles, tree
from audit.checkpoints import sign_current
from audit.ledger import LedgerError
from audit.models import Checkpoint, Event, Log, b64


def event_proof(event: Event) -> str:
    """The event's place under the log's newest checkpoint, in the form of c2sp.org/tlog-proof.

    The event's line is not in it. Signs a checkpoint where none covers the event yet. Raises `LedgerError`
    when the stored hashes do not lead to the checkpoint's root.
    """
    checkpoint = _covering(event)
    leaf = tree.leaf_hash(event.line.encode())
    try:
        path = tree.inclusion(tiles.stored_nodes(event.log), event.index, checkpoint.size)
    except LookupError as error:
        raise _unsound(checkpoint, str(error)) from error
    if tree.root_over(leaf, path, event.index, checkpoint.size) != root_of(checkpoint):
        raise _unsound(checkpoint, f"event {event.index} and the hashes beside it are not under its root")
    hashes = "".join(f"{b64(node)}\n" for node in path)
    return f"c2sp.org/tlog-proof@v1\nindex {event.index}\n{hashes}\n{checkpoint.note}"


def prefix(checkpoint: Checkpoint, first: int) -> list[bytes]:
    """The roots of the perfect subtrees over the entries before `first` (ledger-bundle section 5)."""
    try:
        return tree.edge(tiles.stored_nodes(checkpoint.log), 0, first)
    except LookupError as error:
        raise _unsound(checkpoint, str(error)) from error


def consistency(checkpoint: Checkpoint, earlier: Checkpoint) -> list[bytes]:
    """That nothing under the earlier checkpoint was changed (RFC 6962 section 2.1.2).

    Raises `LedgerError` when the stored tree is not the one of both checkpoints.
    """
    log = checkpoint.log
    try:
        node = tiles.stored_nodes(log)
        for each in (earlier, checkpoint):
            if tree.root(tree.edge(node, 0, each.size)) != root_of(each):
                raise _unsound(each, "the stored hashes do not fold to its root")
        return tree.consistency(node, earlier.size, checkpoint.size)
    except LookupError as error:
        raise _unsound(checkpoint, str(error)) from error


def _covering(event: Event) -> Checkpoint:
    newest = event.log.checkpoints.order_by("-size").first()
    if newest is None or newest.size <= event.index or tiles.covered(event.log) + tiles.WIDTH <= newest.size:
        newest = sign_current()  # which also stores tiles, in a database from before there were any
    if newest.log_id != event.log_id:
        raise LedgerError(
            f"{event.log.origin} was left before event {event.index} was signed; nothing proves it."
        )
    return newest


def root_of(checkpoint: Checkpoint) -> bytes:
    """The root that was signed."""
    return Log(frontier=checkpoint.frontier).root


def _unsound(checkpoint: Checkpoint, why: str) -> LedgerError:
    return LedgerError(
        f"{checkpoint.log.origin}, checkpoint at {checkpoint.size}: {why}; nothing was handed out. "
        "The database was changed: compare it with a backup and the last export."
    )
