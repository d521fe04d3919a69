"""Canonical JSON (RFC 8785) and the digests over it."""

import hashlib
import json
from typing import Any

import rfc8785

_LARGEST_INTEGER = 2**53 - 1
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value. Raises `rfc8785.CanonicalizationError` for what has none."""
    if _is_plain(value):
        try:
            return _encoder.encode(value).encode()
        except UnicodeEncodeError:
            pass  # half a surrogate pair, which the library words
    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """`sha256:<hex>` over the canonical bytes, as in the ledger bundle specification."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def _is_plain(value: Any) -> bool:
    """Whether the standard library writes the same bytes, in a tenth of the time.

    It escapes texts as RFC 8785 section 3.2.2.2 does. It differs in fractions, in the order of names beyond
    the basic plane, in what it makes of names that are no texts, and has no largest integer.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return abs(int(value)) <= _LARGEST_INTEGER
    if kind is dict:
        for name, member in value.items():
            if type(name) is not str or not name.isascii() or not _is_plain(member):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))
    return False
