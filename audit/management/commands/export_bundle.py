from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.permissions import system_actor
from audit.export import export_bundle
from audit.ledger import LedgerError


class Command(BaseCommand):
    """Writes the evidence bundle. Whoever may run commands here may read the database anyway."""

    help = "Export the whole ledger as a bundle that `countersign verify` checks offline."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="where to write it; must not exist yet")
        parser.add_argument(
            "--log", default="", metavar="ORIGIN", help="an earlier log, from before a recovery"
        )

    def handle(self, *args: Any, directory: Path, log: str, **options: Any) -> None:
        try:
            checkpoint = export_bundle(system_actor("command-line", "cli"), directory, log)
        except (OSError, LedgerError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{directory}: {checkpoint.size} events of {checkpoint.log.origin}")
        self.stdout.write(f"Check it with: countersign verify {directory} --trust trust.json")
