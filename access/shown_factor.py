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


def roles_without_factor(actor: Actor) -> frozenset[str]:
    """The roles that count for nobody without a second factor, where the actor showed none; mostly there are none."""
    if isinstance(actor, SessionActor):
        if actor.factor_at is not None:
            return frozenset()
    elif not actor.id.startswith("user:"):
        return frozenset()
    asked = frozenset(RoleWithFactor.objects.values_list("role", flat=True))
    if asked and not isinstance(actor, SessionActor):
        return frozenset() if people_with_factor().filter(pseudonym=actor.id).exists() else asked
    return asked
