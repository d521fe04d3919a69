"""Requests that we send to addresses which somebody else chose: of issuers, identity providers, webhooks.

Safe against being sent elsewhere: no redirects, no proxy, the address that was looked up and found public is
the one that is connected to, and an answer has a longest size and time.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

STEP = 5.0
"""Seconds that one step of a request may take."""
LONGEST = 15.0
"""Seconds from the connection to the end of the answer."""


# Behind a gateway these are the IPv4 address in their last 32 bits (RFC 6052, RFC 8215).
_NAT64 = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))


class PrivateAddressError(Exception):
    """A host has an address that is not public, and is none that may."""


class NoAnswerError(Exception):
    """Nothing that can be used came back: no such host, nobody there, too slow, or no HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; of `body` at most one byte more than was asked for."""

    status: int
    body: bytes


def ask(
    method: str,
    address: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    longest: int,
    private: bool = False,
) -> Answer:
    """One request to `address`, http or https. `longest`: bytes of the answer that are read.

    `private`: the host may have an address that is not public. Raises `PrivateAddressError`, `NoAnswerError`.
    """
    try:
        parts = urlsplit(address)
        connection = _connect(parts.hostname or "", parts.port, parts.scheme == "https", private)
    except (OSError, ValueError) as error:
        raise NoAnswerError(f"cannot be connected to: {_reason(error)}") from error
    taken: socket.socket = connection.sock
    # Not `SSLSocket.shutdown`, which would take the session from under the thread that reads.
    timer = threading.Timer(LONGEST, socket.socket.shutdown, (taken, socket.SHUT_RDWR))
    timer.daemon = True
    timer.start()
    late = f"is slower than {LONGEST:.0f} seconds"
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers=dict(headers))
        response = connection.getresponse()
        answer = Answer(response.status, _read(response, longest))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswerError(_reason(error) if timer.is_alive() else late) from error
    else:
        if not timer.is_alive():  # an answer that was cut off looks like one that ended
            raise NoAnswerError(late)
        return answer
    finally:
        timer.cancel()
        connection.close()


def public_address(host: str, port: int, *, private: bool = False) -> str:
    """The address of a host. `private`: it may be any. Raises `PrivateAddressError`, or OSError for none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = {str(each[4][0]) for each in found}
    if not private and not all(is_public(ipaddress.ip_address(each.partition("%")[0])) for each in addresses):
        raise PrivateAddressError(f"{host} has an address that is not public")
    return sorted(addresses)[0]


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one host of the public internet. Multicast, and NAT64 of what is not, are none."""
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if any(address in each for each in _NAT64):
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inside is not None:
            return is_public(inside)
    return address.is_global and not address.is_multicast


def _connect(host: str, port: int | None, secure: bool, private: bool) -> http.client.HTTPConnection:
    port = port or (443 if secure else 80)
    plain = socket.create_connection((public_address(host, port, private=private), port), timeout=STEP)
    connection = http.client.HTTPConnection(host, port, timeout=STEP)
    connection.sock = plain
    # So that `Host` names the port only where it is another one.
    connection.default_port = 443 if secure else 80
    if secure:
        try:
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
    return connection


def _read(response: http.client.HTTPResponse, longest: int) -> bytes:
    body = b""
    while len(body) <= longest and (part := response.read1(longest + 1 - len(body))):
        body += part
    return body


def _reason(error: Exception) -> str:
    """In words that name nothing of the request."""
    if isinstance(error, TimeoutError):
        return f"does not answer within {STEP:.0f} seconds"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not valid: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "no such host"
    return (
        type(error).__name__ if not isinstance(error, OSError) else (error.strerror or type(error).__name__)
    )
