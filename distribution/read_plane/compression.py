"""gzip, for those who ask for it, of answers that are long enough to gain by it.

A snapshot's entity tag is the same in both forms: the specification names it, and it is of the signed file,
which is what a client has in the end whatever the transfer looked like. No ranges are served, which is what
strong tags of encoded forms must differ for.
"""

import asyncio
import re
import zlib
from dataclasses import replace
from functools import lru_cache

from distribution.read_plane.answer import Answer, Scope, varying
from distribution.read_plane.request import header

SHORTEST = 1024
"""Bytes below which a body is sent as it is: one packet takes it either way."""

# Bytes above which compressing would hold up the event loop for more than a millisecond or two.
_LONG = 64 * 1024
_ITEM = re.compile(
    r"\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?", re.ASCII
)
# Characters of the longest `Accept-Encoding` that is read. Browsers send about twenty.
_LONGEST_FIELD = 200


def gzip_of(body: bytes) -> bytes:
    """`body` as one gzip member, always the same bytes: no time, no name."""
    return zlib.compress(body, 6, wbits=31)


async def compressed(answer: Answer, scope: Scope) -> Answer:
    """`answer` as gzip where that is worth it and asked for; `Vary` says so either way."""
    if len(answer.body) < SHORTEST:
        return answer
    if "Accept-Encoding" not in answer.headers.get("vary", ""):
        answer = replace(answer, headers=varying(answer.headers, "Accept-Encoding"))
    body = answer.gzipped
    if body == b"" or not prefers_gzip(header(scope, "accept-encoding")):
        return answer
    if body is None and len(answer.body) < _LONG:
        body = gzip_of(answer.body)
    elif body is None:
        body = await asyncio.to_thread(gzip_of, answer.body)
    return replace(answer, body=body, headers={**answer.headers, "content-encoding": "gzip"})


@lru_cache(256)
def _weights(field: str) -> dict[str, float] | None:
    weights: dict[str, float] = {}
    for item in filter(str.strip, field.split(",")):
        match = _ITEM.fullmatch(item)
        if match is None:
            return None
        weights[match[1].lower()] = 1.0 if match[2] is None else float(match[2])
    return weights


def prefers_gzip(field: str | None) -> bool:
    """Whether `Accept-Encoding` takes gzip, and likes it no less than the plain form (RFC 9110, 12.5.3)."""
    if field is None or len(field) > _LONGEST_FIELD:
        return False
    weights = _weights(field)
    if weights is None:
        return False
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)
