"""Erasing a person from the command line: says what it will do in numbers; with --yes, does it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from access import erasure
from access.erasure import ErasureError
from access.models import User
from access.permissions import system_actor
from approvals.models import ChangeRequest
from audit.errors import LedgerError


class Command(BaseCommand):
    """Whoever may run commands here may read and write the database anyway."""

    help = "Erase a person: names and addresses go, what they did stays under a pseudonym."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", help="user name, or id such as user:3f9a…")
        parser.add_argument("--successor", default="", help="who takes over projects without administrator")
        parser.add_argument("--yes", action="store_true", help="do it")

    def handle(self, *args: Any, person: str, successor: str, yes: bool, **options: Any) -> None:
        actor, row = system_actor("command-line", "cli"), _find(person)
        numbers = erasure.examine(actor, row)
        requests = ChangeRequest.objects.filter(proposer=row.pseudonym, state__in=ChangeRequest.OPEN)
        self.stdout.write(
            f"{row} ({row.pseudonym}): {numbers.disclosures} disclosures, {numbers.memberships} roles, "
            f"{numbers.tokens} API tokens and {numbers.sessions} sessions go, and name, address, user name and "
            f"password. {requests.count()} open requests and {numbers.owned_flags} owned flags stay, under the "
            "pseudonym. docs/privacy.md says what this does not reach."
        )
        if numbers.sole_administrator_of:
            named = ", ".join(project.key for project in numbers.sole_administrator_of)
            self.stdout.write(f"Nobody else is an administrator of {named}: --successor becomes one.")
        if not yes:
            self.stdout.write("Nothing was changed. Run it again with --yes.")
            return
        try:
            erasure.erase(actor, row, _find(successor) if successor else None)
        except (ErasureError, LedgerError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Done.")


def _find(name: str) -> User:
    row = User.objects.filter(Q(username=name) | Q(pseudonym=name)).first()
    if row is None:
        raise CommandError(f"Nobody has the user name or id {name!r}.")
    return row
