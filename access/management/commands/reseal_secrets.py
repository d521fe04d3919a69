"""Encrypting stored secrets with the present key, after `SECRET_KEY` was rotated."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.permissions import system_actor
from access.signin.providers import reseal
from access.signin.sealing import SealError
from audit.errors import LedgerError


class Command(BaseCommand):
    """May run again; afterwards `SECRET_KEY_FALLBACKS` can go."""

    help = "Encrypt the secrets of identity providers and second factors with the present SECRET_KEY."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = reseal(system_actor("command-line", "cli"))
        except (SealError, LedgerError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Encrypted anew: {count}. SECRET_KEY_FALLBACKS is not needed for them any more.")
