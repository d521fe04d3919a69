"""The keys of identity providers: discovered and fetched over HTTPS, kept for a while, and nothing else fetched."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
from django.conf import settings

from access import outgoing
from access.limits import LimitsError

LONGEST_ANSWER = 256 * 1024
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
_asking: dict[str, threading.Lock] = defaultdict(threading.Lock)


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
    known = _known.get(issuer)
    if _has_to_ask(known, key_id):
        # One asks. Whoever has the key from before goes on with it meanwhile, the others wait a moment for the answer.
        has_it = known is not None and key_id in known.keys
        if _asking[issuer].acquire(timeout=0 if has_it else outgoing.STEP):
            try:
                if _has_to_ask(_known.get(issuer), key_id):
                    _ask(issuer)
            finally:
                _asking[issuer].release()
        known = _known.get(issuer)
    if known is None:
        raise IssuerError("iss: the issuer's keys cannot be fetched now; try again later.")
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


def _has_to_ask(known: _Known | None, key_id: str) -> bool:
    if known is None:
        return True
    age = time.monotonic() - known.asked_at
    return age >= KEPT or (key_id not in known.keys and age >= PAUSE)


def _ask(issuer: str) -> None:
    known = _known.get(issuer)
    try:
        _known[issuer] = _Known(_fetch_keys(issuer), time.monotonic())
    except IssuerError:
        # Who is away is not asked by every request; keys that were good stay so until then.
        is_good = known is not None and time.monotonic() - known.asked_at < KEPT
        kept = known.keys if known is not None and is_good else {}
        _known[issuer] = _Known(kept, time.monotonic() - KEPT + PAUSE)
        raise


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
        answer = outgoing.ask(
            "GET", address, headers={"Accept": "application/json"}, longest=LONGEST_ANSWER, private=private
        )
        if answer.status != 200 or len(answer.body) > LONGEST_ANSWER:
            raise IssuerError(f"iss: the issuer answers {answer.status}, or too much; try again later.")
        document = json.loads(answer.body)
    except outgoing.PrivateAddressError as error:
        raise IssuerError("iss: the issuer's host has an address that is not public.") from error
    except (outgoing.NoAnswerError, ValueError, RecursionError) as error:
        raise IssuerError("iss: the issuer's keys cannot be fetched now; try again later.") from error
    if not isinstance(document, dict):
        raise IssuerError("iss: the issuer answers no JSON object.")
    return document
