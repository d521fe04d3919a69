"""What an identity provider gave and opened: counted beforehand, and taken back at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.sessions.models import Session
from django.db.models import QuerySet

from access.grants import LastAdministratorError, require_an_organisation_administrator, roles_document
from access.holders import somebody_administers_the_organisation
from access.models import (
    Membership,
    OrganisationMembership,
    SignedInSession,
    TeamMember,
    User,
)
from access.permissions import display_names
from access.signin.models import IdentityProvider
from access.signin.rules import settle_in
from audit.recording import Recording


@dataclass(frozen=True, slots=True)
class Held:
    """What one person holds by a provider, in numbers."""

    member: str
    name: str
    roles: int
    teams: int
    appointments: int
    sessions: int
    # They have neither a password nor another provider, so they could not sign in any more.
    is_shut_out: bool

    @property
    def holds_something(self) -> bool:
        return bool(self.roles or self.teams or self.appointments or self.sessions)


@dataclass(frozen=True, slots=True)
class Given:
    """What a provider gave to whom, those with a name first to last."""

    people: tuple[Held, ...]

    @property
    def members(self) -> set[str]:
        return {each.member for each in self.people}

    @property
    def numbers(self) -> dict[str, int]:
        """In sums: people who lose something, roles, teams, roles of the organisation, sessions, people shut out."""
        return {
            "people": sum(each.holds_something for each in self.people),
            "roles": sum(each.roles for each in self.people),
            "teams": sum(each.teams for each in self.people),
            "organisation_roles": sum(each.appointments for each in self.people),
            "sessions": sum(each.sessions for each in self.people),
            "shut_out": sum(each.is_shut_out for each in self.people),
        }


def given_by(provider: IdentityProvider) -> Given:
    """What people hold by a provider now, and the sessions that it opened."""
    counts = [
        Counter(rows.filter(given_by=provider.key).values_list("member", flat=True))
        for rows in (Membership.objects, TeamMember.objects, OrganisationMembership.objects)
    ]
    people = {user.pseudonym: user for user in linked_to(provider)}
    sessions = Counter(session.user.pseudonym for session in sessions_by(provider))
    members = set().union(people, sessions, *counts)
    others = set(
        SocialAccount.objects.filter(user__pseudonym__in=members, provider__in=_enabled())
        .exclude(provider=provider.key)
        .values_list("user__pseudonym", flat=True)
    )
    names = display_names(members)
    return Given(
        tuple(
            Held(
                member,
                names[member],
                counts[0][member],
                counts[1][member],
                counts[2][member],
                sessions[member],
                member in people and member not in others and not people[member].has_usable_password(),
            )
            for member in sorted(members, key=lambda each: (names[each].lower(), each))
        )
    )


def take_back(record: Recording, provider: IdentityProvider, members: Collection[str] | None = None) -> None:
    """Take all that its rules gave, and end the sessions that it opened, within a recording that checked who may.

    `members`: of these people only. The last administrator of a project stays one. Raises
    `LastAdministratorError` where nobody would be left who administers the organisation and can sign in.
    """
    holders = {
        member
        for rows in (Membership.objects, TeamMember.objects, OrganisationMembership.objects)
        for member in rows.filter(given_by=provider.key).values_list("member", flat=True)
        if members is None or member in members
    }
    for member in sorted(holders):
        settle_in(record, provider, member, ())
    people = linked_to(provider)
    end_sessions_by(record, provider, people if members is None else people.filter(pseudonym__in=members))
    require_an_organisation_administrator()
    require_an_administrator_who_can_sign_in()


def end_sessions_by(
    record: Recording,
    provider: IdentityProvider,
    people: QuerySet[User],
    *,
    begun_before: datetime | None = None,
) -> int:
    """End the sessions that the provider opened for these people, within a recording; returns how many."""
    sessions = [
        each
        for each in sessions_by(provider, people)
        if begun_before is None or each.started_at <= begun_before
    ]
    for person, ended in Counter(each.user.pseudonym for each in sessions).items():
        record.event(
            "access.v1.session.ended", f"access/{person}", {"sessions": ended, "provider": provider.key}
        )
    keys = [each.session_key for each in sessions]
    Session.objects.filter(pk__in=keys).delete()
    SignedInSession.objects.filter(session_key__in=keys).delete()
    return len(sessions)


def keep_by_hand(record: Recording, provider: IdentityProvider) -> None:
    """What could not be taken stays as if people had given it: there is no provider any more to take it."""
    for row in Membership.objects.filter(given_by=provider.key).select_related("project").order_by("pk"):
        rows = list(Membership.objects.filter(project=row.project, member=row.member))
        before = roles_document(rows)
        for each in rows:
            each.given_by = "" if each.pk == row.pk else each.given_by
        record.event(
            "access.v1.membership.changed",
            row.ledger_subject,
            {"provider": provider.key},
            before=before,
            after=roles_document(rows),
            project=row.project.key,
        )
        row.given_by = ""
        row.save()


def linked_to(provider: IdentityProvider) -> QuerySet[User]:
    """Whose account is known by an identity of the provider."""
    return User.objects.filter(pk__in=SocialAccount.objects.filter(provider=provider.key).values("user"))


def sessions_by(provider: IdentityProvider, people: QuerySet[User] | None = None) -> list[SignedInSession]:
    """The sessions in which somebody signed in through the provider, as the sessions themselves say.

    `people`: of these only.
    """
    rows = {
        row.session_key: row
        for row in SignedInSession.objects.filter(
            user__in=linked_to(provider) if people is None else people
        ).select_related("user")
    }
    return [
        rows[session.pk]
        for session in Session.objects.filter(pk__in=rows)
        if any(
            isinstance(each, dict) and each.get("provider") == provider.key
            for each in session.get_decoded().get(AUTHENTICATION_METHODS_SESSION_KEY, ())
        )
    ]


def require_an_administrator_who_can_sign_in() -> None:
    """Raise `LastAdministratorError` where whoever administers the organisation has no door left."""
    by_provider: QuerySet[Any] = SocialAccount.objects.filter(provider__in=_enabled()).values("user")
    local = User.objects.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    if not somebody_administers_the_organisation(local | User.objects.filter(pk__in=by_provider)):
        raise LastAdministratorError(
            "Nobody who administers the organisation could sign in any more; give one of them a password, or "
            "another provider, first."
        )


def _enabled() -> QuerySet[Any]:
    return IdentityProvider.objects.filter(is_enabled=True).values("key")
