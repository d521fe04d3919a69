"""Connecting identity providers: the verbs behind the page and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.core.exceptions import ValidationError
from django.urls import reverse

from access.models import Membership, OrganisationMembership, TeamMember, User
from access.notifications import webhooks
from access.permissions import require_in_organisation
from access.signin.factors import reseal_factors
from access.signin.linking import unlink_in
from access.signin.models import IdentityProvider
from access.signin.rules import checked_rules
from access.signin.sealing import resealed, seal
from access.signin.taking_back import keep_by_hand, linked_to, take_back
from audit.actor import Actor
from audit.recording import recording

MEMBERS = (
    "name",
    "client_id",
    "is_enabled",
    "creates_accounts",
    "scopes",
    "groups_claim",
    "second_factor",
    "rules",
)
DEFAULT_SCOPES = ("openid", "profile", "email")


def save_provider(
    actor: Actor, key: str, members: Mapping[str, Any], *, secret: str | None = None
) -> IdentityProvider:
    """Connect a provider, or change the `members` given of one that is connected. `secret` None: as it stands.

    The issuer is set once: accounts are known by it, so another issuer is another provider. One that is disabled
    loses at once what its rules gave, and the sessions that it opened.
    Raises `ForbiddenError`, `LastAdministratorError`, or ValidationError naming the member at fault.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        row = IdentityProvider.objects.select_for_update(no_key=True).filter(key=key).first()
        before = None if row is None else row.document
        if row is None:
            row = IdentityProvider(key=key, issuer=members.get("issuer", ""), scopes=list(DEFAULT_SCOPES))
        elif members.get("issuer", row.issuer) != row.issuer:
            raise ValidationError(
                {"issuer": "stays as it is: accounts are known by it. Connect another provider."}
            )
        for name in MEMBERS:
            if name in members:
                setattr(row, name, members[name])
        refuse_unsafe(row.issuer)
        if "rules" in members:  # else a team that is gone would keep a provider from being disabled
            row.rules = checked_rules(row.rules)
        if "openid" not in row.scopes:
            raise ValidationError({"scopes": "must contain openid; without it there is no id token"})
        if not all(isinstance(each, str) and each for each in row.second_factor):
            raise ValidationError({"second_factor": "must be a list of values of acr or amr"})
        row.full_clean(validate_unique=False)
        if secret is not None:
            row.sealed_secret = seal(secret) if secret else ""
        if row.document == before and secret is None:
            return row
        record.event(
            "access.v1.identity_provider.changed",
            row.ledger_subject,
            {} if secret is None else {"secret": "set" if secret else "removed"},
            before=before,
            after=row.document,
        )
        row.save()
        if before is not None and before["is_enabled"] and not row.is_enabled:
            take_back(record, row)
        if before is not None and (row.second_factor != before["second_factor"] or not row.is_enabled):
            # What it said under other terms does not count: it says so again at the next sign-in.
            User.objects.filter(vouched_by=key).update(vouched_by="")
    return row


def delete_provider(actor: Actor, provider: IdentityProvider) -> None:
    """Take a provider away, with all that its rules gave, its sessions, and its links to accounts.

    The accounts stay. Raises `ForbiddenError` or `LastAdministratorError`.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        # First: a provider that is gone is no way to sign in.
        people = list(linked_to(provider))
        take_back(record, provider)
        unlink_in(record, people, provider)
        keep_by_hand(record, provider)
        record.event(
            "access.v1.identity_provider.changed",
            provider.ledger_subject,
            before=provider.document,
            after=None,
        )
        provider.delete()


def reseal(actor: Actor) -> int:
    """Encrypt all secrets with the present key; returns how many. Raises `SealError`: then none was."""
    actor.require_command_line("Encrypting stored secrets anew")
    with recording(actor) as record:
        rows = (
            IdentityProvider.objects.select_for_update(no_key=True).exclude(sealed_secret="").order_by("pk")
        )
        for row in rows:
            row.sealed_secret = resealed(row.sealed_secret)
            record.event(
                "access.v1.identity_provider.changed",
                row.ledger_subject,
                {"secret": "encrypted anew"},
                before=row.document,
                after=row.document,
            )
            row.save()
        return len(rows) + reseal_factors(record) + webhooks.reseal(record)


def accounts_of(provider: IdentityProvider) -> int:
    """How many people sign in through it, or hold what it gave."""
    given: set[str] = set()
    for rows in (Membership.objects, OrganisationMembership.objects, TeamMember.objects):
        given |= set(rows.filter(given_by=provider.key).values_list("member", flat=True))
    return max(len(given), SocialAccount.objects.filter(provider=provider.key).count())


def callback_address(provider: IdentityProvider) -> str:
    """Where the provider sends people back to: what is registered there, to the letter."""
    return settings.BASE_URL + reverse("openid_connect_callback", args=[provider.key])


def logged_out_address(provider: IdentityProvider) -> str:
    """Where the provider says that somebody is signed out there."""
    return settings.BASE_URL + reverse("openid_connect_logged_out", args=[provider.key])


def may_be_private(address: str) -> bool:
    """Whether its host is one of an issuer that whoever runs the server named: it may be inside, and plain http."""
    return urlsplit(address).hostname in {urlsplit(each).hostname for each in settings.PRIVATE_ISSUERS}


def refuse_unsafe(address: str, member: str = "issuer") -> None:
    """Raise ValidationError unless tokens and secrets sent there are read by nobody on the way."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        raise ValidationError({member: "is no address"}) from None
    if not host or parts.username or parts.query or parts.fragment or address != address.strip():
        raise ValidationError({member: "must be an address such as https://login.example.com/realms/acme"})
    if parts.scheme != "https" and not (parts.scheme == "http" and may_be_private(address)):
        raise ValidationError(
            {
                member: "must begin with https://; plain HTTP is for issuers that whoever runs the server names in "
                "COUNTERSIGN_PRIVATE_ISSUERS"
            }
        )
