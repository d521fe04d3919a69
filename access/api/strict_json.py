"""JSON that everybody reads the same way: what has no canonical form is refused where it enters."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

DEEPEST = 64
"""Levels of nesting: a document's 32 and what a request wraps around it, with room to spare."""

LARGEST_INTEGER = 2**53 - 1
"""Beyond it, readers that use doubles would see another number (RFC 8785 and RFC 7493)."""


class StrictJSONParser(BaseParser):
    """UTF-8 JSON without duplicate members, NaN, huge numbers, U+0000, lone surrogates or deep nesting."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        # Django checks this limit in `HttpRequest.body`, which a stream passes by.
        raw = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(raw) > limit:
            raise RequestDataTooBig(f"The body is larger than {limit} bytes; send less at a time.")
        return read(raw)


def read(raw: bytes) -> Any:
    """The value of a JSON text. Raises `ParseError`, which says what is wrong and where."""
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8 at byte {error.start}.") from error
    except RecursionError as error:
        raise ParseError(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON at character {error.pos}: {error.msg}.") from error
    _check(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ParseError(f"The member {_shown(name)} stands twice in one object; keep one.")
            seen.add(name)
    return members


def _integer(text: str) -> int:
    # Counted before it is converted: converting takes time that grows with the square of the digits.
    if len(text) > 17 or abs(int(text)) > LARGEST_INTEGER:
        raise ParseError(f"The integer {text[:20]}… is beyond ±(2^53-1); send it as a string.")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ParseError(f"The number {text[:20]} is beyond the range of a double.")
    return number


def _constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
_TOO_DEEP = f"The body is nested more than {DEEPEST} levels deep."


def _check(value: Any) -> None:
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, dict | list):
            if depth == DEEPEST:
                raise ParseError(_TOO_DEEP)
            if isinstance(item, dict):
                for name in item:
                    _check_text(name)
            pending += [(member, depth + 1) for member in (item.values() if isinstance(item, dict) else item)]


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ParseError("The body contains the character U+0000; remove it.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ParseError("The body contains half of a surrogate pair; send whole characters.") from error


def _shown(name: str) -> str:
    return ascii(name[:60])
