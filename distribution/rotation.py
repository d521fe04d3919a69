"""Rotating the snapshots' key: begin (both keys sign), then finish (only the new one does).

At each step every snapshot and keyring is signed again. In between, clients that know either key go on, and
every DSN that is handed out names both.
"""

from __future__ import annotations

from audit import keys as signing_keys
from audit.actor import Actor
from audit.recording import recording
from audit.signing import snapshots_name
from distribution import keys
from flags.models import Environment
from flags.revisions import raise_revisions


def begin(actor: Actor, *, lost: bool = False) -> bool:
    """Let this host's new key sign snapshots too; `lost`: instead of the present one, which is gone.

    False, and nothing happened, where a rotation is under way. Only from the command line.
    Raises `CommandLineOnlyError`, or `LedgerError` where this host has no new key.
    """
    actor.require_command_line("rotating the snapshots' key")
    with recording(actor):
        if not signing_keys.begin(snapshots_name(), lost=lost):
            return False
        _sign_again(actor)
    return True


def finish(actor: Actor) -> bool:
    """Let only the new key sign snapshots. False, and nothing happened, where no rotation is under way."""
    actor.require_command_line("rotating the snapshots' key")
    with recording(actor):
        if not signing_keys.finish(snapshots_name()):
            return False
        _sign_again(actor)
    return True


def _sign_again(actor: Actor) -> None:
    with recording(actor) as record:
        now = signing_keys.signing_now(snapshots_name())
        record.event("distribution.v1.snapshot_key.changed", data={"keys": now})
        environments = list(Environment.objects.select_related("project").order_by("pk"))
        raise_revisions(environments)
        for environment in environments:
            keys.sign_keyring(environment)
