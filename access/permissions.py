"""Asking the table: who may do what, where. Permission is a queryset of projects."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from access.held import Held, all_projects, held_by_any
from access.limits import Touched
from access.models import (
    FactorPolicy,
    Membership,
    OrganisationMembership,
    RoleWithFactor,
    ServiceAccount,
    Team,
    User,
)
from access.roles import SYSTEM, VERBS, Fresh, OrganisationRole, Role, label_of, roles_that_may
from access.scopes import Bearer, BearerActor, bearer_of, scope_of
from access.shown_factor import (
    SessionActor,
    StaleFactorError,
    counted_for,
    factor_at,
    is_beyond_question,
    superuser_counted_for,
)
from audit.actor import Actor, Door

if TYPE_CHECKING:
    from django.http import HttpRequest


class ForbiddenError(Exception):
    """The actor lacks a role; the text says which one and who can give it."""


def user_actor(user: User, via: Door, request_id: str = "") -> Actor:
    """The actor that a person is, by the given door."""
    return Actor(user.pseudonym, via, request_id, {"name": str(user)})


def service_actor(account: ServiceAccount, via: Door = "api", request_id: str = "") -> Actor:
    """The actor that a service account is."""
    return Actor(account.pseudonym, via, request_id, {})


def bearing(actor: Actor, credential: str, bearer: Bearer) -> Actor:
    """The actor as far as what they came with reaches; `credential` is how events name that."""
    return BearerActor(actor.id, actor.via, actor.request_id, actor.personal, credential, bearer)


def known_actor(pseudonym: str) -> Actor | None:
    """The active person, service account or task of this id, as a task acts in their stead; None for nobody."""
    if pseudonym.startswith("system:"):
        return Actor(pseudonym, "task")
    user = User.objects.filter(pseudonym=pseudonym, is_active=True).first()
    if user is not None:
        return Actor(user.pseudonym, "task")
    program = ServiceAccount.objects.filter(pseudonym=pseudonym, is_active=True).first()
    return Actor(program.pseudonym, "task") if program is not None else None


def system_actor(name: str, via: Door = "task") -> Actor:
    """One of our own tasks, e.g. `system:scheduler`, or whoever runs our commands."""
    return Actor(f"system:{name}", via)


def request_actor(request: HttpRequest, via: Door = "ui") -> Actor:
    """The actor behind a signed-in request; behind a token, see `access.authentication`."""
    actor = getattr(request, "countersign_actor", None)
    if isinstance(actor, Actor):
        return actor
    if not isinstance(request.user, User):
        raise ForbiddenError("Sign in first.")
    known = user_actor(request.user, via, request_id(request.headers))
    return SessionActor(known.id, via, known.request_id, known.personal, factor_at=factor_at(request))


def request_id(headers: Mapping[str, str]) -> str:
    """What the proxy calls this request, for the log; empty where it is not a plain name."""
    given = headers.get("X-Request-Id", "")
    return given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else ""


def _roles(actor: Actor, held: Held | None, project: Any | None = None) -> Held:
    """Those that are known already, or else the ones read now. Raises ValueError for anybody else's."""
    if held is None:
        return Held(actor, project)
    if held.actor != actor or (held.project is not None and held.project != project):
        raise ValueError("These roles are another actor's, or another project's.")
    return held


def projects_where(actor: Actor, verb: str, held: Held | None = None) -> QuerySet[Any]:
    """The projects in which the actor holds the verb, at least within limits.

    What is not in it does not exist for them. `held`: their roles, where they are known already; else they are read
    now, not when the queryset is.
    """
    projects = all_projects()
    if actor.is_system:
        return projects if SYSTEM in roles_that_may(verb) else projects.none()
    scope = scope_of(actor)
    if not scope.admits(verb):
        return projects.none()
    if scope.projects:
        projects = projects.filter(key__in=scope.projects)
    held = _roles(actor, held)
    if held.has_everywhere(verb):
        return projects
    return projects.filter(pk__in={row.project_id for row in held.memberships_with(verb)})


def may(actor: Actor, verb: str, project: Any, touched: Iterable[Touched] = ()) -> bool:
    """Whether the actor holds the verb in the project, for all that is `touched` where its role is limited."""
    return reach_of(actor, verb, project)(list(touched))


def reach_of(
    actor: Actor, verb: str, project: Any, held: Held | None = None
) -> Callable[[Collection[Touched]], bool]:
    """How far the actor holds the verb in the project: answers as `may`, as often as it is asked.

    `held`: their roles, where they are known already.
    """
    if actor.is_system:
        is_ours = SYSTEM in roles_that_may(verb)
        return lambda touched: is_ours
    scope, held = scope_of(actor), _roles(actor, held, project)
    mine = held.memberships_with(verb, project)

    def admits(touched: Collection[Touched]) -> bool:
        if not scope.admits_in(verb, project.key, touched):
            return False
        return any(row.reach.admit(touched) for row in mine) or held.has_everywhere(verb)

    return admits


def require(actor: Actor, verb: str, project: Any, touched: Iterable[Touched] = ()) -> None:
    """Raise `ForbiddenError` unless the actor holds the verb in the project, for all that is `touched`.

    And `StaleFactorError` where that asks for a second factor that is fresh.
    """
    touched = list(touched)
    held = Held(actor, project)
    reaches = reach_of(actor, verb, project, held)
    if reaches(touched):
        asked = VERBS[verb].fresh
        if asked is Fresh.ALWAYS or (asked is Fresh.PROTECTED and any(each.protected for each in touched)):
            require_fresh_factor(actor)
        return
    scope = scope_of(actor)
    if not scope.admits_in(verb, project.key, touched):
        raise ForbiddenError(
            f"{verb} in {project.key}: the scope of your token ({scope}) does not reach this. Use a token that "
            "does; whoever may sign in for it, or answers for the service account, makes one."
        )
    _refuse_without_factor(actor, verb)
    needed = " or ".join(sorted(label_of(role) for role in roles_that_may(verb) if role in Role.values))
    if touched and reaches([]):
        own = {str(row.reach) for row in held.memberships_with(verb, project)}
        raise ForbiddenError(
            f"{verb} in {project.key}: your role is limited ({' or '.join(sorted(own))}) and this reaches "
            f"further. It needs the role {needed} without that limit. Ask an administrator of the project."
        )
    raise ForbiddenError(
        f"{verb} in {project.key} needs the role {needed}. Ask an administrator of the project."
    )


def require_everywhere(actor: Actor, verb: str) -> None:
    """Raise `ForbiddenError` unless the actor holds the verb in every project: the ledger has no walls."""
    projects = all_projects()
    if not projects.exists() or projects.exclude(pk__in=projects_where(actor, verb).values("pk")).exists():
        needed = " or ".join(sorted(label_of(role) for role in roles_that_may(verb) if role in Role.values))
        raise ForbiddenError(
            "A bundle holds what reviews rest on in every project, whatever is chosen, so it takes the role "
            f"{needed} in all of them. Ask their administrators."
        )


def may_in_organisation(actor: Actor, verb: str, held: Held | None = None) -> bool:
    """Whether the actor holds a verb that concerns the whole installation. `held`: as for `projects_where`."""
    return scope_of(actor).admits_everywhere(verb) and _roles(actor, held).has_everywhere(verb)


def require_in_organisation(actor: Actor, verb: str, *, reading: bool = False) -> None:
    """Raise `ForbiddenError` unless the actor holds the verb in the whole installation.

    And `StaleFactorError` where that asks for a second factor that is fresh, but for `reading`.
    """
    if may_in_organisation(actor, verb):
        if VERBS[verb].fresh is Fresh.ALWAYS and not reading:
            require_fresh_factor(actor)
    else:
        scope = scope_of(actor)
        if not scope.admits_everywhere(verb):
            raise ForbiddenError(
                f"{verb}: the scope of your token ({scope}) does not reach the organisation. "
                "Use a token without that limit."
            )
        _refuse_without_factor(actor, verb)
        needed = " or ".join(
            sorted(label_of(role) for role in roles_that_may(verb) if role in OrganisationRole.values)
        )
        raise ForbiddenError(f"{verb} needs the role {needed}. Ask one of the organisation's administrators.")


def require_fresh_factor(actor: Actor) -> None:
    """Raise `StaleFactorError` unless a person showed a second factor as lately as the policy asks for.

    Programs show none. People by a token neither: there it counts that they had shown one when they made it, or
    `ForbiddenError` is raised.
    """
    by_token = isinstance(actor, BearerActor) and actor.id.startswith("user:")
    if not (isinstance(actor, SessionActor) or by_token):
        return
    policy: FactorPolicy | None = FactorPolicy.objects.first()
    if by_token:
        if policy and policy.fresh_minutes and not bearer_of(actor).proved:
            raise ForbiddenError(
                "This asks for a second factor, and your token was made without one. Show yours, or set one up, under "
                "Sign-in security, and make a new token."
            )
        return
    assert isinstance(actor, SessionActor)
    oldest = time.time() - 60 * policy.fresh_minutes if policy and policy.fresh_minutes else None
    if oldest is not None and (actor.factor_at is None or actor.factor_at < oldest):
        raise StaleFactorError(
            f"This asks for a second factor that was shown within {policy.fresh_minutes} minutes. "  # type: ignore[union-attr]
            "Show yours, or set one up, under Sign-in security, then do it again."
        )


def waits_for_factor(actor: Actor) -> bool:
    """Whether the actor has a role that does not count, because it needs a second factor and none was shown."""
    if is_beyond_question(actor) or not RoleWithFactor.objects.exists():
        return False
    silent = held_by_any([actor.id]) & ~counted_for(actor)
    superuser = User.objects.filter(pseudonym=actor.id, is_superuser=True)
    return (
        Membership.objects.filter(silent).exists()
        or OrganisationMembership.objects.filter(silent).exists()
        or superuser.exclude(superuser_counted_for(actor)).exists()
    )


def _refuse_without_factor(actor: Actor, verb: str) -> None:
    if waits_for_factor(actor):
        raise ForbiddenError(
            f"{verb}: your role counts with a second factor only. Sign in with it, or set one up under Sign-in "
            "security, in the menu under your name."
        )


def is_organisation_administrator(actor: Actor) -> bool:
    """Whether the actor administers the installation: makes projects, teams and service accounts."""
    return may_in_organisation(actor, "organisation.manage")


def verbs_held(actor: Actor, project: Any | None, held: Held | None = None) -> frozenset[str]:
    """All verbs that the actor holds, at least within limits: for what to offer. Asked once for every page.

    `project` None: those that concern the whole installation. `held`: their roles, where they are known already.
    """
    held = _roles(actor, held, project)
    verbs = {
        name
        for name, verb in VERBS.items()
        if (held.has_everywhere(name) and (project is not None or not verb.is_of_project))
        or (project is not None and held.memberships_with(name, project))
    }
    scope = scope_of(actor)
    if project is not None:
        verbs = {verb for verb in verbs if scope.admits_in(verb, project.key)}
    return frozenset(verbs)


def display_names(pseudonyms: set[str]) -> dict[str, str]:
    """Names for pseudonyms, for showing; one without a row (erased, or a task) shows as itself."""
    names = {pseudonym: pseudonym for pseudonym in pseudonyms}
    # A pseudonym says of what kind it is; where none is of a kind, nothing is asked.
    of_kind = {
        kind: [each for each in pseudonyms if each.startswith(f"{kind}:")]
        for kind in ("user", "service", "team")
    }
    for user in User.objects.filter(pseudonym__in=of_kind["user"]):
        names[user.pseudonym] = str(user)
    for kind, named in (("service", ServiceAccount), ("team", Team)):
        rows = named._default_manager.filter(pseudonym__in=of_kind[kind])
        names.update(rows.values_list("pseudonym", "name"))
    return names
