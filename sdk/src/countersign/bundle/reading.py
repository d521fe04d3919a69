"""The entries of a bundle in blocks, read here or, while this process follows the log, ahead in a second one.

The second process does what needs no memory of earlier events: it reads the file, hashes the lines and takes usual
events apart. It refuses nothing but what ``BundleFiles.blocks`` refuses; whatever is not a usual event comes over as
the line that it is. So both ways hand over the same entries, and the log decides about them in one place.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from countersign.bundle.events import is_withheld
from countersign.bundle.files import ENTRIES, MAX_LINE, BundleFiles, ListedFile
from countersign.bundle.refusal import BundleError
from countersign.bundle.tree import leaf_hash
from countersign.bundle.usual import Row, UsualEvents

WORTH_A_PROCESS = 32 * 2**20
"""Bytes of entries below which a second process would take longer to start than it saves."""

Entry = bytes | tuple[bytes, Row]
"""A line; or the leaf hash of a usual event, and what it says (see ``usual.event_of``)."""

Block = tuple[int, Sequence[Entry]]
"""Entries that follow each other, and the number (from 1) of the line of the first."""

_Job = tuple[str, str, int, str, int]
"""The bundle's directory, the digest and length of its entries, the origin, the index of the first entry."""

_COMMAND = "import sys; sys.path[:] = {!a}; from countersign.bundle.reading import read_for; read_for({!a})"
_STARTED = b"!"


def lines_alone(files: BundleFiles) -> Generator[Block, None, None]:
    """All entries of a bundle as the lines that they are. Raises BundleError."""
    yield from files.blocks(ENTRIES, MAX_LINE)


def read_blocks(files: BundleFiles, origin: str, first: int) -> Generator[Block, None, None]:
    """All entries of a bundle of log ``origin`` whose first entry has index ``first``. Raises BundleError."""
    usual = UsualEvents(origin)
    for number, lines in files.blocks(ENTRIES, MAX_LINE):
        yield number, [_read(usual, line, index) for index, line in enumerate(lines, first + number - 1)]


def _read(usual: UsualEvents, line: bytes, index: int) -> Entry:
    row = None if is_withheld(line) else usual.read(line, index)
    return line if row is None else (leaf_hash(line), row)


def read_blocks_ahead(files: BundleFiles, origin: str, first: int) -> Generator[Block, None, None]:
    """``read_blocks`` by a second process, which is a block ahead at most and ends when this is closed."""
    listed = files.listed[ENTRIES]
    process = _start((str(files.directory.absolute()), listed.sha256, listed.length, origin, first))
    if process is None:
        yield from read_blocks(files, origin, first)
        return
    with process:
        try:
            assert process.stdout is not None
            if process.stdout.read(1) == _STARTED:
                yield from _receive(process.stdout)
            else:
                yield from read_blocks(files, origin, first)
        finally:
            process.kill()


def _start(job: _Job) -> subprocess.Popen[bytes] | None:
    """The second process; None where none can be started."""
    # Isolated: Python would look for modules in the working directory, where a hostile bundle may lie. In a session
    # of its own: an interrupt from the terminal is for this process, which ends the other one.
    try:
        return subprocess.Popen(  # noqa: S603  (our own code)
            [sys.executable, "-I", "-c", _COMMAND.format(sys.path, job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None


def _receive(pipe: IO[bytes]) -> Generator[Block, None, None]:
    while True:
        length = int.from_bytes(pipe.read(4), "big")
        message = pipe.read(length)
        if not length or len(message) < length:
            raise BundleError(ENTRIES, "the process that reads it ended early; is there enough memory?")
        block = marshal.loads(message)  # noqa: S302  (from our own process, on this machine)
        if isinstance(block, str):
            raise BundleError(*block.split(": ", 1))  # as it was raised there
        if block is None:
            return
        yield block


def read_for(job: _Job) -> None:
    """What the second process does: write all blocks to its standard output."""
    directory, sha256, length, origin, first = job
    files = BundleFiles(Path(directory))
    files.listed = {ENTRIES: ListedFile(sha256, length)}
    with suppress(BrokenPipeError), os.fdopen(1, "wb", closefd=False) as pipe:
        pipe.write(_STARTED)
        try:
            for block in read_blocks(files, origin, first):
                _send(pipe, block)
            _send(pipe, None)
        except BundleError as error:
            _send(pipe, str(error))


def _send(pipe: IO[bytes], value: Any) -> None:
    message = marshal.dumps(value)
    pipe.write(len(message).to_bytes(4, "big"))
    pipe.write(message)
    pipe.flush()
