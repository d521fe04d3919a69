"""After a restore: says what was lost and what it will do, in numbers; with --yes, does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.permissions import system_actor
from audit.checkpoints import sign_current
from audit.continuing import read_end
from audit.errors import LedgerError
from config import recovery
from config.recovery import Recovery, Step
from distribution import publish


class Command(BaseCommand):
    """Without --yes it changes nothing. Running it again afterwards finds nothing to do."""

    help = "Go on after a restore from an older backup, or a failover that lost something."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--published",
            action="append",
            default=[],
            metavar="WHAT",
            help="something published that nobody here knows: project/environment=version, a snapshot or "
            "keyring file, or a directory of them, such as another host's last-known-good; repeatable",
        )
        parser.add_argument(
            "--checkpoint",
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="a checkpoint, or an exported bundle, later than those known here; repeatable",
        )
        parser.add_argument(
            "--margin",
            type=int,
            default=recovery.MARGIN,
            help=f"how far beyond the newest version known ({recovery.MARGIN})",
        )
        parser.add_argument(
            "--anyway", action="store_true", help="even if nothing shows that anything was lost"
        )
        parser.add_argument("--yes", action="store_true", help="do it")

    def handle(self, *args: Any, margin: int, anyway: bool, yes: bool, **options: Any) -> None:
        if not 1 <= margin <= 10**12:
            raise CommandError("--margin: 1 to 1,000,000,000,000")
        try:
            found = recovery.examine(
                published=options["published"],
                ends=[read_end(path) for path in options["checkpoint"]],
                margin=margin,
            )
            self._describe(found)
            if not (found.is_needed or anyway):
                self.stdout.write(
                    "Nothing to do: nothing that is known was published or signed beyond this database. Where you "
                    "know of a loss, show it with --published or --checkpoint, or say --anyway."
                )
                return
            self._announce(found)
            if not yes:
                self.stdout.write("Nothing was changed. Run it again with --yes.")
                return
            log = recovery.recover(system_actor("command-line", "cli"), found)
            sign_current()
        except (LedgerError, ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        publish.publish_due()
        self.stdout.write(f"Done: {log.origin} is open, and every environment is published again.")
        self.stdout.write(
            "Give auditors the new trust file (`manage.py ledger_trust`). Roles, accounts, tokens and erasures "
            "are those of the backup: look through them."
        )

    def _describe(self, found: Recovery) -> None:
        self.stdout.write(f"{found.log.origin} has {found.log.size} events here.")
        if found.end is not None:
            head = found.end.head
            self.stdout.write(
                f"The largest checkpoint known is of {head.origin} at {head.size} events ({found.end.source}); "
                f"the ledger here {'contains' if found.is_contained else 'does not contain'} it."
            )
        for problem in found.problems:
            self.stdout.write(f"Note: {problem}")

    def _announce(self, found: Recovery) -> None:
        end = found.end
        where = "its end" if end is None or found.is_contained else f"{end.head.size} events"
        self.stdout.write(
            f"{found.next_origin} will be opened, and continue the ledger before it at {where}."
        )
        for step in found.steps:
            self.stdout.write(_line(step))
        revoked = sum(len(step.revoked_since) for step in found.steps)
        lost = sum(step.lost_keys for step in found.steps)
        self.stdout.write(
            f"{_count(found.requests, 'open change request')} and {_count(found.plans, 'rollout plan')} lapse, to "
            f"be proposed again. {_count(revoked, 'SDK key')} revoked since the backup will be revoked again; "
            f"{_count(lost, 'SDK key')} made since then will not work any more."
        )
        for path, published in sorted(found.missing.items()):
            self.stdout.write(
                f"Note: {path} was published at version {published.snapshot} and is not in the database. After "
                "making it again, run this again."
            )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _line(step: Step) -> str:
    sources = f" ({', '.join(sorted(step.published.sources))})" if step.published.sources else ""
    return (
        f"  {step.environment.path}: revision {step.environment.revision}, published "
        f"{step.published.snapshot}{sources}, becomes {step.next_revision}; keyring {step.keyring}, published "
        f"{step.published.keyring}, becomes {step.next_keyring}"
    )
