"""The origins whose pages may use a client-side key, in the one form in which browsers name them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from countersign.members import DocumentError

MOST = 100
"""Origins of one key: the signed keyring carries all of them to every process."""

ANY = "*"
_PORTS = {"http": 80, "https": 443}
_LABEL = "(?!-)[a-z0-9_-]{1,63}(?<!-)"
_ORIGIN = re.compile(
    rf"(https?)://({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\])(?::([0-9]{{1,5}}))?/?",
    re.ASCII | re.IGNORECASE,
)


def canonical_origins(given: Sequence[str]) -> list[str]:
    """Each of `given` as browsers write it in `Origin` (RFC 6454, section 6.2), sorted, once.

    Raises DocumentError naming the member, the reason and what to write.
    """
    if len(given) > MOST:
        raise DocumentError("origins", f"are {len(given)}, more than {MOST}; use a key for each app")
    origins = sorted({_canonical(text, f"origins[{position}]") for position, text in enumerate(given)})
    if ANY in origins and len(origins) > 1:
        raise DocumentError("origins", "hold * beside others; * allows every origin, so leave it or them out")
    return origins


def _canonical(text: str, member: str) -> str:
    if text == ANY:
        return text
    match = _ORIGIN.fullmatch(text)
    host = _host(match[2].lower()) if match else ""
    port = int(match[3] or 0) if match else 0
    if match is None or not host or len(host) > 253 or port > 65535:
        raise DocumentError(
            member,
            f"{text[:100]!a} is no origin; write scheme, host and perhaps port, like https://app.example.com "
            "(no path, no wildcard, international names as xn--…), or * alone",
        )
    scheme = match[1].lower()
    return f"{scheme}://{host}" + (f":{port}" if port and port != _PORTS[scheme] else "")


def _host(name: str) -> str:
    """The name, an IPv6 address in its short form; empty where it is none."""
    if not name.startswith("["):
        return name
    try:
        return f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]"
    except ValueError:
        return ""
