"""Log lines that nobody can break: whatever a request carries, it is one line, and a trace is set apart."""

from __future__ import annotations

import logging
from typing import Any


def inert(text: str) -> str:
    """The text with control characters written out, so that it ends no line and moves no terminal's cursor."""
    return "".join(
        each if each.isprintable() or each == " " else each.encode("unicode_escape").decode() for each in text
    )


class Lines(logging.Formatter):
    """One line a record; the lines of a trace are indented, so that none of them looks like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        record.message = inert(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"    {inert(line)}" for line in lines)
