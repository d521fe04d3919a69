"""Who asks: from an SDK key to the environment it opens, and the snapshot served there."""

from dataclasses import dataclass

from countersign.snapshot import Snapshot
from distribution.read_plane.answer import RefusedError, Scope
from distribution.read_plane.holder import Holder
from distribution.read_plane.keyring import SdkKey
from distribution.read_plane.request import presented_key

# Seconds after which to ask again where nothing was published or loaded yet; a poll is more often than that.
_RETRY_AFTER = {"retry-after": "2"}


@dataclass(frozen=True, slots=True)
class Access:
    """A key that was recognised, and the snapshot of its environment at this moment."""

    key: SdkKey
    snapshot: Snapshot

    def sees(self, flag: str) -> bool:
        """Whether `flag` exists for the holder of this key."""
        if flag not in self.snapshot:
            return False
        return self.key.side == "server" or self.snapshot.flag_is_client_side(flag)


def identify(
    scope: Scope, holder: Holder, *, in_contact: bool, api_key: bool
) -> tuple[SdkKey, Snapshot | None]:
    """The key that `scope` presents; raises RefusedError (401 missing, garbled or unknown; 503 too early).

    `in_contact` is whether any keyring could have been loaded: before that a key cannot be called unknown,
    and a 401 would make clients give up for good. `api_key` is whether `X-API-Key` is taken as well.
    """
    key = presented_key(scope, api_key=api_key)
    fields = "Authorization: Bearer <SDK key>" + (" or X-API-Key" if api_key else "")
    if key is None:
        raise RefusedError(
            401, f"SDK key: missing or garbled; send {fields}", headers={"www-authenticate": "Bearer"}
        )
    found = holder.find_key(key)
    if found is not None:
        return found
    if not in_contact:
        raise RefusedError(
            503,
            "SDK key: no keyring is loaded yet, because no store has answered since the start; try again",
            "PROVIDER_NOT_READY",
            headers=_RETRY_AFTER,
        )
    raise RefusedError(
        401,
        f"SDK key: not known, or revoked; take a current one from the environment's page and send {fields}",
        headers={"www-authenticate": 'Bearer error="invalid_token"'},
    )


def grant(key: SdkKey, snapshot: Snapshot | None) -> Access:
    """Access with `key`; raises RefusedError (503) where its environment has no snapshot yet."""
    if snapshot is None:
        raise RefusedError(
            503,
            f"snapshot: none of {key.environment} is loaded yet; try again, or see /readyz for the reason",
            "PROVIDER_NOT_READY",
            headers=_RETRY_AFTER,
        )
    return Access(key, snapshot)


def grant_rules(key: SdkKey, snapshot: Snapshot | None, *, what: str) -> Access:
    """Access to what holds the targeting rules, for server-side keys; `what`: how a refusal names it.

    Raises RefusedError (403 for client-side keys, 503).
    """
    if key.side != "server":
        raise RefusedError(
            403,
            f"SDK key: {key.id} is a client-side key, and {what} the targeting rules; "
            "evaluate through /ofrep/v1/evaluate/flags with it, or use a server-side key",
        )
    return grant(key, snapshot)
