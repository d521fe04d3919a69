"""Asking the table: who may do what, where. Permission is a queryset of projects."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from access.limits import EVERYWHERE, Limits, Touched
from access.models import (
    CustomRole,
    CustomRoleVerb,
    FactorPolicy,
    Membership,
    OrganisationMembership,
    RoleWithFactor,
    ServiceAccount,
    Team,
    TeamMember,
    User,
)
from access.roles import SYSTEM, VERBS, Fresh, OrganisationRole, Role, label_of, roles_that_may
from access.scopes import Bearer, BearerActor, bearer_of, scope_of
from access.shown_factor import (
    SessionActor,
    StaleFactorError,
    counted_for,
    factor_at,
    people_with_factor,
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


def projects_where(actor: Actor, verb: str) -> QuerySet[Any]:
    """The projects in which the actor holds the verb, at least within limits.

    What is not in it does not exist for them.
    """
    from django.apps import apps

    projects = apps.get_model("flags", "Project")._default_manager.all()
    if actor.is_system:
        return projects if SYSTEM in roles_that_may(verb) else projects.none()
    scope = scope_of(actor)
    if not scope.admits(verb):
        return projects.none()
    if scope.projects:
        projects = projects.filter(key__in=scope.projects)
    held = _memberships(verb).filter(held_by(actor))
    return projects.filter(Q(pk__in=held.values("project_id")) | _holds_everywhere(actor, verb))


def may(actor: Actor, verb: str, project: Any, touched: Iterable[Touched] = ()) -> bool:
    """Whether the actor holds the verb in the project, for all that is `touched` where its role is limited."""
    touched = list(touched)
    if not scope_of(actor).admits_in(verb, project.key, touched):
        return False
    allowed = projects_where(actor, verb).filter(pk=project.pk)
    if not touched or actor.is_system:
        return allowed.exists()
    rows = _memberships(verb).filter(held_by(actor), project=project)
    if any(row.reach.admit(touched) for row in rows):
        return True
    return allowed.filter(_holds_everywhere(actor, verb)).exists()


def require(actor: Actor, verb: str, project: Any, touched: Iterable[Touched] = ()) -> None:
    """Raise `ForbiddenError` unless the actor holds the verb in the project, for all that is `touched`.

    And `StaleFactorError` where that asks for a second factor that is fresh.
    """
    touched = list(touched)
    if may(actor, verb, project, touched):
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
    if touched and may(actor, verb, project):
        own = {str(row.reach) for row in _memberships(verb).filter(held_by(actor), project=project)}
        raise ForbiddenError(
            f"{verb} in {project.key}: your role is limited ({' or '.join(sorted(own))}) and this reaches "
            f"further. It needs the role {needed} without that limit. Ask an administrator of the project."
        )
    raise ForbiddenError(
        f"{verb} in {project.key} needs the role {needed}. Ask an administrator of the project."
    )


def require_everywhere(actor: Actor, verb: str) -> None:
    """Raise `ForbiddenError` unless the actor holds the verb in every project: the ledger has no walls."""
    from django.apps import apps

    projects = apps.get_model("flags", "Project")._default_manager.all()
    if not projects.exists() or projects.exclude(pk__in=projects_where(actor, verb).values("pk")).exists():
        needed = " or ".join(sorted(label_of(role) for role in roles_that_may(verb) if role in Role.values))
        raise ForbiddenError(
            "A bundle holds what reviews rest on in every project, whatever is chosen, so it takes the role "
            f"{needed} in all of them. Ask their administrators."
        )


def eligible(members: set[str], verb: str, project: Any, touched: Iterable[Touched] = ()) -> set[str]:
    """Of these pseudonyms, the active people (no service accounts) who hold the verb here now."""
    holding = _holders(members, verb, project, touched)
    active = User.objects.filter(pseudonym__in=holding, is_active=True)
    return set(active.values_list("pseudonym", flat=True))


def people_who_may(verb: str, project: Any | None, touched: Iterable[Touched] = ()) -> list[User]:
    """The active people who hold the verb in the project now, for all that is touched; None: in the organisation."""
    touched = list(touched)
    holding = set(_organisation_memberships(verb).values_list("member", flat=True))
    if project is not None:
        rows = _memberships(verb).filter(project=project)
        holding |= {row.member for row in rows if row.reach.admit(touched)}
    teams = TeamMember.objects.filter(team__pseudonym__in=holding)
    holding |= set(teams.values_list("member", flat=True))
    people = User.objects.filter(Q(pseudonym__in=holding) | Q(pk__in=_superusers(verb).values("pk")))
    return list(people.filter(is_active=True).order_by("pk"))


def may_in_organisation(actor: Actor, verb: str) -> bool:
    """Whether the actor holds a verb that concerns the whole installation."""
    return scope_of(actor).admits_everywhere(verb) and (
        _organisation_memberships(verb).filter(held_by(actor)).exists()
        or _superusers(verb).filter(superuser_counted_for(actor), pseudonym=actor.id).exists()
    )


def holding_in_organisation(actor: Actor, verb: str) -> Q:
    """The same as a condition, true or false for every row: for asking it within another query."""
    if not scope_of(actor).admits_everywhere(verb):
        return Q(pk__in=[])
    return _holds_everywhere(actor, verb)


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
    if isinstance(actor, SessionActor) and actor.factor_at is not None:
        return False
    mine = _of([actor.id]) & Q(role=OuterRef("role"))
    superuser = User.objects.filter(pseudonym=actor.id, is_superuser=True)
    held = (
        Q(Exists(Membership.objects.filter(mine)))
        | Q(Exists(OrganisationMembership.objects.filter(mine)))
        | Q(Exists(superuser), role=OrganisationRole.ORGANISATION_ADMINISTRATOR)
    )
    return RoleWithFactor.objects.filter(held).exclude(counted_for(actor)).exists()


def _refuse_without_factor(actor: Actor, verb: str) -> None:
    if waits_for_factor(actor):
        raise ForbiddenError(
            f"{verb}: your role counts with a second factor only. Sign in with it, or set one up under Sign-in "
            "security, in the menu under your name."
        )


def is_organisation_administrator(actor: Actor) -> bool:
    """Whether the actor administers the installation: makes projects, teams and service accounts."""
    return may_in_organisation(actor, "organisation.manage")


def is_last_organisation_administrator(person: User) -> bool:
    """Whether nobody who is active would administer the installation without this person."""
    if not may_in_organisation(user_actor(person, "cli"), "organisation.manage"):
        return False
    return not somebody_administers_the_organisation(User.objects.exclude(pk=person.pk))


def somebody_administers_the_organisation(among: QuerySet[User] | None = None) -> bool:
    """Whether anybody active administers the installation, themselves or in a team. `among`: of these only."""
    people = (User.objects.all() if among is None else among).filter(is_active=True)
    named = people.values("pseudonym")
    staffed = TeamMember.objects.filter(member__in=named).values("team__pseudonym")
    held = _organisation_memberships("organisation.manage").filter(
        Q(member__in=named) | Q(member__in=staffed)
    )
    return held.exists() or people.filter(is_superuser=True).exists()


def _memberships(verb: str) -> QuerySet[Membership]:
    """The memberships whose role holds the verb; limited ones only where the verb can be limited."""
    custom = CustomRoleVerb.objects.filter(verb=verb).values("role__key")
    rows = Membership.objects.filter(Q(role__in=roles_that_may(verb)) | Q(role__in=custom))
    return rows if VERBS[verb].limitable else rows.filter(limits={})


def _organisation_memberships(verb: str) -> QuerySet[OrganisationMembership]:
    return OrganisationMembership.objects.filter(role__in=roles_that_may(verb))


def _superusers(verb: str) -> QuerySet[User]:
    """Whom `manage.py createsuperuser` made, where a verb is the organisation administrators'.

    They are that without a membership: whoever runs commands there could give it to themselves anyway.
    """
    rows = User.objects.filter(is_superuser=True, is_active=True)
    return rows if OrganisationRole.ORGANISATION_ADMINISTRATOR in roles_that_may(verb) else rows.none()


def _holds_everywhere(actor: Actor, verb: str) -> Q:
    """Whether the actor holds the verb by a role of the organisation: true or false for every row."""
    return Q(Exists(_organisation_memberships(verb).filter(held_by(actor)))) | Q(
        Exists(_superusers(verb).filter(superuser_counted_for(actor), pseudonym=actor.id))
    )


def _given_lately(actor: Actor) -> Q:
    """Of rows that a provider may have given: all, but for a person's token those of whoever signed in there lately.

    A session ends by then and the groups are read again; a token would keep what they gave for as long as it lives.
    """
    if not (isinstance(actor, BearerActor) and actor.id.startswith("user:")):
        return Q()
    since = timezone.now() - timedelta(seconds=settings.SESSION_LONGEST)
    lately = SocialAccount.objects.filter(user__pseudonym=actor.id, last_login__gt=since)
    return Q(given_by="") | Q(given_by__in=lately.values("provider"))


def teams_of(actor: Actor) -> QuerySet[TeamMember]:
    """The actor's places in teams, those that count."""
    return TeamMember.objects.filter(_given_lately(actor), member=actor.id)


def _of(members: Iterable[str]) -> Q:
    """Rows that belong to these pseudonyms, themselves or as a team that they are in."""
    members = list(members)
    teams = TeamMember.objects.filter(member__in=members).values("team__pseudonym")
    return Q(member__in=members) | Q(member__in=teams)


def held_by(actor: Actor) -> Q:
    """Rows of roles that are the actor's and count, their own or of a team that they are in."""
    mine = Q(member=actor.id) | Q(member__in=teams_of(actor).values("team__pseudonym"))
    return mine & counted_for(actor) & _given_lately(actor)


def _holders(members: set[str], verb: str, project: Any, touched: Iterable[Touched]) -> set[str]:
    """Of these pseudonyms, those who hold the verb in the project, for all that is touched."""
    touched = list(touched)
    rows = [
        row for row in _memberships(verb).filter(_of(members), project=project) if row.reach.admit(touched)
    ]
    held = [(row.member, row.role) for row in rows]
    held += _organisation_memberships(verb).filter(_of(members)).values_list("member", "role")
    superusers = _superusers(verb).filter(pseudonym__in=members).values_list("pseudonym", flat=True)
    held += [(each, OrganisationRole.ORGANISATION_ADMINISTRATOR) for each in superusers]
    teams: dict[str, set[str]] = {}
    for team, member in TeamMember.objects.filter(
        team__pseudonym__in={holder for holder, _role in held}, member__in=members
    ).values_list("team__pseudonym", "member"):
        teams.setdefault(team, set()).add(member)
    uncounted = _uncounted(members)
    return {
        member
        for holder, role in held
        for member in teams.get(holder, {holder} & members)
        if (member, role) not in uncounted
    }


def _uncounted(members: Collection[str] | None) -> set[tuple[str, str]]:
    """Who, and which roles that do not count for them: they need a second factor. None: of everybody."""
    roles = list(RoleWithFactor.objects.values_list("role", flat=True))
    if not roles:
        return set()
    people = User.objects.exclude(pk__in=people_with_factor())
    if members is not None:
        people = people.filter(pseudonym__in=members)
    return {(member, role) for member in people.values_list("pseudonym", flat=True) for role in roles}


@dataclass(frozen=True, slots=True)
class Standing:
    """Why somebody holds a verb here: the role, the team through which it comes, and its limits."""

    member: str
    role: str
    role_name: str
    verbs: frozenset[str]
    # The name of the team that holds the role; empty for the person's own.
    team: str = ""
    limits: Limits = EVERYWHERE
    # Whether it waits until they have a second factor; then `verbs` is empty.
    waits: bool = False

    @property
    def is_of_organisation(self) -> bool:
        """Whether it holds in every project."""
        return self.role in OrganisationRole.values


def standings(project: Any, members: Collection[str] | None = None) -> list[Standing]:
    """Every role that somebody holds in a project, their own, through a team, or of the organisation.

    `members`: of these pseudonyms only. Teams stand for the people in them. A fixed number of queries.
    """
    teams = {team.pseudonym: team for team in Team.objects.prefetch_related("members")}
    custom = {role.key: role for role in CustomRole.objects.prefetch_related("verbs")}
    uncounted = _uncounted(members)

    def expanded(holder: str, role: str, limits: Limits) -> Iterator[Standing]:
        if role in custom:
            name, verbs = custom[role].name, frozenset(each.verb for each in custom[role].verbs.all())
        else:
            name = label_of(role)
            verbs = frozenset(each for each, verb in VERBS.items() if role in verb.roles)
        if limits.document:
            verbs = frozenset(each for each in verbs if VERBS[each].limitable)
        team = teams.get(holder)
        for member in [each.member for each in team.members.all()] if team else [holder]:
            if members is None or member in members:
                waits = (member, role) in uncounted
                counted = frozenset[str]() if waits else verbs
                yield Standing(member, role, name, counted, team.name if team else "", limits, waits)

    found: list[Standing] = []
    for row in Membership.objects.filter(project=project):
        found += expanded(row.member, row.role, row.reach)
    for appointed in OrganisationMembership.objects.all():
        found += expanded(appointed.member, appointed.role, EVERYWHERE)
    for user in User.objects.filter(is_superuser=True, is_active=True):
        found += expanded(user.pseudonym, OrganisationRole.ORGANISATION_ADMINISTRATOR, EVERYWHERE)
    return found


def verbs_held(actor: Actor, project: Any | None) -> frozenset[str]:
    """All verbs that the actor holds, at least within limits: for what to offer. Asked once for every page.

    `project` None: those that concern the whole installation.
    """
    # The teams first: three plain queries are built and answered faster than nested ones.
    holders = [actor.id, *teams_of(actor).values_list("team__pseudonym", flat=True)]
    mine = Q(member__in=holders) & counted_for(actor) & _given_lately(actor)
    rows = list(Membership.objects.filter(mine, project=project)) if project else []
    appointed = OrganisationMembership.objects.filter(mine)
    everywhere = set(appointed.values_list("role", flat=True))
    superuser = User.objects.filter(pseudonym=actor.id, is_superuser=True, is_active=True)
    if superuser.filter(superuser_counted_for(actor)).exists():
        everywhere.add(OrganisationRole.ORGANISATION_ADMINISTRATOR)
    custom: dict[str, set[str]] = {}
    if keys := {row.role for row in rows} - set(Role.values):
        found = CustomRoleVerb.objects.filter(role__key__in=keys)
        for key, verb in found.values_list("role__key", "verb"):
            custom.setdefault(key, set()).add(verb)
    held = {
        name
        for name, verb in VERBS.items()
        if (everywhere & verb.roles and (project is not None or not verb.is_of_project))
        or any(
            (row.role in verb.roles or name in custom.get(row.role, ()))
            and (verb.limitable or not row.limits)
            for row in rows
        )
    }
    scope = scope_of(actor)
    if project is not None:
        held = {verb for verb in held if scope.admits_in(verb, project.key)}
    return frozenset(held)


def who_may(verb: str, project: Any) -> list[Standing]:
    """Who may do something in a project, and why. Accounts that are not active are left out."""
    found = [each for each in standings(project) if verb in each.verbs]
    pseudonyms = {each.member for each in found}
    active = set(
        User.objects.filter(pseudonym__in=pseudonyms, is_active=True).values_list("pseudonym", flat=True)
    ) | set(
        ServiceAccount.objects.filter(pseudonym__in=pseudonyms, is_active=True).values_list(
            "pseudonym", flat=True
        )
    )
    return [each for each in found if each.member in active]


def display_names(pseudonyms: set[str]) -> dict[str, str]:
    """Names for pseudonyms, for showing; one without a row (erased, or a task) shows as itself."""
    names = {pseudonym: pseudonym for pseudonym in pseudonyms}
    for user in User.objects.filter(pseudonym__in=pseudonyms):
        names[user.pseudonym] = str(user)
    for kind in (ServiceAccount, Team):
        names.update(kind._default_manager.filter(pseudonym__in=pseudonyms).values_list("pseudonym", "name"))
    return names
