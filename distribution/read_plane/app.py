"""The raw ASGI application in front of Django: answers from memory, or passes the request on.

Nothing here touches a store, so it answers as fast and as long as the process runs, whatever else is down.
"""

import logging
from collections.abc import Awaitable, Callable

from countersign.snapshot import Snapshot
from distribution.read_plane.access import grant, identify
from distribution.read_plane.answer import (
    Answer,
    ClientGoneError,
    Receive,
    RefusedError,
    Scope,
    Send,
    problem,
    send_answer,
)
from distribution.read_plane.compression import compressed
from distribution.read_plane.cors import answer_preflight, is_preflight, shared
from distribution.read_plane.flagd_endpoint import FlagdDocuments, answer_flagd
from distribution.read_plane.health import answer_live, answer_ready
from distribution.read_plane.holder import Holder
from distribution.read_plane.keyring import SdkKey
from distribution.read_plane.limits import Limits, Rates
from distribution.read_plane.ofrep import answer_flag, answer_flags, ofrep_refusal
from distribution.read_plane.refresher import Refresher
from distribution.read_plane.snapshot_endpoint import answer_snapshot

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

_SNAPSHOT = "/sdk/v1/snapshot"
_FLAGS = "/ofrep/v1/evaluate/flags"
_OFREP = "/ofrep/"
_FLAGD = "/flagd/v1/flags"
_READ = ("GET", "HEAD")
_METHODS = {_SNAPSHOT: _READ, "/livez": _READ, "/readyz": _READ, _FLAGD: _READ, _FLAGS: ("POST",)}


class ReadPlane:
    """ASGI application. `start` before serving, `stop` after; `next_app` gets all that is not ours."""

    def __init__(
        self, holder: Holder, refresher: Refresher, *, next_app: Application, rates: Rates | None = None
    ) -> None:
        """Without `rates`, requests are not limited."""
        self.holder = holder
        self.refresher = refresher
        self._limits = Limits(rates or Rates())
        self._next_app = next_app
        self._used: set[str] = set()
        self._flagd_documents = FlagdDocuments()

    def start(self) -> None:
        """Load the last-known-good directory and start keeping fresh. Waits for the disk only."""
        self.refresher.start()

    def stop(self) -> None:
        """End the background threads; requests are still answered from memory."""
        self.refresher.stop()

    def take_used(self) -> set[str]:
        """The ids of the keys that were used since the last call; from any thread."""
        taken, self._used = self._used, set()
        return taken

    def announce(self, environment: str) -> None:
        """Say that this process just published something of `environment`; from any thread, never blocks."""
        self.refresher.announce(environment)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not _is_ours(path):
            await self._next_app(scope, receive, send)
            return
        try:
            answer = await self._answer(path, scope, receive)
        except ClientGoneError:
            return
        except RefusedError as refused:
            answer = _refusal(path, refused)
        except Exception:
            logger.exception("read plane: %s %a failed", scope["method"], path[:200])
            answer = _refusal(
                path, RefusedError(500, "server: an unexpected error; it is in the server's log")
            )
        if path.startswith(_OFREP):  # nothing else is for browsers
            answer = shared(answer, scope, self.holder)
        await send_answer(send, await compressed(answer, scope), head=scope["method"] == "HEAD")

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> Answer:
        flag = _flag_of(path)
        allowed = ("POST",) if flag is not None else _METHODS.get(path)
        if allowed is None:
            raise RefusedError(
                404,
                f"path: nothing is at {path[:200]!a}; "
                f"the read plane has {_SNAPSHOT}, {_FLAGS}[/key] and {_FLAGD}",
            )
        if allowed == ("POST",) and is_preflight(scope):
            return answer_preflight(scope, self.holder)
        if scope["method"] not in allowed:
            raise RefusedError(
                405, f"method: this path takes {' and '.join(allowed)}", headers={"allow": ", ".join(allowed)}
            )
        if path == "/livez":
            return answer_live()
        if path == "/readyz":
            return answer_ready(self.holder, self.refresher)
        key, snapshot = self._admit(scope, api_key=path.startswith(_OFREP))
        if path == _SNAPSHOT:
            return answer_snapshot(scope, key, snapshot, self.holder)
        if path == _FLAGD:
            return await answer_flagd(scope, key, snapshot, self._flagd_documents)
        access = grant(key, snapshot)
        if flag is not None:
            return await answer_flag(flag, scope, receive, access)
        return await answer_flags(scope, receive, access)

    def _admit(self, scope: Scope, *, api_key: bool) -> tuple[SdkKey, Snapshot | None]:
        """Who asks, charged for it. The snapshot is taken now: an answer is of one version."""
        in_contact = self.refresher.in_contact()
        try:
            key, snapshot = identify(scope, self.holder, in_contact=in_contact, api_key=api_key)
        except RefusedError as refused:
            if refused.status == 401:
                self._limits.charge_refused(scope)
            raise
        self._limits.charge(scope, key)
        self._used.add(key.id)
        return key, snapshot


def _is_ours(path: str) -> bool:
    return path in ("/livez", "/readyz") or path.startswith(("/sdk/", _OFREP, "/flagd/"))


def _flag_of(path: str) -> str | None:
    """The flag that a path of the single-flag endpoint names, decoded; None for any other path."""
    return (
        path.removeprefix(_FLAGS + "/")
        if path.startswith(_FLAGS + "/") and len(path) > len(_FLAGS) + 1
        else None
    )


def _refusal(path: str, refused: RefusedError) -> Answer:
    flag = _flag_of(path)
    return ofrep_refusal(refused, flag) if flag is not None or path == _FLAGS else problem(refused)
