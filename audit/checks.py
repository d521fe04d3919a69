"""System checks of the ledger."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

from audit import keys, triggers
from audit.models import Log, SigningKey
from audit.signing import host_signers, snapshots_name


@register(Tags.database)
def ledger_is_append_only(databases: Any = None, **_: Any) -> list[Error]:
    """audit.E001: the append-only triggers are in the database (SQLite drops them on a table rebuild)."""
    errors = []
    for alias in databases or ():
        gone = triggers.missing(connections[alias])
        if gone:
            errors.append(
                Error(
                    f"The append-only triggers {', '.join(gone)} are missing from database '{alias}'.",
                    hint="A migration that rebuilt a table dropped them; add one that calls "
                    "audit.triggers.install.",
                    id="audit.E001",
                )
            )
    return errors


@register(Tags.database)
def host_has_the_keys_that_sign(databases: Any = None, **_: Any) -> list[CheckMessage]:
    """audit.E002, W001: this host's keys are those that the installation signs with."""
    if "default" not in (databases or ()):
        return []
    if SigningKey._meta.db_table not in connections["default"].introspection.table_names():
        return []
    found: list[CheckMessage] = []
    log = Log.objects.order_by("-pk").first()
    # An earlier log is not signed any more.
    for name in (snapshots_name(), *([log.origin] if log else [])):
        now, held = keys.signing_now(name), {signer.vkey for signer in host_signers(name)}
        lacking = [vkey for vkey in now if vkey not in held]
        if lacking:
            found.append(
                Error(
                    f"This host has no private key for {' and '.join(lacking)}, so it cannot sign.",
                    hint="Give all hosts the same keys (docs/operations.md, Keys).",
                    id="audit.E002",
                )
            )
        idle = sorted(held.difference(now))
        if idle:
            found.append(
                Warning(
                    f"This host has a private key that does not sign: {' and '.join(idle)}.",
                    hint="A new one signs after `manage.py rotate_key`; remove one that is retired.",
                    id="audit.W001",
                )
            )
    return found
