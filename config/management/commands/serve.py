"""One command that runs everything this installation needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.listening import PortTakenError, refuse_taken_port

HOST = "127.0.0.1"


def own_port() -> int:
    """The port in the address by which people reach this installation."""
    return urlsplit(settings.BASE_URL).port or 8000


class Command(BaseCommand):
    """Embedded: one process. With REDIS_URL: web, worker and beat, each a process; they end together."""

    help = "Serve the web, and where there is Redis also run a worker and beat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=HOST)
        parser.add_argument("--port", type=int, default=own_port())
        parser.add_argument("--workers", type=int, default=1, help="web processes; embedded, exactly 1")

    def handle(self, *args: Any, host: str, port: int, workers: int, **options: Any) -> None:
        if settings.EMBEDDED and workers != 1:
            raise CommandError(
                "--workers: embedded, the worker and beat are threads of the one web process; "
                "set REDIS_URL (and DATABASE_URL) to run more."
            )
        try:
            refuse_taken_port(host, port)
        except PortTakenError as error:
            raise CommandError(str(error)) from error
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        tools = Path(sys.executable).parent
        web = [
            str(tools / "granian"),
            *("--interface", "asgi", "--host", host, "--port", str(port), "--workers", str(workers)),
            *("--log-level", "warning", "--no-ws", "config.asgi:application"),
        ]
        commands = [web]
        if not settings.EMBEDDED:
            celery = [str(tools / "celery"), "--app", "config", "--quiet"]
            schedule = str(settings.DATA_DIR / "beat-schedule")
            commands.append(
                [*celery, "worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "warning"]
            )
            commands.append([*celery, "beat", "--schedule", schedule, "--loglevel", "warning"])
        _run_together(commands)


def _run_together(commands: list[list[str]]) -> None:
    """Run the commands until one ends or we are told to stop; then end all of them, by process id."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    processes: list[subprocess.Popen[bytes]] = []

    def stop(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for command in commands:
        # Our own commands, no shell; a group of their own, so that Ctrl-C reaches them once, through us.
        processes.append(
            subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, start_new_session=True)  # noqa: S603
        )
    try:
        while all(process.poll() is None for process in processes):
            try:
                processes[0].wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                continue
    finally:
        stop(signal.SIGTERM, None)
        for process in processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
    ended = [process.returncode for process in processes]
    if any(code not in (0, -signal.SIGTERM) for code in ended):
        raise CommandError(f"A part ended on its own: exit codes {ended}.")
