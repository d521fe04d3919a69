"""Rotating the ledger's key: begin (both keys sign), then finish (only the new one does)."""

from __future__ import annotations

from audit import keys
from audit.actor import Actor
from audit.ledger import current_log
from audit.recording import recording


def begin(actor: Actor, *, lost: bool = False) -> bool:
    """Let this host's new key sign the ledger too; `lost`: instead of the present one, which is gone.

    False, and nothing happened, where a rotation is under way. Only from the command line.
    Raises `CommandLineOnlyError`, or `LedgerError` where this host has no new key.
    """
    actor.require_command_line("rotating the ledger's key")
    with recording(actor) as record:
        name = current_log().origin
        if not keys.begin(name, lost=lost):
            return False
        record.event("ledger.v1.log_key.changed", data={"keys": keys.signing_now(name)})
    return True


def finish(actor: Actor) -> bool:
    """Let only the new key sign the ledger. False, and nothing happened, where no rotation is under way."""
    actor.require_command_line("rotating the ledger's key")
    with recording(actor) as record:
        name = current_log().origin
        if not keys.finish(name):
            return False
        record.event("ledger.v1.log_key.changed", data={"keys": keys.signing_now(name)})
    return True
