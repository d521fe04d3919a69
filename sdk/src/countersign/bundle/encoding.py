"""The encodings of a bundle: each value has exactly one byte form, and every other form is refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any, NoReturn, TypeGuard, cast

import rfc8785

from countersign.bundle.refusal import RuleError
from countersign.notes import decode_base64

MAX_DEPTH = 200
"""Nesting of arrays and objects beyond which JSON is refused: the parser and rfc8785 recurse."""

MAX_PLAIN_BRACKETS = MAX_DEPTH - 8
"""Brackets up to which no part of an event is nested too deep, wherever in it: no document stands deeper than five."""

MAX_INTEGER = 2**53 - 1

_DEC = re.compile(r"0|[1-9][0-9]{0,15}")  # `sequence` has 16 digits, so no index or size needs more
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
"""A pattern of times whose day was not checked yet (see ``is_day``)."""

_TIME = re.compile(TIME)
_TIME_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
DIGEST = r"sha256:[0-9a-f]{64}"
_DIGEST = re.compile(DIGEST)
_B64U = re.compile(r"[A-Za-z0-9_-]*")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


Encoder = Callable[[object], str]
"""Makes the RFC 8785 text of a JSON value. Raises RuleError when it has none."""


def encode(value: object) -> str:
    """The RFC 8785 text of any JSON value. Raises RuleError when it has none."""
    try:
        return rfc8785.dumps(cast(Any, value)).decode("utf-8")
    except (ValueError, RecursionError) as error:
        raise RuleError(f"has no canonical JSON form: {error}") from None


def _plain_encoder() -> Encoder:
    writer = json.JSONEncoder(
        ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # only CPython has it
        return writer.encode
    # What ``writer.encode`` makes anew for every value, which takes as long as writing a small one.
    parts = make(None, writer.default, json.encoder.encode_basestring, None, ":", ",", True, False, False)
    return lambda value: "".join(parts(value, 0))


encode_plain = _plain_encoder()
"""The RFC 8785 text of a value without fractions and without characters beyond U+FFFF.

The standard library writes such a value as RFC 8785 does, many times faster than a writer of every value: it
differs in the form of fractions, and in the order of names, by code points and not by UTF-16 units.
"""


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of any JSON value. Raises RuleError when it has none."""
    return encode(value).encode("utf-8")


def digest(value: object) -> bytes:
    """The 32 bytes of SHA-256(JCS(value))."""
    return hashlib.sha256(canonical(value)).digest()


def digest_text(value: object) -> str:
    """digest(value) as the specification writes it: ``sha256:`` and lower case hex."""
    return "sha256:" + digest(value).hex()


def read_json(data: bytes) -> object:
    """Parse JSON without duplicate names, NaN, integers beyond 2^53-1 or nesting over MAX_DEPTH.

    Raises RuleError; time and memory are linear in the length of ``data``.
    """
    _check_depth(data)
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_read_object,
            parse_int=_read_integer,
            parse_float=_read_float,
            parse_constant=_refuse_constant,
        )
    except RuleError:
        raise
    except UnicodeDecodeError:
        raise RuleError("is not UTF-8") from None
    except (ValueError, RecursionError):
        raise RuleError("is not JSON") from None


def read_canonical(data: bytes) -> object:
    """Parse JSON that must be in RFC 8785 form, byte for byte. Raises RuleError."""
    return read_encoded(data)[0]


def read_encoded(data: bytes) -> tuple[object, Encoder]:
    """Parse JSON that must be in RFC 8785 form, and say what writes its parts again. Raises RuleError."""
    try:
        return read_plain(data.decode("utf-8")), encode_plain
    except (ValueError, RecursionError):
        pass  # read again, with care, to say why
    value = read_json(data)
    if canonical(value) != data:
        raise RuleError("is not in canonical form (RFC 8785)")
    return value, encode


def read_plain(text: str) -> object:
    """Parse a text that ``encode_plain`` writes again, character for character.

    Duplicate names, spaces and other forms of strings and integers are lost in parsing, so the value written
    again would be another text. Raises ValueError or RecursionError for every text that is not in RFC 8785 form,
    and for some that are: with fractions, characters beyond U+FFFF, or so many brackets that it may be nested too
    deep.
    """
    if text.count("[") + text.count("{") > MAX_PLAIN_BRACKETS:
        raise ValueError("may be nested too deep")
    if not text.isascii() and len(text.encode("utf-16-le")) != 2 * len(text):
        raise ValueError("has characters beyond U+FFFF")
    value = _PLAIN.decode(text)
    if encode_plain(value) != text:
        raise ValueError("is not in canonical form")
    return value


def read_dec(text: str) -> int:
    """A non-negative ASCII decimal without leading zeros, at most 16 digits. Raises RuleError."""
    if not _DEC.fullmatch(text):
        raise RuleError(f"{text[:40]!r} is not a decimal number")
    return int(text)


def check_time(value: object, what: str) -> str:
    """``YYYY-MM-DDTHH:MM:SS.ffffffZ``, a moment that exists. Texts of this form sort as the moments do.

    Returns the text; raises RuleError naming ``what``.
    """
    if not isinstance(value, str) or not _TIME_FORM.fullmatch(value):
        raise RuleError(f"{what} is not of the form YYYY-MM-DDTHH:MM:SS.ffffffZ")
    if not _TIME.fullmatch(value) or not is_day(value[:10]):
        raise RuleError(f"{what} is not a moment that exists")
    return value


@lru_cache(maxsize=64)  # events that follow each other are of the same days
def is_day(text: str) -> bool:
    """Whether ``YYYY-MM-DD`` is a day that exists, of the years 1 to 9999."""
    try:
        date(int(text[:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return False
    return True


def read_hash(text: object, what: str) -> bytes:
    """A SHA-256 value in canonical base64. Raises RuleError naming ``what``."""
    try:
        data = decode_base64(text) if isinstance(text, str) else b""
    except ValueError as error:
        raise RuleError(f"{what}: {error}") from None
    if len(data) != 32:
        raise RuleError(f"{what} is not the base64 of 32 bytes")
    return data


def read_b64u(value: object, what: str) -> bytes:
    """RFC 4648 section 5 base64 without padding, canonical form only. Raises RuleError naming ``what``."""
    if not isinstance(value, str) or not _B64U.fullmatch(value):
        raise RuleError(f"{what} is not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        raise RuleError(f"{what} is not base64url without padding") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != value:
        raise RuleError(f"{what} is not in its canonical base64url form")
    return data


def read_digest(value: object, what: str) -> bytes:
    """The 32 bytes of ``sha256:<lower case hex>``. Raises RuleError naming ``what``."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise RuleError(f"{what} is not sha256: and 64 lower case hex digits")
    return bytes.fromhex(value[7:])


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a JSON value is an integer >= 0. Python's True is an int; JSON's true is not a number."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def read_object(
    value: object, what: str, required: frozenset[str], optional: frozenset[str]
) -> dict[str, object]:
    """A JSON object with all members of ``required``, some of ``optional`` and no other. Raises RuleError."""
    if not isinstance(value, dict):
        raise RuleError(f"{what} is not an object")
    others = value.keys() - required
    if len(others) == len(value) - len(required) and others <= optional:
        return value
    for name in sorted(required):
        if name not in value:
            raise RuleError(f"{what} has no {name!r}")
    for name in value:
        if name not in required and name not in optional:
            raise RuleError(f"{what} has a member that does not belong there: {name[:60]!r}")
    return value


def _check_depth(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    # Outside of strings only: without escapes, every second piece between quotes is a string. Text for
    # which this is not so is not JSON, and is refused by the parser.
    outside = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    depth = 0
    for bracket in b"".join(outside).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise RuleError(f"is nested more than {MAX_DEPTH} deep")


def _read_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RuleError("has an object with the same name twice")
    return members


def _read_integer(text: str) -> int:
    # The length first: converting a number of a million digits is slow.
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise RuleError("has an integer beyond 2^53-1")
    return int(text)


def _read_float(text: str) -> float:
    if len(text) > 40:  # no shortest form of a double is longer
        raise RuleError("has a number that is not in canonical form")
    value = float(text)
    if abs(value) > MAX_INTEGER:  # beyond it every double is an integer
        raise RuleError("has an integer beyond 2^53-1")
    return value


def _refuse_constant(name: str) -> object:
    raise RuleError(f"contains {name}, which is not JSON")


def _refuse_plain(text: str) -> NoReturn:
    raise ValueError("a fraction or no number: not for the fast reading")


_PLAIN = json.JSONDecoder(parse_int=_read_integer, parse_float=_refuse_plain, parse_constant=_refuse_plain)
