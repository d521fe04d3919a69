"""The roles that are somebody's and count, and what these hold."""

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
from access.shown_factor import counted_for, superuser_counted_for
from audit.actor import Actor


def all_projects() -> QuerySet[Any]:
    """Every project. They are of the layer above, which is known here by the keys to it alone."""
    found: QuerySet[Any] = Membership._meta.get_field("project").related_model._default_manager.all()
    return found


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
    return mine & counted_for(actor) & given_lately(actor)


class Held:
    """The roles that an actor holds and that count, as they stand when each is first asked for.

    Read by plain queries: as one that is nested, asking for a verb took Python 4 to 8 ms to write down. For one
    question, or for one page that asks many; whoever changes something asks anew (docs/decisions/0043).
    """

    def __init__(self, actor: Actor, project: Any | None = None) -> None:
        """`project`: only this one's roles are of interest, beside those of the organisation."""
        self.actor, self.project = actor, project

    @cached_property
    def memberships(self) -> list[Membership]:
        """The roles in projects."""
        rows = Membership.objects.filter(held_by(self.actor))
        return list(rows if self.project is None else rows.filter(project=self.project))

    @cached_property
    def _by_project(self) -> dict[int, list[Membership]]:
        found: dict[int, list[Membership]] = {}
        for row in self.memberships:
            found.setdefault(row.project_id, []).append(row)
        return found

    @cached_property
    def everywhere(self) -> frozenset[str]:
        """The roles of the organisation."""
        mine = OrganisationMembership.objects.filter(held_by(self.actor))
        roles = set(mine.values_list("role", flat=True))
        # Who is superuser administers the organisation: whoever runs commands there could appoint themselves anyway.
        administrator = str(OrganisationRole.ORGANISATION_ADMINISTRATOR)
        superuser = User.objects.filter(pseudonym=self.actor.id, is_superuser=True, is_active=True)
        if administrator not in roles and superuser.filter(superuser_counted_for(self.actor)).exists():
            roles.add(administrator)
        return frozenset(roles)

    @cached_property
    def _custom(self) -> dict[int, set[str]]:
        """The verbs of roles that are not in the table, by the row by which they are held."""
        rows = [row for row in self.memberships if row.role not in Role.values]
        if not rows:
            return {}
        given: dict[str, set[str]] = {}
        asked = CustomRoleVerb.objects.filter(role__key__in={row.role for row in rows})
        for key, verb in asked.values_list("role__key", "verb"):
            given.setdefault(key, set()).add(verb)
        # Whoever lost the role between the two questions does not get what it was given since.
        still = Membership.objects.filter(held_by(self.actor), pk__in=[row.pk for row in rows])
        kept = set(still.values_list("pk", flat=True))
        return {row.pk: given.get(row.role, set()) for row in rows if row.pk in kept}

    def has_everywhere(self, verb: str) -> bool:
        """Whether a role of the organisation holds the verb."""
        return not self.everywhere.isdisjoint(roles_that_may(verb))

    def memberships_with(self, verb: str, project: Any | None = None) -> list[Membership]:
        """The roles in one project, or in all that were read, that hold the verb.

        Limited ones only where the verb can be limited.
        """
        return [
            row
            for row in (self.memberships if project is None else self._by_project.get(project.pk, ()))
            if (row.role in roles_that_may(verb) or verb in self._custom.get(row.pk, ()))
            and (VERBS[verb].limitable or row.limits == {})
        ]
