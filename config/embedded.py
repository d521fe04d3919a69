"""What starts and stops with the server process: the read plane's threads; embedded, also worker and beat."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from celery.beat import Scheduler, Service
from django.conf import settings
from django.db import DatabaseError, connection

from access import refusals
from audit.signing import host_signers, snapshots_name
from config.celery import app as celery_app
from distribution import announcements, keys
from distribution.database_store import DatabaseStore
from distribution.read_plane import Rates, build

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)


class Lifespan:
    """The whole ASGI application: starts its threads in the lifespan, answers requests after that."""

    def __init__(self, django: Application) -> None:
        self.read_plane = build(
            django,
            origin=settings.ORIGIN,
            verify=lambda: [signer.vkey for signer in host_signers(snapshots_name())],
            redis_url=settings.REDIS_URL,
            database=DatabaseStore(),
            directory=settings.DATA_DIR / "last-known-good",
            rates=Rates(
                key=int(settings.KEY_RATE),
                address=int(settings.ADDRESS_RATE),
                behind_proxy=settings.BEHIND_TLS_PROXY,
            ),
        )
        self.tasks = EmbeddedTasks() if settings.EMBEDDED else None
        self.reporter = Reporter(self.read_plane.take_used)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.read_plane(scope, receive, send)
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await asyncio.to_thread(self._start)
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.to_thread(self._stop)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self) -> None:
        if settings.ON_SQLITE:
            _refresh_statistics()
        announcements.listen(self.read_plane.announce)
        self.read_plane.start()
        self.reporter.start()
        if self.tasks:
            self.tasks.start()

    def _stop(self) -> None:
        if self.tasks:
            self.tasks.stop()
        self.reporter.stop()
        self.read_plane.stop()


def _refresh_statistics() -> None:
    """Let SQLite look at its tables: it plans by statistics that it makes only when asked (a third of a
    second with a million events), and without them it walks the ledger where an index would do."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA analysis_limit=1000")
            cursor.execute("PRAGMA optimize=0x10002")
    except DatabaseError:
        logger.warning("SQLite's statistics were not refreshed; pages may be slow until the next start")
    finally:
        connection.close()


class Reporter:
    """Once a minute, tells the database what this process counted in memory: used SDK keys, refused access."""

    INTERVAL = 60.0

    def __init__(self, take_used: Callable[[], set[str]]) -> None:
        self._take_used = take_used
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell what is left, and end."""
        self._ended.set()
        self._thread.join(timeout=10)

    def report(self) -> None:
        """Tell it now. What cannot be told is lost: it is a count, and nobody waits for it."""
        try:
            keys.note_use(self._take_used())
            refusals.keep()
        except DatabaseError:
            logger.warning("Uses of keys and refusals of the last minute were not kept", exc_info=True)
        finally:
            connection.close()

    def _run(self) -> None:
        while not self._ended.wait(self.INTERVAL):
            self.report()
        self.report()


class EmbeddedTasks:
    """Celery's worker and beat as threads of this process, joined by the in-memory broker."""

    def __init__(self) -> None:
        self._worker = celery_app.WorkController(
            pool="solo",
            hostname="embedded@localhost",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        # The plain scheduler keeps nothing on disk: every task finds its own work.
        self._beat = Service(celery_app, max_interval=1, scheduler_cls=Scheduler)
        self._threads = [
            threading.Thread(target=self._work, name="worker", daemon=True),
            threading.Thread(target=self._beat.start, name="beat", daemon=True),
        ]

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask both to stop, and wait a little for the task that is running; it may run again later."""
        self._beat.stop()
        self._worker.stop()
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self) -> None:
        try:
            self._worker.start()
        except Exception:
            logger.exception("The embedded worker ended")
