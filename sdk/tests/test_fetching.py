"""Answers of a server that misbehaves: each is given up in time, in bounded memory, with its reason."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from countersign import fetching
from countersign.dsn import read_dsn
from countersign.fetching import Fetcher, FetchError

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def answering(
    *answers: bytes | Callable[[socket.socket], None], asked: list[bytes] | None = None
) -> Iterator[str]:
    """A server that gives each connection its answer, to whatever was ``asked``; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answer in answers:
                connection, _ = listening.accept()
                with connection:
                    request = connection.recv(65536)
                    if asked is not None:
                        asked.append(request)
                    try:
                        if callable(answer):
                            answer(connection)
                        else:
                            connection.sendall(answer)
                    except OSError:
                        pass  # the client has had enough

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://k@127.0.0.1:{listening.getsockname()[1]}/shop/production"
        thread.join(10)


def fetch(dsn: str, *, timeout: float = 10.0, max_bytes: int = 1000) -> bytes | None:
    fetcher = Fetcher(read_dsn(dsn), timeout=timeout, max_bytes=max_bytes)
    try:
        return fetcher.fetch(None)
    finally:
        fetcher.close()


def gzipped(body: bytes) -> bytes:
    return OK + f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def without_end(piece: bytes, start: bytes = b"") -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)

    return send


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "cannot be reached"),
        (b"HTTP/1.1 OK\r\n\r\n", "cannot be reached"),
        (b"nonsense " * 20_000, "cannot be reached"),
        (b"x" * 60_000 + b"\r\n\r\n", "cannot be reached"),
        (OK + b"Content-Length: many\r\nConnection: close\r\n\r\n" + b"x" * 2000, "more than 1000 bytes"),
        (OK + b"Content-Length: 9999999999\r\n\r\n" + b"x" * 2000, "more than 1000 bytes"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "cannot be reached"),
        (OK + b"X: y\r\n" * 1000 + b"\r\n", "cannot be reached"),
        (OK + b"X: " + b"y" * 70_000, "cannot be reached"),
        (without_end(b"x" * 65536, OK + b"\r\n"), "more than 1000 bytes"),
        (
            without_end(b"1000\r\n" + b"x" * 4096 + b"\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
            "more than",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://evil.example.com/\r\nContent-Length: 0\r\n\r\n",
            "302; it is not followed",
        ),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
        (b"HTTP/1.1 500 " + b"X" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n", "500; trying again"),
        (OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\n\x06", "Content-Encoding 'br'"),
        (OK + b"Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\nx", "Content-Encoding 'gzip, gzip'"),
        (gzipped(b"snapshot"), "broken gzip"),
        (gzipped(b""), "broken gzip"),
        (gzipped(gzip.compress(b"snapshot")[:-1]), "broken gzip"),
        (gzipped(gzip.compress(b"snapshot")[:-8] + bytes(8)), "broken gzip"),
        (gzipped(gzip.compress(b"snapshot") * 2), "broken gzip"),
        (gzipped(gzip.compress(b"snapshot") + b"x"), "broken gzip"),
        (gzipped(gzip.compress(b"x" * 1001)), "more than 1000 bytes"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_its_reason(answer, reason):
    with answering(answer) as dsn, pytest.raises(FetchError) as refused:
        fetch(dsn)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b"H"),
        (OK, b"x"),
        (OK, b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"\r\n", b"x"),
    ],
    ids=["status", "field", "fields", "interim answers", "body"],
)
def test_an_answer_that_drips_is_given_up_as_a_whole(monkeypatch, start, drop):
    monkeypatch.setattr(fetching, "PATIENCE", 0.02)
    enough = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(start)
        while not enough.wait(0.01):
            connection.sendall(drop)

    with answering(drip) as dsn:
        try:
            with pytest.raises(FetchError, match=r"longer than|timed out"):
                fetch(dsn, max_bytes=10**9)
        finally:
            enough.set()


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_compressed_answer_is_read_and_asked_for(encoding):
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        body = gzip.compress(b"s" * 1000)
        connection.sendall(gzipped(body).replace(b"gzip", encoding.encode(), 1))

    with answering(answer, asked=asked) as dsn:
        assert fetch(dsn, max_bytes=1000) == b"s" * 1000
    assert b"Accept-Encoding: gzip\r\n" in asked[0]


def test_what_unfolds_without_end_takes_no_memory():
    bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=1)
    assert len(bomb) < 512 * 1024
    tracemalloc.start()
    try:
        with answering(gzipped(bomb)) as dsn, pytest.raises(FetchError, match="more than 1048576 bytes"):
            fetch(dsn, max_bytes=1024 * 1024)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * 1024 * 1024


def test_the_next_answer_has_all_the_time_again(monkeypatch):
    monkeypatch.setattr(fetching, "PATIENCE", 1)

    def twice(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 1\r\n\r\n1")
        connection.recv(65536)
        connection.sendall(OK + b"Content-Length: 1\r\n\r\n2")

    with answering(twice) as dsn:
        fetcher = Fetcher(read_dsn(dsn), timeout=10.0, max_bytes=10)
        first = fetcher.fetch(None)
        assert fetcher._connection is not None
        fetcher._connection.sock.settimeout(0.001)  # what a slow first answer leaves behind
        assert (first, fetcher.fetch(None)) == (b"1", b"2")
        fetcher.close()
