"""`make run`: everything from an empty directory to a served demo."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from config.demo_clock import HISTORY, clock_from
from config.listening import PortTakenError, refuse_taken_port
from config.management.commands.serve import HOST, own_port


class Command(BaseCommand):
    """A second start finds its data and is quick."""

    help = "Migrate, make demo data where there is none, print how to sign in, and serve."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Before anything is made or migrated: whoever listens may be at work on the same data.
            refuse_taken_port(HOST, own_port())
        except PortTakenError as error:
            raise CommandError(str(error)) from error
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        if connection.introspection.table_names():
            call_command("migrate", verbosity=0)
        else:
            # The ledger is opened here; its times never go back, and the demo's history is three months long.
            with clock_from(timezone.now() - HISTORY):
                call_command("migrate", verbosity=0)
        call_command("create_demo")
        self._print_sign_ins()
        call_command("serve")

    def _print_sign_ins(self) -> None:
        path = settings.DATA_DIR / "demo.json"
        if not path.exists():
            self.stdout.write(f"\nCountersign: {settings.BASE_URL}\n")
            return
        demo = json.loads(path.read_text(encoding="utf-8"))
        self.stdout.write(f"\nCountersign: {settings.BASE_URL}  (password of all: {_password(demo)})\n\n")
        for username, user in demo["users"].items():
            roles = "; ".join(f"{', '.join(held)} in {project}" for project, held in user["roles"].items())
            self.stdout.write(f"  {username:8} {user['name']:16} {roles}")
        self.stdout.write(f"\nTokens and SDK DSNs for scripts: {path}\nStop with Ctrl-C.\n")
        self.stdout.flush()


def _password(demo: Any) -> str:
    return str(next(iter(demo["users"].values()))["password"])
