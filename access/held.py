"""The rows of roles that hold a verb, and of those the ones that are somebody's and count: conditions for queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db.models import Exists, Q, QuerySet
from django.utils import timezone

from access.models import CustomRoleVerb, Membership, OrganisationMembership, TeamMember, User
from access.roles import VERBS, OrganisationRole, roles_that_may
from access.scopes import BearerActor
from access.shown_factor import counted_for, superuser_counted_for
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


def holds_everywhere(actor: Actor, verb: str) -> Q:
    """Whether the actor holds the verb by a role of the organisation: true or false for every row."""
    return Q(Exists(organisation_memberships_with(verb).filter(held_by(actor)))) | Q(
        Exists(superusers_with(verb).filter(superuser_counted_for(actor), pseudonym=actor.id))
    )


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
