"""The keys of identity providers: discovered and fetched over HTTPS, kept for a while, and nothing else fetched.

Safe against being sent elsewhere: no redirects, no proxy, the address that was looked up and found public is
the one that is connected to, and an answer has a longest size and time.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
from django.conf import settings

from access.limits import LimitsError

LONGEST_ANSWER = 256 * 1024
TIMEOUT = 5.0
"""Seconds for each step of a request."""
KEPT = 600.0
"""Seconds for which an issuer's keys are believed without asking again."""
PAUSE = 30.0
"""Seconds between two requests to one issuer, whatever is asked of us."""
MOST_KEYS = 50


class IssuerError(Exception):
    """An issuer's keys cannot be had, or have not the one that is asked for."""


@dataclass
class _Known:
    keys: dict[str, dict[str, Any]]
    asked_at: float


_known: dict[str, _Known] = {}
# One for each issuer that a rule names: who is slow holds up nobody else.
_locks: dict[str, threading.Lock] = defaultdict(threading.Lock)


def checked(issuer: str) -> str:
    """The address of an issuer, as it may stand in a trust rule. Raises `LimitsError`."""
    try:
        parts = urlsplit(issuer)
        port = parts.port
    except ValueError as error:
        raise LimitsError("issuer", f"is no address: {error}") from error
    plain = parts.scheme == "http" and issuer in settings.PRIVATE_ISSUERS
    if parts.scheme != "https" and not plain:
        raise LimitsError("issuer", "must be an https:// address, exactly as the tokens' `iss` has it")
    if not parts.hostname or parts.username or parts.query or parts.fragment or port == 0:
        raise LimitsError("issuer", "must be a plain address, such as https://token.example.com")
    return issuer


def signing_key(issuer: str, key_id: str, algorithm: str) -> Any:
    """The public key of an issuer that a token names. Raises `IssuerError`.

    A key that is not known makes us ask again, at most every `PAUSE` seconds: keys rotate.
    """
    with _locks[issuer]:
        known = _known.get(issuer)
        age = time.monotonic() - known.asked_at if known else KEPT
        if known is None or age >= KEPT or (key_id not in known.keys and age >= PAUSE):
            try:
                known = _Known(_fetch_keys(issuer), time.monotonic())
            except IssuerError:
                # Who is away is not asked by every request; keys that were good stay so until then.
                known = _Known(known.keys if known and age < KEPT else {}, time.monotonic() - KEPT + PAUSE)
                _known[issuer] = known
                raise
            _known[issuer] = known
    found = known.keys.get(key_id)
    if found is None:
        raise IssuerError("kid: the issuer has no such key; the token is forged, or its key was just made.")
    kind = {"RS256": "RSA", "ES256": "EC"}[algorithm]
    if (
        found.get("kty") != kind
        or found.get("use", "sig") != "sig"
        or found.get("alg", algorithm) != algorithm
    ):
        raise IssuerError(f"kid: the issuer's key is not one for {algorithm}.")
    try:
        return jwt.PyJWK(found, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise IssuerError("kid: the issuer's key cannot be read.") from error


def forget() -> None:
    """Ask every issuer anew."""
    _known.clear()


def _fetch_keys(issuer: str) -> dict[str, dict[str, Any]]:
    about = _get(issuer, issuer.rstrip("/") + "/.well-known/openid-configuration")
    if about.get("issuer") != issuer:
        raise IssuerError("iss: the issuer's own description names another one.")
    address = about.get("jwks_uri")
    if not isinstance(address, str):
        raise IssuerError("iss: the issuer does not say where its keys are.")
    keys = _get(issuer, address).get("keys")
    if not isinstance(keys, list):
        raise IssuerError("iss: what the issuer gives as its keys are none.")
    return {
        each["kid"]: each
        for each in keys[:MOST_KEYS]
        if isinstance(each, dict) and isinstance(each.get("kid"), str)
    }


def _get(issuer: str, address: str) -> dict[str, Any]:
    """A JSON object from an issuer. `IssuerError` in every other case."""
    parts = urlsplit(address)
    private = issuer in settings.PRIVATE_ISSUERS
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise IssuerError("iss: the issuer's keys are not at an https:// address.")
    try:
        connection = _connect(parts.hostname or "", parts.port, parts.scheme == "https", private)
        try:
            connection.request("GET", parts.path or "/", headers={"Accept": "application/json"})
            response = connection.getresponse()
            body = _read(response)
        finally:
            connection.close()
        if response.status != 200 or len(body) > LONGEST_ANSWER:
            raise IssuerError(f"iss: the issuer answers {response.status}, or too much; try again later.")
        document = json.loads(body)
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise IssuerError("iss: the issuer's keys cannot be fetched now; try again later.") from error
    if not isinstance(document, dict):
        raise IssuerError("iss: the issuer answers no JSON object.")
    return document


def _read(response: http.client.HTTPResponse) -> bytes:
    """At most one byte more than the longest answer; `OSError` where it trickles."""
    deadline, body = time.monotonic() + 2 * TIMEOUT, b""
    while len(body) <= LONGEST_ANSWER and (part := response.read1(LONGEST_ANSWER + 1 - len(body))):
        body += part
        if time.monotonic() > deadline:
            raise TimeoutError("the answer trickles")
    return body


def _connect(host: str, port: int | None, secure: bool, private: bool) -> http.client.HTTPConnection:
    """A connection to an address that was looked up once, and is public unless the issuer may be private."""
    port = port or (443 if secure else 80)
    addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    if not private and not all(ipaddress.ip_address(each.partition("%")[0]).is_global for each in addresses):
        raise IssuerError("iss: the issuer's host has an address that is not public.")
    plain = socket.create_connection((sorted(addresses)[0], port), timeout=TIMEOUT)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    if secure:
        try:
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
    else:
        connection.sock = plain
    return connection
