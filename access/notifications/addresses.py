"""Where webhooks and chats may be: over HTTPS, at public addresses, of services that are known.

`COUNTERSIGN_PRIVATE_RECEIVERS` names the hosts that may have other addresses; webhooks there may be plain http.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import apprise
from django.conf import settings

from access import outgoing

# Whose hosts the service itself fixes, and which run on a host of one's own.
FIXED = ("slack", "discord", "tgram", "gchat", "wxteams")
HOSTED = ("mmosts", "rockets", "ntfys", "nctalks", "workflows")
# What would loosen or slow a request, whatever the service.
_REFUSED = frozenset({"verify", "redirect", "rto", "cto", "retry", "wait"})
_LONGEST = 500


class AddressError(ValueError):
    """An address that nothing is sent to; the text says why and what to do."""


def checked_webhook(address: str) -> str:
    """The address of a webhook. Raises `AddressError`."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"is no address: {error}") from error
    is_private = host in settings.PRIVATE_RECEIVERS
    if parts.scheme != "https" and not (parts.scheme == "http" and is_private):
        raise AddressError("must begin with https://")
    if not host or parts.username or parts.password or parts.fragment or port == 0:
        raise AddressError("must be an address such as https://example.com/hooks, without user and fragment")
    if len(address) > _LONGEST or not address.isascii() or not address.isprintable() or " " in address:
        raise AddressError(f"must be at most {_LONGEST} plain characters")
    _refuse_private(host, port or 443)
    return address


def chat_service(address: str) -> Any:
    """The service that an apprise address names, ready to send. Raises `AddressError`."""
    address = address.strip()
    scheme = address.partition(":")[0].lower()
    query = parse_qs(urlsplit(address).query, keep_blank_values=True) if "?" in address else {}
    if scheme != "https" and query:
        raise AddressError("must have nothing after a question mark")
    if len(address) > _LONGEST or _REFUSED & {name.lower() for name in query}:
        raise AddressError(f"must be at most {_LONGEST} characters, without {', '.join(sorted(_REFUSED))}")
    service = apprise.Apprise.instantiate(address, suppress_exceptions=True)
    kinds = getattr(service, "secure_protocol", None) or ()
    known = {kinds} if isinstance(kinds, str) else set(kinds)
    if service is None or not known & {*FIXED, *HOSTED} or (scheme != "https" and scheme not in known):
        raise AddressError(
            "is no address of a chat that is known here; it looks like slack://… or https://hooks.slack.com/…; "
            f"known are {', '.join((*FIXED, *HOSTED))} (https://appriseit.com/services/)"
        )
    if known & set(HOSTED):
        _refuse_private(str(service.host or ""), int(service.port or 443))
    # Set here, so that no address says otherwise. With certificates verified, a name that leads elsewhere a moment
    # later leads to nobody who can read the request.
    service.redirects, service.verify_certificate = False, True
    service.socket_connect_timeout = service.socket_read_timeout = outgoing.STEP
    return service


def masked(service: Any) -> str:
    """The address of a service with what is secret starred out."""
    return str(service.url(privacy=True)).partition("?")[0][:300]


def _refuse_private(host: str, port: int) -> None:
    try:
        outgoing.public_address(host, port, private=host in settings.PRIVATE_RECEIVERS)
    except outgoing.PrivateAddressError as error:
        raise AddressError(
            f"{error}; whoever runs Countersign can allow it by COUNTERSIGN_PRIVATE_RECEIVERS"
        ) from error
    except OSError as error:
        raise AddressError(f"{host or 'its host'} is not known to the name service") from error
