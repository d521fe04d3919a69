"""Who holds a verb, and why: asked about people, not by them. `standings` is the one place that works it out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from access.held import held_by_any
from access.limits import EVERYWHERE, Limits, Touched
from access.models import (
    CustomRole,
    CustomRoleVerb,
    Membership,
    OrganisationMembership,
    RoleWithFactor,
    ServiceAccount,
    TeamMember,
    User,
)
from access.roles import VERBS, OrganisationRole, Role, label_of, roles_that_may
from access.shown_factor import people_with_factor


@dataclass(frozen=True, slots=True)
class Standing:
    """Why somebody holds verbs here: the role, the team through which it comes, and its limits."""

    member: str
    role: str
    role_name: str
    # What the role gives here.
    gives: frozenset[str]
    # The name of the team that holds the role; empty for the person's own.
    team: str = ""
    limits: Limits = EVERYWHERE
    # Whether it counts for nothing until they have a second factor.
    waits: bool = False

    @property
    def verbs(self) -> frozenset[str]:
        """What they hold by it now."""
        return frozenset() if self.waits else self.gives

    @property
    def is_of_organisation(self) -> bool:
        """Whether it holds in every project."""
        return self.role in OrganisationRole.values


def memberships_with(verb: str) -> QuerySet[Membership]:
    """The memberships whose role holds the verb; limited ones only where the verb can be limited."""
    custom = CustomRoleVerb.objects.filter(verb=verb).values("role__key")
    rows = Membership.objects.filter(Q(role__in=roles_that_may(verb)) | Q(role__in=custom))
    return rows if VERBS[verb].limitable else rows.filter(limits={})


def organisation_memberships_with(verb: str) -> QuerySet[OrganisationMembership]:
    return OrganisationMembership.objects.filter(role__in=roles_that_may(verb))


def superusers_with(verb: str) -> QuerySet[User]:
    """Whom `manage.py createsuperuser` made, where a verb is the organisation administrators'.

    They are that without a membership: whoever runs commands there could give it to themselves anyway.
    """
    rows = User.objects.filter(is_superuser=True, is_active=True)
    return rows if OrganisationRole.ORGANISATION_ADMINISTRATOR in roles_that_may(verb) else rows.none()


def standings(
    project: Any | None, members: Collection[str] | None = None, verb: str | None = None
) -> list[Standing]:
    """Every role that somebody holds in a project, their own, through a team, or of the organisation.

    `project` None: those of the organisation. `members`: of these pseudonyms only. `verb`: roles that give it only.
    Teams stand for the people in them; whether accounts are active is not looked at. A fixed number of queries.
    """
    rows = Membership.objects.filter(project=project) if verb is None else memberships_with(verb)
    rows = rows.filter(project=project) if project is not None else rows.none()
    appointed = OrganisationMembership.objects.all() if verb is None else organisation_memberships_with(verb)
    superusers = (
        User.objects.filter(is_superuser=True, is_active=True) if verb is None else superusers_with(verb)
    )
    if members is not None:
        rows, appointed = rows.filter(held_by_any(members)), appointed.filter(held_by_any(members))
        superusers = superusers.filter(pseudonym__in=members)
    held = [(row.member, row.role, row.reach) for row in rows]
    held += [(row.member, row.role, EVERYWHERE) for row in appointed]
    administrator = str(OrganisationRole.ORGANISATION_ADMINISTRATOR)
    held += [(row.pseudonym, administrator, EVERYWHERE) for row in superusers]
    return list(_told(held, members))


def _told(held: list[tuple[str, str, Limits]], members: Collection[str] | None) -> Iterator[Standing]:
    """The standings of these holders (of whom teams stand for the people in them), roles and limits."""
    teams = {holder for holder, _role, _limits in held if holder.startswith("team:")}
    placed = TeamMember.objects.filter(team__pseudonym__in=teams)
    if members is not None:
        placed = placed.filter(member__in=members)
    people: dict[str, list[tuple[str, str]]] = {team: [] for team in teams}
    for team, name, member in placed.values_list("team__pseudonym", "team__name", "member") if teams else ():
        people[team].append((member, name))
    keys = {role for _holder, role, _limits in held} - set(Role.values) - set(OrganisationRole.values)
    custom = CustomRole.objects.filter(key__in=keys).prefetch_related("verbs") if keys else ()
    made = {role.key: (role.name, frozenset(each.verb for each in role.verbs.all())) for role in custom}
    uncounted = _uncounted(members)
    for holder, role, limits in held:
        name, verbs = made[role] if role in made else (label_of(role), _verbs_of(role))
        if limits.document:
            verbs = frozenset(each for each in verbs if VERBS[each].limitable)
        for member, team_name in people[holder] if holder in teams else [(holder, "")]:
            if members is None or member in members:
                yield Standing(member, role, name, verbs, team_name, limits, (member, role) in uncounted)


def _verbs_of(role: str) -> frozenset[str]:
    return frozenset(each for each, verb in VERBS.items() if role in verb.roles)


def _uncounted(members: Collection[str] | None) -> set[tuple[str, str]]:
    """Who, and which roles that do not count for them: they need a second factor. None: of everybody."""
    roles = list(RoleWithFactor.objects.values_list("role", flat=True))
    if not roles:
        return set()
    people = User.objects.exclude(pk__in=people_with_factor())
    if members is not None:
        people = people.filter(pseudonym__in=members)
    return {(member, role) for member in people.values_list("pseudonym", flat=True) for role in roles}


def _holding(
    verb: str, project: Any | None, touched: Iterable[Touched] = (), members: Collection[str] | None = None
) -> QuerySet[User]:
    touched = list(touched)
    held = standings(project, members, verb)
    counted = {each.member for each in held if verb in each.verbs and each.limits.admit(touched)}
    return User.objects.filter(pseudonym__in=counted, is_active=True)


def eligible(members: set[str], verb: str, project: Any, touched: Iterable[Touched] = ()) -> set[str]:
    """Of these pseudonyms, the active people (no service accounts) who hold the verb here now."""
    if not members:
        return set()
    return set(_holding(verb, project, touched, members).values_list("pseudonym", flat=True))


def people_who_may(verb: str, project: Any | None, touched: Iterable[Touched] = ()) -> list[User]:
    """The active people who hold the verb in the project now, for all that is touched; None: in the organisation."""
    return list(_holding(verb, project, touched).order_by("pk"))


def who_may(verb: str, project: Any | None) -> list[Standing]:
    """Who may do something in a project (None: in the organisation), and why; and those whose role `waits`.

    Active accounts only.
    """
    found = [each for each in standings(project, verb=verb) if verb in each.gives]
    pseudonyms = {each.member for each in found}
    active: set[str] = set()
    for kind in (User, ServiceAccount):
        rows = kind._default_manager.filter(pseudonym__in=pseudonyms, is_active=True)
        active.update(rows.values_list("pseudonym", flat=True))
    return [each for each in found if each.member in active]


def somebody_administers_the_organisation(among: QuerySet[User] | None = None) -> bool:
    """Whether anybody active administers the installation, themselves or in a team. `among`: of these only.

    Whoever needs a second factor first is somebody: they can set one up.
    """
    holding = {each.member for each in standings(None, verb="organisation.manage")}
    people = User.objects.all() if among is None else among
    return people.filter(pseudonym__in=holding, is_active=True).exists()


def administrators(but: User | None = None) -> QuerySet[Membership]:
    """The roles of projects' administrators, without limits, that are of somebody active. `but`: not counting them.

    Accounts that are not active and teams without anybody active are nobody.
    """
    people = User.objects.filter(is_active=True).values("pseudonym")
    if but is not None:
        people = people.exclude(pk=but.pk)
    staffed = TeamMember.objects.filter(member__in=people).values("team__pseudonym")
    programs = ServiceAccount.objects.filter(is_active=True).values("pseudonym")
    return Membership.objects.filter(
        Q(member__in=people) | Q(member__in=staffed) | Q(member__in=programs),
        role=Role.ADMINISTRATOR,
        limits={},
    )
