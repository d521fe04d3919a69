from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from countersign.flagd import HASHES
from distribution.flagd import newest_export
from flags.models import Environment


class Command(BaseCommand):
    """Writes the bytes that `/flagd/v1/flags` serves, and says on standard error what they leave out."""

    help = "Write an environment as flagd flag definitions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="PROJECT/ENVIRONMENT")
        parser.add_argument(
            "--hash", choices=HASHES, default=HASHES[0], help="the hash that the clients have"
        )

    def handle(self, *args: Any, environment: str, hash: str, **options: Any) -> None:
        project, _, key = environment.partition("/")
        row = Environment.objects.filter(project__key=project, key=key).first()
        if row is None:
            raise CommandError(f"There is no environment {environment!r}; write it as project/environment.")
        made = newest_export(row, hash)
        if made is None:
            raise CommandError(f"{environment} was not published yet; start the server, which publishes it.")
        self.stdout.write(made.document.decode("ascii"), ending="")
        for flag, reason in made.left_out.items():
            self.stderr.write(f"left out: {flag}: {reason}")
