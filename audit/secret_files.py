"""Secrets of the embedded default: made once, kept in a file that only its owner can read.

Imports no Django: the settings need it for the secret key.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the ASCII text in `path`, writing what `make` gives if there is no such file.

    Threads and processes that start at once agree: the first to link its file into place wins.
    """
    if not path.exists():
        with _draft(path, make()) as draft:
            with suppress(FileExistsError):
                os.link(draft, path)
            _make_durable(path.parent)
    return path.read_text(encoding="ascii").strip()


def replace_secret(path: Path, text: str) -> None:
    """Put `text` in place of what the file has: all of it or nothing, also when the power fails."""
    with _draft(path, text) as draft:
        os.replace(draft, path)
        _make_durable(path.parent)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Let one thread or process in at a time, to read what the directory's files have and replace it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    """A file of this call alone with `text`, on the disk; gone afterwards, also when the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _make_durable(directory: Path) -> None:
    """A row that names a new key must not outlive the name of the file that has it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
