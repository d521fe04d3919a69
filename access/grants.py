"""Giving and taking roles, tokens: the verbs behind the access pages, the API and the commands."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from access.models import ApiToken, Membership, ServiceAccount, User
from access.permissions import ForbiddenError, is_organisation_administrator, require
from access.roles import Role
from audit.actor import Actor
from audit.recording import recording


class LastAdministratorError(ValueError):
    """A project would be left without anybody who can give roles."""


class NameTakenError(ValueError):
    """Another service account has the name."""


def _held(project: Any, member: str) -> list[str]:
    return sorted(Membership.objects.filter(project=project, member=member).values_list("role", flat=True))


def grant(actor: Actor, project: Any, member: str, role: str, *, founding: bool = False) -> Membership:
    """Give a role. `founding`: the first administrator of a new project, whom nobody could appoint.

    Raises `ForbiddenError`, or ValueError for an unknown role.
    """
    Role(role)
    with recording(actor) as record:
        project.hold()  # so that each names the roles that it found
        if not (founding and not Membership.objects.filter(project=project).exists()):
            require(actor, "access.manage", project)
        held = _held(project, member)
        if role in held:
            return Membership.objects.get(project=project, member=member, role=role)
        membership = Membership(project=project, member=member, role=role)
        record.event(
            "access.v1.membership.changed",
            membership.ledger_subject,
            before={"roles": held} if held else None,
            after={"roles": sorted([*held, role])},
            project=project.key,
        )
        membership.save()
    return membership


def revoke(actor: Actor, membership: Membership) -> None:
    """Take a role away. Raises `ForbiddenError` or `LastAdministratorError`."""
    project = membership.project
    with recording(actor) as record:
        require(actor, "access.manage", project)
        project.hold()  # so that each names the roles that it found
        admins = Membership.objects.filter(project=project, role=Role.ADMINISTRATOR)
        if membership.role == Role.ADMINISTRATOR and admins.count() == 1:
            raise LastAdministratorError(
                f"{project.key} would be left without an administrator; appoint another first."
            )
        held = _held(project, membership.member)
        left = [role for role in held if role != membership.role]
        record.event(
            "access.v1.membership.changed",
            membership.ledger_subject,
            before={"roles": held},
            after={"roles": left} if left else None,
            project=project.key,
        )
        membership.delete()


def found(who: str) -> str:
    """The id of the active person or service account of this id, user name, e-mail address or name.

    Whoever asks may give roles: who has an account is nobody else's business. Raises LookupError.
    """
    people = User.objects.filter(Q(pseudonym=who) | Q(username=who) | Q(email__iexact=who), is_active=True)
    accounts = ServiceAccount.objects.filter(Q(pseudonym=who) | Q(name=who), is_active=True)
    matching = {*people.values_list("pseudonym", flat=True), *accounts.values_list("pseudonym", flat=True)}
    if len(matching) != 1:
        raise LookupError(
            "Several accounts match; use the user name." if matching else "No active account matches."
        )
    return matching.pop()


def create_service_account(actor: Actor, name: str) -> ServiceAccount:
    """Make a service account, which has no role and no token yet. Only organisation administrators may.

    Raises `ForbiddenError` or `NameTakenError`.
    """
    if not is_organisation_administrator(actor):
        raise ForbiddenError("Making a service account needs an organisation administrator.")
    account = ServiceAccount(name=name)
    with recording(actor) as record:
        try:
            with transaction.atomic():
                account.save()
        except IntegrityError as error:
            raise NameTakenError(
                f"There is a service account {name!r} already; choose another name."
            ) from error
        record.event("access.v1.service_account.created", f"access/{account.pseudonym}", {"name": name})
    return account


def issue_token(
    actor: Actor, holder: User | ServiceAccount, name: str, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token for a person or service account and return it with its clear text, shown only now.

    People make their own, and nobody makes it for them: with it one could approve in their name.
    Organisation administrators make those of service accounts. Raises `ForbiddenError`.
    """
    if actor.id != holder.pseudonym:
        if isinstance(holder, User):
            raise ForbiddenError("A person's token is made by themselves: sign in as the one who needs it.")
        if not is_organisation_administrator(actor):
            raise ForbiddenError(f"A token of {holder} is made by it or by an organisation administrator.")
    secret = ApiToken.PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(name=name, hint=secret[:10], hash=ApiToken.hash_of(secret), expires_at=expires_at)
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
    holder = token.user or token.service_account
    own = holder is not None and actor.id == holder.pseudonym
    if not (own or actor.is_system or is_organisation_administrator(actor)):
        raise ForbiddenError(
            f"The token {token.hint}… is revoked by its holder or an organisation administrator."
        )
    with recording(actor) as record:
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            record.event("access.v1.token.revoked", f"access/token/{token.pk}", {"hint": token.hint})
