"""How often the API may be asked: by one token or person, from one address, and by whom it does not know.

Token buckets in the memory of this process, as the read plane has them, and 429 with `Retry-After` beyond.
"""

from __future__ import annotations

from functools import cache
from ipaddress import IPv6Address

from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from access.scopes import address_of
from distribution.read_plane.limits import Buckets


class Rates:
    """Buckets of `rate` requests a second by one credential; twice that from one address; of those that are
    refused because nobody knows who asks, a tenth from one address."""

    def __init__(self, rate: int) -> None:
        self._holders = Buckets(rate)
        self._addresses = Buckets(rate * 2)
        self._unknown = Buckets(rate / 10)

    def admit(self, request: Request) -> None:
        """Charge the address. Raises Throttled, also for one that was refused too often."""
        address = _address(request)
        _refuse(self._unknown.missing(address), "from this address without a token that is known")
        _refuse(self._addresses.take(address), "from this address")

    def charge(self, holder: str) -> None:
        """Charge the token, trust rule or person. Raises Throttled."""
        _refuse(self._holders.take(holder), "with this token or by this person")

    def refused(self, request: Request) -> None:
        """Remember that nobody knows who asked. The next one too many is not looked at."""
        self._unknown.take(_address(request))


@cache
def rates(rate: int) -> Rates | None:
    """The buckets of this process for a rate; None for any number of requests."""
    return Rates(rate) if rate else None


def _refuse(wait: float, what: str) -> None:
    if wait:
        raise Throttled(wait, f"Too many requests {what}; wait as long as Retry-After says.")


def _address(request: Request) -> str:
    address = address_of(request.META, behind_proxy=settings.BEHIND_TLS_PROXY)
    if isinstance(address, IPv6Address):
        return str(int(address) >> 64)  # a household or machine has a /64 to choose addresses from
    return str(address)
