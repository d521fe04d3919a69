"""The local door beside the providers: it opens when they are down, and whoever uses it is seen."""

from __future__ import annotations

from django.urls import reverse

from access import notify
from access.models import IdentityProvider, User
from access.permissions import user_actor
from audit.recording import recording


def used(person: User, request_id: str = "") -> None:
    """Somebody signs in with a password or passkey: where providers are connected, that is recorded and told.

    A ledger that cannot append lets nobody in.
    """
    if not IdentityProvider.objects.filter(is_enabled=True).exists():
        return
    with recording(user_actor(person, "ui", request_id)) as record:
        record.event("access.v1.account.signed_in_locally", f"access/{person.pseudonym}")
        notify.tell(
            record,
            "account.signed_in_locally",
            None,
            link=f"{reverse('admin:sessions')}?who={person.pseudonym}",
        )
