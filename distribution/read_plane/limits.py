"""How often who may ask: token buckets in the memory of this process, and 429 with `Retry-After` beyond them."""

import ipaddress
import math
import time
from dataclasses import dataclass

from distribution.read_plane.answer import RefusedError, Scope
from distribution.read_plane.keyring import SdkKey
from distribution.read_plane.request import header

# Buckets in one generation; two are kept. Some 20 MB in all, whoever sends from however many addresses.
_MOST = 20_000
# Seconds that sums of fractions may be off.
_ROUNDING = 1e-6


class Buckets:
    """Token buckets, one for each name: `rate` tokens a second, and what two seconds bring at most (or one).

    A bucket is kept as the moment at which it will be full again, so that a full one is the same as none.
    """

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._depth = max(2.0, self._interval)
        self._full_at: dict[str, float] = {}
        self._earlier: dict[str, float] = {}

    def missing(self, name: str) -> float:
        """The seconds after which there will be a token; 0 where there is one. Takes none."""
        now = time.monotonic()
        full_at = max(self._full_at.get(name) or self._earlier.get(name, 0.0), now) + self._interval
        missing = full_at - now - self._depth
        return missing if missing > _ROUNDING else 0.0

    def take(self, name: str) -> float:
        """Take a token; 0 where there was one, else the seconds after which there will be."""
        now = time.monotonic()
        full_at = self._full_at.get(name) or self._earlier.get(name, 0.0)
        full_at = max(full_at, now) + self._interval
        missing = full_at - now - self._depth
        if missing > _ROUNDING:
            return missing
        if len(self._full_at) >= _MOST:  # the generation before, forgotten now, had its time to fill up again
            self._earlier, self._full_at = self._full_at, {}
        self._full_at[name] = full_at
        return 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a second, of one process; 0 for any number.

    `key`: with one server-side key. `address`: with one client-side key, which strangers know, from one
    address; a tenth of it with keys that are not known. `behind_proxy`: whether the last address in
    `X-Forwarded-For` is the client's.
    """

    key: int = 0
    address: int = 0
    behind_proxy: bool = False


class Limits:
    """Charges requests to whoever sends them; raises RefusedError (429) for those that are too many."""

    def __init__(self, rates: Rates) -> None:
        self._keys = Buckets(rates.key) if rates.key else None
        self._addresses = Buckets(rates.address) if rates.address else None
        self._refused = Buckets(rates.address / 10) if rates.address else None
        self._behind_proxy = rates.behind_proxy

    def charge(self, scope: Scope, key: SdkKey) -> None:
        """Charge a request with a known key.

        Reading what the client may have already (GET with `If-None-Match`) is free: nothing is computed for
        it, any number of a service's processes share the key, and all of them come at once for a kill.
        """
        if key.side == "server":
            if self._keys is None or (
                scope["method"] != "POST" and header(scope, "if-none-match") is not None
            ):
                return
            wait = self._keys.take(key.id)
        else:
            if self._addresses is None:
                return
            wait = self._addresses.take(f"{key.id} {self._address(scope)}")
        if wait:
            raise _too_many(f"SDK key: too many requests with key {key.id}", wait)

    def charge_refused(self, scope: Scope) -> None:
        """Charge a request whose key is missing or unknown to its address."""
        if self._refused is not None:
            wait = self._refused.take(self._address(scope))
            if wait:
                raise _too_many("SDK key: too many requests from this address without a known key", wait)

    def _address(self, scope: Scope) -> str:
        forwarded = header(scope, "x-forwarded-for") if self._behind_proxy else None
        client = scope.get("client") or ("", 0)
        text = (forwarded or client[0]).rpartition(",")[2].strip()
        if text.count(":") == 1:
            text = text.partition(":")[0]  # some proxies add the port of IPv4
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text[:64]
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
            return str(int(address) >> 64)  # a household or machine has a /64 to choose addresses from
        return text.lower()


def _too_many(what: str, wait: float) -> RefusedError:
    seconds = math.ceil(wait)
    return RefusedError(429, f"{what}; try again in {seconds} s", headers={"retry-after": str(seconds)})
