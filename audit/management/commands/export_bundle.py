from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.permissions import system_actor
from audit.export import export_bundle
from audit.ledger import LedgerError
from audit.selection import Selection, SelectionError
from flags.models import Project


class Command(BaseCommand):
    """Writes the evidence bundle. Whoever may run commands here may read the database anyway."""

    help = "Export the ledger as a bundle that `countersign verify` checks offline."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("directory", type=Path, help="where to write it; must not exist yet")
        parser.add_argument(
            "--log", default="", metavar="ORIGIN", help="an earlier log, from before a recovery"
        )
        start = parser.add_mutually_exclusive_group()
        start.add_argument(
            "--first",
            type=int,
            default=0,
            metavar="SIZE",
            help="only what came after the bundle of this size, which it follows",
        )
        start.add_argument(
            "--previous",
            type=int,
            default=0,
            metavar="SIZE",
            help="everything, with a proof that nothing was changed since the checkpoint of this size",
        )
        parser.add_argument(
            "--project",
            action="append",
            default=[],
            metavar="KEY",
            help="only events of this project; may be repeated",
        )
        parser.add_argument(
            "--since", type=_moment, help="only events from this time on, as 2026-11-01T00:00:00Z"
        )
        parser.add_argument("--until", type=_moment, help="only events before this time")
        parser.add_argument(
            "--without-disclosures", action="store_true", help="leave out the names of people"
        )

    def handle(self, *args: Any, directory: Path, **options: Any) -> None:
        selection = Selection(
            first=options["first"],
            previous=options["previous"],
            projects=tuple(dict.fromkeys(options["project"])),
            since=options["since"],
            until=options["until"],
            disclosures=not options["without_disclosures"],
            log=options["log"],
        )
        unknown = set(selection.projects) - set(Project.objects.values_list("key", flat=True))
        if unknown:
            raise CommandError(f"There is no project {min(unknown)!r}.")
        try:
            checkpoint = export_bundle(system_actor("command-line", "cli"), directory, selection)
        except (OSError, LedgerError, SelectionError) as error:
            raise CommandError(str(error)) from error
        carried = checkpoint.size - selection.first
        self.stdout.write(
            f"{directory}: {carried} entries of {checkpoint.log.origin}, to size {checkpoint.size}"
        )
        self.stdout.write(f"Check it with: countersign verify {directory} --trust trust.json")


def _moment(text: str) -> datetime:
    """A time with its offset. Raises ValueError, which argparse words."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no offset")
    return moment.astimezone(UTC)
