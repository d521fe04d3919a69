"""A provider says that somebody is signed out there (OpenID Connect Back-Channel Logout 1.0): their sessions end here.

So what a provider knows between two sign-ins reaches the sessions that are open. The next sign-in reads the groups.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jwt

from access import issuers
from access.models import User
from access.permissions import system_actor
from access.signin.models import IdentityProvider
from access.signin.taking_back import end_sessions_by
from audit.recording import recording

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_ALGORITHMS = ("RS256", "ES256")
_LEEWAY = 60  # seconds
_LONGEST = 16 * 1024


class LogoutError(Exception):
    """No logout token of this provider, for us, of now; the text says why."""


def log_out(provider: IdentityProvider, token: str) -> int:
    """End the sessions that the provider opened for whom a logout token names; returns how many.

    Those that began after the token was made go on, so that it is of no use later. Raises `LogoutError`.
    """
    claims = _verified(provider, token)
    people = User.objects.filter(socialaccount__provider=provider.key, socialaccount__uid=claims["sub"])
    made_at = datetime.fromtimestamp(claims["iat"] + _LEEWAY, UTC)
    with recording(system_actor("sign-in", "ui")) as record:
        return end_sessions_by(record, provider, people, begun_before=made_at)


def _verified(provider: IdentityProvider, token: str) -> dict[str, Any]:
    try:
        if len(token) > _LONGEST:
            raise LogoutError(f"The token is longer than {_LONGEST} bytes.")
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in _ALGORITHMS or not isinstance(header.get("kid"), str):
            raise LogoutError(f"It must be signed with {' or '.join(_ALGORITHMS)} by a key that it names.")
        claims: dict[str, Any] = jwt.decode(
            token,
            # Kept for a while, and asked for seldom, whoever sends us tokens.
            issuers.signing_key(provider.issuer, header["kid"], header["alg"]),
            algorithms=[header["alg"]],
            issuer=provider.issuer,
            audience=provider.client_id,
            leeway=_LEEWAY,
            options={"require": ["iss", "aud", "iat", "exp", "jti", "events", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, RecursionError, issuers.IssuerError) as error:
        raise LogoutError(str(error)) from error
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict) or "nonce" in claims:
        raise LogoutError("It is no logout token.")
    return claims
