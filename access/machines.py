"""Service accounts and API tokens: the verbs behind the access pages, the API and the commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from access.held import Held, teams_of
from access.limits import LimitsError
from access.models import ApiToken, ServiceAccount, Team, TrustRule, User
from access.permissions import (
    ForbiddenError,
    may_in_organisation,
    projects_where,
    require_fresh_factor,
    require_in_organisation,
    waits_for_factor,
)
from access.scopes import Network, Scope, are_inside, bearer_of, read_networks, scope_of
from access.shown_factor import SessionActor
from audit.actor import Actor
from audit.recording import Recording, recording

LONGEST_OVERLAP = timedelta(days=30)
"""For how long a token that was replaced may live on."""


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


def change_service_account(
    actor: Actor, account: ServiceAccount, *, name: str, team: Team | None, is_active: bool
) -> None:
    """Rename a service account, let another team answer for it, stop it or let it go on.

    One that is not active is refused at once, whatever token or identity it comes with; its roles stay.
    Who answers for it may stop it. Raises `ForbiddenError`, `NameTakenError`, or ValidationError naming the
    member at fault.
    """
    with recording(actor) as record:
        account = ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        before = account.document
        account.name, account.team, account.is_active = name, team, is_active
        after = account.document
        only_stops = after == {**before, "active": False}
        if not (only_stops and answers_for(actor, account)):
            require_in_organisation(actor, "service_account.manage")
        account.clean_fields()
        if after == before:
            return
        try:
            with transaction.atomic():
                account.save()
        except IntegrityError as error:
            raise NameTakenError(
                f"There is a service account {name!r} already; choose another name."
            ) from error
        record.event(
            "access.v1.service_account.updated", f"access/{account.pseudonym}", before=before, after=after
        )


def answered_for(actor: Actor, held: Held | None = None) -> QuerySet[ServiceAccount]:
    """The service accounts whose tokens the actor may make and revoke: those of their teams; or all.

    `held`: as for `projects_where`.
    """
    if not scope_of(actor).admits_everywhere("service_account.manage"):
        return ServiceAccount.objects.none()
    if may_in_organisation(actor, "service_account.manage", held):
        return ServiceAccount.objects.all()
    return ServiceAccount.objects.filter(team__in=teams_of(actor).values("team"))


def tokens_seen(actor: Actor) -> QuerySet[ApiToken]:
    """The actor's own tokens, and those of the service accounts that they answer for."""
    mine = Q(user__pseudonym=actor.id) | Q(service_account__pseudonym=actor.id)
    mine |= Q(service_account__in=answered_for(actor))
    return ApiToken.objects.filter(mine).select_related("user", "service_account")


def answers_for(actor: Actor, account: ServiceAccount) -> bool:
    """Whether the actor is in the team of a service account, or manages all of them."""
    return answered_for(actor).filter(pk=account.pk).exists()


def keepers_of(account_id: str) -> set[str]:
    """Who made a token or a trust rule of a service account (by pseudonym) and may act as it.

    What it proposes they may have proposed, so they do not review that. Empty for a person.
    """
    if not account_id.startswith("service:"):
        return set()
    tokens = ApiToken.objects.filter(service_account__pseudonym=account_id).exclude(issued_by="")
    rules = TrustRule.objects.filter(service_account__pseudonym=account_id)
    return {*tokens.values_list("issued_by", flat=True), *rules.values_list("made_by", flat=True)}


def issue_token(
    actor: Actor,
    holder: User | ServiceAccount,
    name: str,
    expires_at: datetime | None = None,
    *,
    scope: dict[str, Any] | None = None,
    addresses: Sequence[str] = (),
) -> tuple[ApiToken, str]:
    """Make a token for a person or service account and return it with its clear text, shown only now.

    `expires_at` None: as late as the settings allow. `scope`: what it may be
    used for at most (`access.scopes`); `addresses`: from where, in CIDR notation. A token that is made with
    another one never reaches further than that; left out, scope and addresses are the same.

    People make their own, signed in, and nobody makes it for them: with it one could approve in their name.
    The team of a service account makes its tokens. Raises `ForbiddenError`, or `LimitsError` naming a member.
    """
    require_proof(actor)
    _require_maker(actor, holder)
    bearer = bearer_of(actor)
    given = read_scope(actor, scope) if scope else bearer.scope
    networks = read_networks(addresses) if addresses else bearer.addresses
    expires_at = _bounded(actor, expires_at, given, networks)
    return _make(actor, holder, name, expires_at, given, networks, _proof_of(actor))


def rotate_token(
    actor: Actor, token: ApiToken, overlap: timedelta, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token that takes the place of another, which works for `overlap` yet and not longer.

    The new one has the name, scope and addresses of the old one; left out, `expires_at` lets it live as long
    as the old one was made for, from now on. Raises `ForbiddenError`, or `LimitsError` naming a member.
    """
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise LimitsError("overlap", f"must be between 0 seconds and {LONGEST_OVERLAP.days} days")
    require_proof(actor)
    _require_reach(actor, token)
    holder = token.holder
    if expires_at is None and token.expires_at is not None:
        expires_at = timezone.now() + (token.expires_at - token.created_at)
        bound = bearer_of(actor).expires_at
        expires_at = min(expires_at, bound) if bound else expires_at
    with recording(actor) as record:
        old = ApiToken.objects.select_for_update(no_key=True).get(pk=token.pk)
        if not old.is_usable:
            raise LimitsError("id", f"{old.hint}… is expired or revoked; make a new token")
        ends = timezone.now() + overlap
        if old.expires_at is None or ends < old.expires_at:
            ApiToken.objects.filter(pk=old.pk).update(expires_at=ends)
        else:
            ends = old.expires_at
        networks = read_networks(old.addresses)
        expires_at = _bounded(actor, expires_at, old.reach, networks)
        proved_at = old.proved_at if actor.credential else _proof_of(actor)
        new, secret = _make(actor, holder, old.name, expires_at, old.reach, networks, proved_at)
        record.event(
            "access.v1.token.rotated",
            f"access/token/{old.pk}",
            {"hint": old.hint, "successor": f"access/token/{new.pk}", "ends_at": ends.isoformat()},
        )
    return new, secret


def revoke_token(actor: Actor, token: ApiToken) -> None:
    """Make a token useless from now on. Revoking it again changes nothing. Raises `ForbiddenError`."""
    if not actor.is_system:
        _require_reach(actor, token, administrators=True)
    with recording(actor) as record:
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            record.event("access.v1.token.revoked", f"access/token/{token.pk}", {"hint": token.hint})


def revoke_all(record: Recording, person: User) -> None:
    """Make every token of a person useless, within a recording that has checked who may."""
    for token in person.api_tokens.filter(revoked_at=None).order_by("pk"):
        ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
        record.event("access.v1.token.revoked", f"access/token/{token.pk}", {"hint": token.hint})


def read_scope(actor: Actor, document: dict[str, Any]) -> Scope:
    """A scope that somebody asks for. Raises `LimitsError`, also for a project that the actor does not see."""
    scope = Scope.read(document)
    seen = projects_where(actor, "project.view")
    known = set(seen.filter(key__in=scope.projects).values_list("key", flat=True))
    for index, key in enumerate(document.get("projects", ())):
        if key not in known:
            raise LimitsError(f"scope.projects[{index}]", f"there is no project {key!r} that you see")
    places = seen.filter(key__in=known) if known else seen
    existing = set(places.values_list("environments__key", flat=True))
    for index, key in enumerate(document.get("environments", ())):
        if key not in existing:
            raise LimitsError(f"scope.environments[{index}]", f"no project of it has an environment {key!r}")
    return scope


def require_proof(actor: Actor) -> None:
    """Raise `StaleFactorError` or `ForbiddenError` where the policy asks whoever makes credentials for a factor."""
    require_fresh_factor(actor)
    if waits_for_factor(actor):
        raise ForbiddenError(
            "What you make outlives your session: show your second factor first, or set one up."
        )


def _require_maker(actor: Actor, holder: User | ServiceAccount) -> None:
    if actor.id == holder.pseudonym:
        if actor.credential and isinstance(holder, User):
            raise ForbiddenError(
                "A person's token makes no other one of theirs: sign in, or rotate this one. So whoever copied a "
                "token makes none that outlives its revocation."
            )
        return
    if isinstance(holder, User):
        raise ForbiddenError("A person's token is made by themselves: sign in as the one who needs it.")
    if not answers_for(actor, holder):
        raise ForbiddenError(f"A token of {holder} is made by it, its team or an organisation administrator.")


def _require_reach(actor: Actor, token: ApiToken, *, administrators: bool = False) -> None:
    """Refuse whoever is neither the holder nor answers for it, or comes with a token that reaches less."""
    account = token.service_account
    allowed = actor.id == token.holder.pseudonym
    if not allowed and account is not None:
        allowed = answers_for(actor, account)
    elif not allowed and administrators:
        allowed = may_in_organisation(actor, "organisation.manage")
    if not allowed:
        raise ForbiddenError(
            f"The token {token.hint}… is its holder's, the team's that answers for it or an "
            "organisation administrator's to change."
        )
    if actor.credential != f"token/{token.pk}" and not token.reach.is_within(scope_of(actor)):
        raise ForbiddenError(
            f"The token {token.hint}… reaches further ({token.reach}) than the one you use. Sign in."
        )


def _proof_of(actor: Actor) -> datetime | None:
    """When whoever makes a token last showed a second factor in their session; None: never."""
    at = actor.factor_at if isinstance(actor, SessionActor) else None
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _bounded(
    actor: Actor,
    expires_at: datetime | None,
    scope: Scope,
    networks: Sequence[Network],
) -> datetime | None:
    """When a token of these bounds ends; refused where it outlives the settings, or what it is made with."""
    bearer, longest = bearer_of(actor), timedelta(days=settings.TOKEN_DAYS)
    if longest:
        latest = timezone.now() + longest
        if expires_at is not None and expires_at > latest:
            raise LimitsError("expires_at", f"is too late: tokens last {longest.days} days at most")
        expires_at = expires_at or min(latest, bearer.expires_at or latest)
    if bearer.expires_at and (expires_at is None or expires_at > bearer.expires_at):
        raise ForbiddenError(
            f"The token you use ends at {bearer.expires_at.isoformat()}; one made with it ends no later. "
            "Name an earlier `expires_at`, or sign in."
        )
    if not scope.is_within(bearer.scope) or not are_inside(networks, bearer.addresses):
        places = f" from {', '.join(map(str, bearer.addresses))}" if bearer.addresses else ""
        raise ForbiddenError(
            f"The token you use reaches {bearer.scope}{places}; one made with it reaches no further. "
            "Narrow its scope and addresses, or sign in."
        )
    return expires_at


def _make(
    actor: Actor,
    holder: User | ServiceAccount,
    name: str,
    expires_at: datetime | None,
    scope: Scope,
    networks: Sequence[Network],
    proved_at: datetime | None,
) -> tuple[ApiToken, str]:
    secret = ApiToken.new_secret()
    addresses = [str(each) for each in networks]
    token = ApiToken(
        name=name,
        hint=secret[:10],
        hash=ApiToken.hash_of(secret),
        issued_by=actor.id,
        expires_at=expires_at,
        scope=scope.document,
        addresses=addresses,
        proved_at=proved_at,
    )
    if isinstance(holder, User):
        token.user = holder
    else:
        token.service_account = holder
    with recording(actor) as record:
        token.save()
        bounds = {
            "expires_at": expires_at.isoformat() if expires_at else None,
            "scope": token.scope,
            "addresses": addresses,
        }
        record.event(
            "access.v1.token.issued",
            f"access/token/{token.pk}",
            {
                "holder": holder.pseudonym,
                "hint": token.hint,
                **{name: value for name, value in bounds.items() if value},
            },
        )
    return token, secret
