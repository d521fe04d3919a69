"""Service accounts and API tokens: the verbs behind the access pages, the API and the commands."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.models import ApiToken, ServiceAccount, Team, User
from access.permissions import ForbiddenError, may_in_organisation, require_in_organisation
from audit.actor import Actor
from audit.recording import recording


class NameTakenError(ValueError):
    """Another service account has the name."""


def create_service_account(actor: Actor, name: str, team: Team | None = None) -> ServiceAccount:
    """Make a service account, which has no role and no token yet. `team` answers for it.

    Raises `ForbiddenError` or `NameTakenError`.
    """
    account = ServiceAccount(name=name, team=team)
    with recording(actor) as record:
        require_in_organisation(actor, "service_account.manage")
        try:
            with transaction.atomic():
                account.save()
        except IntegrityError as error:
            raise NameTakenError(
                f"There is a service account {name!r} already; choose another name."
            ) from error
        record.event(
            "access.v1.service_account.created",
            f"access/{account.pseudonym}",
            {"name": name, **({"team": team.pseudonym} if team else {})},
        )
    return account


def answers_for(actor: Actor, account: ServiceAccount) -> bool:
    """Whether the actor may make and revoke the tokens of a service account: its team, and who made it."""
    if account.team is not None and account.team.members.filter(member=actor.id).exists():
        return True
    return may_in_organisation(actor, "service_account.manage")


def keepers_of(account_id: str) -> set[str]:
    """Who made a token of a service account (by pseudonym) and may have kept it.

    What it proposes they may have proposed with it, so they do not review that. Empty for a person.
    """
    tokens = ApiToken.objects.filter(service_account__pseudonym=account_id).exclude(issued_by="")
    return set(tokens.values_list("issued_by", flat=True))


def issue_token(
    actor: Actor, holder: User | ServiceAccount, name: str, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token for a person or service account and return it with its clear text, shown only now.

    People make their own, and nobody makes it for them: with it one could approve in their name.
    The team of a service account makes its tokens. Raises `ForbiddenError`.
    """
    if actor.id != holder.pseudonym:
        if isinstance(holder, User):
            raise ForbiddenError("A person's token is made by themselves: sign in as the one who needs it.")
        if not answers_for(actor, holder):
            raise ForbiddenError(
                f"A token of {holder} is made by it, its team or an organisation administrator."
            )
    secret = ApiToken.PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        name=name,
        hint=secret[:10],
        hash=ApiToken.hash_of(secret),
        issued_by=actor.id,
        expires_at=expires_at,
    )
    if isinstance(holder, User):
        token.user = holder
    else:
        token.service_account = holder
    with recording(actor) as record:
        token.save()
        record.event(
            "access.v1.token.issued",
            f"access/token/{token.pk}",
            {"holder": holder.pseudonym, "hint": token.hint},
        )
    return token, secret


def revoke_token(actor: Actor, token: ApiToken) -> None:
    """Make a token useless from now on. Revoking it again changes nothing. Raises `ForbiddenError`."""
    account = token.service_account
    holder = token.user or account
    own = holder is not None and actor.id == holder.pseudonym
    answers = answers_for(actor, account) if account else may_in_organisation(actor, "organisation.manage")
    if not (own or answers or actor.is_system):
        raise ForbiddenError(
            f"The token {token.hint}… is revoked by its holder, the team that answers for it or an "
            "organisation administrator."
        )
    with recording(actor) as record:
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            record.event("access.v1.token.revoked", f"access/token/{token.pk}", {"hint": token.hint})
