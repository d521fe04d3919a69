"""Canonical JSON (RFC 8785) and the digests over it."""

import hashlib
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value. Raises `rfc8785.CanonicalizationError` for what has none."""
    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """`sha256:<hex>` over the canonical bytes, as in the ledger bundle specification."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()
