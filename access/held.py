"""The rows of roles that hold a verb, and of those the ones that are somebody's and count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from access.models import CustomRoleVerb, Membership, OrganisationMembership, TeamMember, User
from access.roles import VERBS, OrganisationRole, Role, roles_that_may
from access.scopes import BearerActor
from access.shown_factor import roles_without_factor
from audit.actor import Actor


def all_projects() -> QuerySet[Any]:
    """Every project. They are of the layer above, which is known here by the keys to it alone."""
    found: QuerySet[Any] = Membership._meta.get_field("project").related_model._default_manager.all()
    return found


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


def given_lately(actor: Actor) -> Q:
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
    return TeamMember.objects.filter(given_lately(actor), member=actor.id)


def held_by_any(members: Iterable[str]) -> Q:
    """Rows that belong to these pseudonyms, themselves or as a team that they are in."""
    members = list(members)
    teams = TeamMember.objects.filter(member__in=members).values("team__pseudonym")
    return Q(member__in=members) | Q(member__in=teams)


def held_by(actor: Actor) -> Q:
    """Rows of roles that are the actor's and count, their own or of a team that they are in."""
    mine = Q(member=actor.id) | Q(member__in=teams_of(actor).values("team__pseudonym"))
    silent = roles_without_factor(actor)
    return mine & (~Q(role__in=silent) if silent else Q()) & given_lately(actor)


class Held:
    """The roles that an actor holds and that count, as they stand when each is first asked for.

    Read by plain queries: as one that is nested, asking for a single verb took Python 8 ms to write down. For one
    question, or for one page that asks many; a change asks anew.
    """

    def __init__(self, actor: Actor, project: Any | None = None) -> None:
        """`project`: only this one's roles are of interest, beside those of the organisation."""
        self._actor, self._project = actor, project

    @cached_property
    def _mine(self) -> Q:
        return held_by(self._actor)

    @cached_property
    def memberships(self) -> list[Membership]:
        """The roles in projects."""
        rows = Membership.objects.filter(self._mine)
        return list(rows if self._project is None else rows.filter(project=self._project))

    @cached_property
    def _by_project(self) -> dict[int, list[Membership]]:
        found: dict[int, list[Membership]] = {}
        for row in self.memberships:
            found.setdefault(row.project_id, []).append(row)
        return found

    @cached_property
    def everywhere(self) -> frozenset[str]:
        """The roles of the organisation."""
        roles = set(OrganisationMembership.objects.filter(self._mine).values_list("role", flat=True))
        # Who is superuser administers the organisation: whoever runs commands there could appoint themselves anyway.
        administrator = str(OrganisationRole.ORGANISATION_ADMINISTRATOR)
        superuser = User.objects.filter(pseudonym=self._actor.id, is_superuser=True, is_active=True)
        if superuser.exists() and administrator not in roles_without_factor(self._actor):
            roles.add(administrator)
        return frozenset(roles)

    @cached_property
    def _custom(self) -> dict[str, set[str]]:
        """The verbs of roles that are not in the table."""
        found: dict[str, set[str]] = {}
        if keys := {row.role for row in self.memberships} - set(Role.values):
            rows = CustomRoleVerb.objects.filter(role__key__in=keys)
            for key, verb in rows.values_list("role__key", "verb"):
                found.setdefault(key, set()).add(verb)
        return found

    def has_everywhere(self, verb: str) -> bool:
        """Whether a role of the organisation holds the verb."""
        return not self.everywhere.isdisjoint(roles_that_may(verb))

    def memberships_with(self, verb: str, project: Any | None = None) -> list[Membership]:
        """The roles in all projects or in one that hold the verb; limited ones only where the verb can be limited."""
        return [
            row
            for row in (self.memberships if project is None else self._by_project.get(project.pk, ()))
            if (row.role in roles_that_may(verb) or verb in self._custom.get(row.role, ()))
            and (VERBS[verb].limitable or not row.limits)
        ]
