"""Whether somebody showed a second factor, and when: what roles and verbs may ask for.

In a session it is what was shown in that session. By any other door (a token of theirs, the count of approvals) it is
whether their account has one: then nobody signs in without it. Programs and tasks of ours have none and need none.
"""

from __future__ import annotations

from dataclasses import dataclass

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from access.models import RoleWithFactor, User
from access.roles import OrganisationRole
from audit.actor import Actor

SIGNING_IN = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


@dataclass(frozen=True, slots=True)
class SessionActor(Actor):
    """Somebody in a browser. `factor_at`: when they last showed a second factor in this session (Unix time)."""

    factor_at: float | None = None


class StaleFactorError(Exception):
    """The verb asks for a second factor that is fresh, and none was shown lately. Showing one is the way on."""


def note_factor(request: HttpRequest, person: User, kind: str, at: float | None = None) -> None:
    """Keep in the session that a second factor was shown, now or `at` (Unix time)."""
    more = {} if at is None else {"at": at}
    record_authentication(request, person, "mfa", type=kind, **more)


def factor_at(request: HttpRequest) -> float | None:
    """When a second factor was last shown in this session (Unix time); None: never."""
    return last_at(request, "mfa")


def last_at(request: HttpRequest, *methods: str) -> float | None:
    """When somebody last showed, in this session, who they are by one of these methods (Unix time)."""
    if not isinstance(request.user, User):
        return None
    records = get_authentication_records(request, request.user)
    return max((each["at"] for each in records if each["method"] in methods), default=None)


def people_with_factor() -> QuerySet[User]:
    """People who cannot sign in without a second factor, or whose provider vouched for one."""
    own = Authenticator.objects.filter(user=OuterRef("pk"), type__in=SIGNING_IN)
    return User.objects.filter(Exists(own) | ~Q(vouched_by=""))


def counted_for(actor: Actor) -> Q:
    """Of rows of roles, those that count for the actor."""
    if is_beyond_question(actor):
        return Q()
    return ~Q(role__in=RoleWithFactor.objects.values("role")) | _has_one(actor)


def superuser_counted_for(actor: Actor) -> Q:
    """Of the actor's own row, whether being superuser counts: it is the organisation administrator's role."""
    if is_beyond_question(actor):
        return Q()
    asked = RoleWithFactor.objects.filter(role=OrganisationRole.ORGANISATION_ADMINISTRATOR)
    return ~Q(Exists(asked)) | _has_one(actor)


def is_beyond_question(actor: Actor) -> bool:
    """Whether nothing asks the actor for a factor: they showed one, or are no person."""
    if isinstance(actor, SessionActor):
        return actor.factor_at is not None
    return not actor.id.startswith("user:")


def _has_one(actor: Actor) -> Q:
    if isinstance(actor, SessionActor):
        return Q(pk__in=[])
    return Q(Exists(people_with_factor().filter(pseudonym=actor.id)))
