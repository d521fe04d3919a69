"""One request for a snapshot, over a connection that is kept open between polls."""

from __future__ import annotations

import http.client
import io
import math
import socket
import ssl
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import Any

from countersign.dsn import Dsn
from countersign.snapshot import MEDIA_TYPE

PATH = "/sdk/v1/snapshot"
PATIENCE = 6
"""How many times ``timeout`` a whole answer may take, however steadily its bytes drip in."""


class FetchError(Exception):
    """A request that brought no snapshot. ``retry_after``: seconds that the server asked to wait, or None."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _PunctualReader(io.RawIOBase):
    """A connection's bytes until a moment: each wait is ``timeout`` at most, all of them end at ``deadline``.

    A socket's own timeout starts again with every byte, so that a server which sends one now and then would
    hold the polling thread for ever.
    """

    def __init__(self, connection: socket.socket, raw: io.RawIOBase, timeout: float) -> None:
        self._connection = connection
        self._raw = raw
        self._timeout = timeout
        self._deadline = time.monotonic() + PATIENCE * timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the answer took longer than {PATIENCE * self._timeout:g} seconds")
        self._connection.settimeout(min(self._timeout, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PunctualResponse(http.client.HTTPResponse):
    """An answer that is read, its header fields included, by a ``_PunctualReader``."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        timeout = sock.gettimeout()
        if timeout is not None:
            self.fp = io.BufferedReader(_PunctualReader(sock, self.fp.detach(), timeout))


class Fetcher:
    """Fetches one environment's snapshot. Not for several threads at once."""

    def __init__(self, dsn: Dsn, *, timeout: float, max_bytes: int) -> None:
        """``timeout``: seconds for each wait on the network; a whole answer may take ``PATIENCE`` times that.

        ``max_bytes``: a longer answer is refused, before and after decompression.
        """
        self._dsn = dsn
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._headers = {
            "Accept": MEDIA_TYPE,
            "Accept-Encoding": "gzip",
            "Authorization": f"Bearer {dsn.sdk_key}",
            "User-Agent": "countersign-python",
        }
        self._connection: http.client.HTTPConnection | None = None

    def fetch(self, etag: str | None) -> bytes | None:
        """The snapshot's bytes; None where the server says that it still is ``etag``'s.

        Raises FetchError; follows no redirect.
        """
        headers = dict(self._headers)
        if etag is not None:
            headers["If-None-Match"] = etag
        try:
            response = self._response(headers)
            body = response.read(self._max_bytes + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            reason = str(error)[:200] or type(error).__name__
            raise FetchError(f"{self._dsn.address} cannot be reached: {reason}; check the network") from None
        if len(body) > self._max_bytes:
            response.close()  # it may own the socket, and go on receiving
            self.close()
            raise FetchError(
                f"{self._dsn.address} answers more than {self._max_bytes} bytes; raise max_bytes if it may"
            )
        if response.will_close:
            self.close()
        if response.status == http.HTTPStatus.OK:
            return self._decoded(body, response.getheader("Content-Encoding", "identity"))
        if response.status == http.HTTPStatus.NOT_MODIFIED and etag is not None:
            return None
        # Not its reason phrase: that is the server's to choose, at any length.
        hint = _HINTS.get(response.status, "trying again")
        raise FetchError(
            f"{self._dsn.address}{PATH} answers {response.status}; {hint}",
            _seconds(response.getheader("Retry-After")),
        )

    def _decoded(self, body: bytes, encoding: str) -> bytes:
        """The body without its gzip; never more than ``max_bytes`` and one, whatever it would unfold to."""
        if encoding.lower() == "identity":
            return body
        if encoding.lower() not in ("gzip", "x-gzip"):
            raise FetchError(
                f"{self._dsn.address}{PATH} answers with Content-Encoding {encoding[:40]!r}, which was "
                "not asked for; let the proxy in between pass the bytes on untouched"
            )
        decompressor = zlib.decompressobj(wbits=31)
        try:
            decoded = decompressor.decompress(body, self._max_bytes + 1)
        except zlib.error as error:
            raise FetchError(
                f"{self._dsn.address}{PATH} answers broken gzip: {error}; trying again"
            ) from None
        if len(decoded) > self._max_bytes:
            raise FetchError(
                f"{self._dsn.address} answers more than {self._max_bytes} bytes; raise max_bytes if it may"
            )
        if not decompressor.eof or decompressor.unused_data:
            raise FetchError(f"{self._dsn.address}{PATH} answers broken gzip: no one member; trying again")
        return decoded

    def afresh(self) -> Fetcher:
        """The same with a connection of its own, for the child of a fork."""
        return Fetcher(self._dsn, timeout=self._timeout, max_bytes=self._max_bytes)

    def close(self) -> None:
        """Closes the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _response(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        if self._connection is not None:
            try:
                if self._connection.sock is not None:
                    self._connection.sock.settimeout(self._timeout)  # the last answer may have used it up
                self._connection.request("GET", PATH, headers=headers)
                return self._connection.getresponse()
            except (OSError, http.client.HTTPException):
                self.close()  # a server may close an idle connection at any time: once more, on a new one
        self._connection = self._connect()
        self._connection.request("GET", PATH, headers=headers)
        return self._connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        dsn = self._dsn
        connection: http.client.HTTPConnection
        if dsn.secure:
            connection = http.client.HTTPSConnection(
                dsn.host, dsn.port, timeout=self._timeout, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(dsn.host, dsn.port, timeout=self._timeout)
        connection.response_class = _PunctualResponse
        return connection


_REDIRECTED = "it is not followed, because the SDK key would go along; put the final address into the DSN"
_HINTS = {
    **dict.fromkeys((301, 302, 303, 307, 308), _REDIRECTED),
    401: "the SDK key is not known or was revoked, put a valid one into the DSN",
    403: "the SDK key may not read snapshots, use a server-side one",
    404: "check the DSN's host",
}


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` as seconds from now (RFC 9110, section 10.2.3: seconds or a date), or None."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
