"""Numbers in stored documents: PostgreSQL writes a large float as an integer, which must stay a double."""

from __future__ import annotations

import json
from typing import Any

LARGEST_INTEGER = 2**53 - 1


def _number(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) <= LARGEST_INTEGER else float(number)


class DocumentDecoder(json.JSONDecoder):
    """Reads an integer beyond ±(2^53−1) as the double that it was when it was stored (1e20, say)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "parse_int": _number})
