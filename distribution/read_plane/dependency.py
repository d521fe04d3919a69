"""The state of one thing the read plane depends on, as `/readyz` names it and the log tells it once."""

import logging
import re
import time
from datetime import UTC, datetime
from typing import Literal

import redis

logger = logging.getLogger(__name__)

State = Literal["starting", "ok", "failing"]

# Seconds after which a question without an answer counts as a failure.
_SILENCE = 5.0
_CREDENTIALS = re.compile(r"//\S*@|(?i:password|passwd|pwd|secret|token)\s*[=:]\s*\S+")


class Dependency:
    """Whether something works, since when, and the last error. Written by one thread, read by any."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._state: State = "starting"
        self._error: str | None = None
        self._since = time.time()
        self._asked: float | None = None

    def asked(self) -> None:
        """It was just asked something; until `worked` or `failed`, silence counts against it."""
        self._asked = time.monotonic()

    def worked(self) -> None:
        """It answered. Logged when it did not before."""
        self._asked = None
        if self._state == "failing":
            logger.info("%s works again", self.name)
        self._change("ok", None)

    def failed(self, error: BaseException) -> None:
        """It failed. Logged when it worked before, or fails in another way; not at every attempt."""
        self._asked = None
        public = _public_text(error)
        if self._state != "failing" or self._error != public:
            logger.warning("%s fails: %s: %s", self.name, type(error).__name__, _without_credentials(error))
        self._change("failing", public)

    def describe(self) -> dict[str, str]:
        """`name`, `status` (starting, ok, failing), `since` (RFC 3339) and, when failing, `error`.

        Meant for anybody who asks: the error says what kind it is, never an address, user or secret.
        """
        state, error, since = self._state, self._error, self._since
        silent = self.silent_for()
        if silent is not None:
            state, error, since = "failing", "no answer", time.time() - silent
        described = {
            "name": self.name,
            "status": state,
            "since": datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return described if error is None else {**described, "error": error}

    @property
    def failing(self) -> bool:
        """Whether it failed last, or has been silent for too long."""
        return self._state == "failing" or self.silent_for() is not None

    def silent_for(self) -> float | None:
        """Seconds of waiting for an answer, where that is too long; else None."""
        asked = self._asked
        waited = 0.0 if asked is None else time.monotonic() - asked
        return waited if waited > _SILENCE else None

    def _change(self, state: State, error: str | None) -> None:
        if state != self._state:
            self._since = time.time()
        self._state, self._error = state, error


def _public_text(error: BaseException) -> str:
    # Messages of drivers name hosts, users and databases; strangers may read /readyz, so they get the kind.
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return "access denied"
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return "no answer in time"
    if isinstance(error, redis.ConnectionError | ConnectionError):
        return "no connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _without_credentials(error: BaseException) -> str:
    return _CREDENTIALS.sub("…", str(error))
