"""Rotating a key, from the command line: each step says first what it will do, and may be repeated."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.permissions import system_actor
from audit import keys, signing
from audit import rotation as ledger_rotation
from audit.checkpoints import sign_current
from audit.ledger import LedgerError, current_log
from audit.secret_files import replace_secret
from distribution import rotation as snapshots_rotation
from distribution.keys import verify_query
from distribution.models import SdkKey
from flags.models import Environment


class Command(BaseCommand):
    """Without --yes it changes nothing and says what it would do."""

    help = "Replace a signing key in two steps, without cutting anybody off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", choices=["ledger", "snapshots"])
        parser.add_argument("--finish", action="store_true", help="second step: let only the new key sign")
        parser.add_argument(
            "--lost", action="store_true", help="the present key is gone: let the new one sign alone, at once"
        )
        parser.add_argument("--yes", action="store_true", help="do it")

    def handle(self, *args: Any, key: str, finish: bool, lost: bool, yes: bool, **options: Any) -> None:
        if finish and lost:
            raise CommandError("--finish and --lost are two ways; name one.")
        name = current_log().origin if key == "ledger" else signing.snapshots_name()
        rotation = ledger_rotation if key == "ledger" else snapshots_rotation
        actor = system_actor("command-line", "cli")
        now = keys.signing_now(name)
        self.stdout.write(f"{name} is signed by:")
        for vkey in now:
            self.stdout.write(f"  {vkey}")
        if (len(now) > 1) != finish:
            self._forget(name, yes=yes)
            self.stdout.write(
                "No rotation is under way; nothing to finish."
                if finish
                else "A rotation is under way: both keys sign. Go on with --finish."
            )
            return
        self._say(key, finish, lost)
        if not yes:
            self.stdout.write("Nothing was changed. Run it again with --yes.")
            return
        try:
            if finish:
                rotation.finish(actor)
            else:
                if not keys.waiting(name):
                    signing.make_key(name)
                rotation.begin(actor, lost=lost)
            if key == "ledger":
                sign_current()
        except (LedgerError, ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self._forget(name, yes=True)
        if key == "snapshots":
            _refresh_demo_file()
        self.stdout.write("Done. Now signed by:")
        for vkey in keys.signing_now(name):
            self.stdout.write(f"  {vkey}")
        if key == "snapshots":
            self.stdout.write(f"DSNs end in: ?{verify_query()}")

    def _say(self, key: str, finish: bool, lost: bool) -> None:
        if key == "ledger":
            self.stdout.write(
                "From now on only the new key signs checkpoints and exports."
                if finish or lost
                else "A new key will sign checkpoints and exports beside the present one."
            )
            self.stdout.write("Auditors need the new key in their trust files: `manage.py ledger_trust`.")
            return
        environments = Environment.objects.count()
        used = SdkKey.objects.filter(revoked_at=None).count()
        self.stdout.write(
            f"{environments} environments are signed again: snapshot and keyring, one version higher."
        )
        if finish or lost:
            self.stdout.write(
                f"Clients whose DSN has only another key refuse what is new, and keep what they have. {used} "
                "SDK keys are in use: see that each has the new key in its DSN."
            )
        else:
            self.stdout.write(
                f"Both keys sign, so nobody is cut off. {used} SDK keys are in use: give each service a "
                f"DSN with both (shown when this is done), then go on with --finish."
            )

    def _forget(self, name: str, *, yes: bool) -> None:
        """Drop the private keys that sign no more from this host's file. Also after an interruption."""

        def keep() -> set[str]:
            # In this order: a key that begins to sign in between is seen as one or the other.
            return {*keys.waiting(name), *keys.signing_now(name)}

        if yes and (gone := signing.forget_keys(name, keep)):
            self.stdout.write(f"{gone} retired key removed from {settings.DATA_DIR}/keys.")


def _refresh_demo_file() -> None:
    """The DSNs that scripts read: with the keys that sign now."""
    path = settings.DATA_DIR / "demo.json"
    if not path.exists():
        return
    demo = json.loads(path.read_text(encoding="utf-8"))
    for kind in ("dsn", "client_dsn"):
        for environment, dsn in demo.get(kind, {}).items():
            demo[kind][environment] = urlsplit(dsn)._replace(query=verify_query()).geturl()
    replace_secret(path, json.dumps(demo, indent=1) + "\n")
