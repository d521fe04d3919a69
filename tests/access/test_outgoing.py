"""Where the server sends nothing: addresses that only look public."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from access.outgoing import is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::5db8:d822", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("2002:a00:1::", False),
        ("::ffff:127.0.0.1", False),
        ("224.0.0.1", False),
        ("ff0e::1", False),
        ("239.255.255.250", False),
        ("169.254.169.254", False),
    ],
)
def test_an_address_is_public_or_not(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public
