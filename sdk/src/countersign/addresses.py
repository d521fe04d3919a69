"""Addresses and CIDR blocks as the operator `ip_in` reads them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_LONGEST = 45  # characters of an address: eight groups, the last two as an IPv4 address
_BLOCK = re.compile(r"[0-9A-Fa-f:.]+/(?:0|[1-9][0-9]{0,2})")


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address without zone, port, prefix or leading zeros, or None. An IPv4-mapped one is IPv6."""
    if "%" in text or len(text) > _LONGEST:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def read_block(text: str) -> IPv4Network | IPv6Network | None:
    """A CIDR block with its length in decimal and no host bits, or None."""
    if _BLOCK.fullmatch(text) is None:
        return None
    try:
        return ip_network(text)
    except ValueError:
        return None
