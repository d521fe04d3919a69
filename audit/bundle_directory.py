"""A bundle as a directory, which is there whole or not at all."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from audit.bundle import Members


def write(directory: Path, members: Members) -> None:
    """Write the files to a draft beside `directory`, and rename that at the end.

    Raises FileExistsError when somebody else made it meanwhile, OSError, or what the members raise; then
    nothing of this is left.
    """
    with _draft(directory) as draft:
        for name, pieces in members:
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for piece in pieces:
                    _put(file, piece)
        if directory.exists():
            raise FileExistsError(f"{directory} was made by somebody else meanwhile; nothing was exported.")
        draft.rename(directory)


def _put(file: BinaryIO, piece: bytes) -> None:
    file.write(piece)


@contextmanager
def _draft(directory: Path) -> Iterator[Path]:
    """A directory of this export alone, gone afterwards. What a killed export left here is removed."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _locked(directory.parent):  # nobody takes a draft for left behind before it is locked
        for left in directory.parent.glob(f".{directory.name}.*.partial"):
            _remove_unless_in_use(left)
        draft = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}.partial")
        draft.mkdir()
        lock = os.open(draft, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(lock)


def _remove_unless_in_use(draft: Path) -> None:
    """The lock ends with the process that holds it, however that ends."""
    lock = os.open(draft, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(lock)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    lock = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
