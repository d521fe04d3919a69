"""Too many wrong passwords: nobody gets in by this name, or from this address, for a while (django-axes counts).

Names that nobody has are counted like others, so that a lockout tells nothing about who has an account. Nobody can keep
somebody else out of their known browser (`access.signin.known_browsers`), a passkey, or a sign-in through a provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, IPv6Network

from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, Q, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from access import scopes
from access.models import User
from access.permissions import require_in_organisation
from access.signin import known_browsers
from audit.actor import Actor
from audit.recording import recording


@dataclass(frozen=True, slots=True)
class Lockout:
    """An account or an address that stays out until then."""

    # One of the two.
    person: User | None
    address: str
    failures: int
    until: datetime


def address_of(request: HttpRequest) -> str:
    """The client's address; a proxy is believed only where `BEHIND_TLS_PROXY` says that there is one.

    Of IPv6 the network of 64 bits that one line has: whoever has it has 2^64 addresses.
    """
    known = scopes.address_of(request.META, behind_proxy=settings.BEHIND_TLS_PROXY)
    if isinstance(known, IPv6Address):
        return str(IPv6Network((known, 64), strict=False).network_address)
    return str(known or request.META.get("REMOTE_ADDR", ""))


def lockouts() -> list[Lockout]:
    """Whoever is locked out now. Names that nobody has are not shown: a password may be among them."""
    recent = AccessAttempt.objects.filter(attempt_time__gt=timezone.now() - settings.AXES_COOLOFF_TIME)

    def full(column: str) -> list[tuple[str, int, datetime]]:
        rows = (
            recent.order_by().values(column).annotate(n=Sum("failures_since_start"), last=Max("attempt_time"))
        )
        return [
            (row[column], row["n"], row["last"] + settings.AXES_COOLOFF_TIME)
            for row in rows.filter(n__gte=settings.AXES_FAILURE_LIMIT).order_by(column)
            if row[column]
        ]

    # One for each person, whether strangers or a browser of their own used the attempts up.
    names = {known_browsers.owner_of(name): (n, until) for name, n, until in full("username")}
    people = User.objects.filter(username__in=names).order_by("username")
    found = [Lockout(person, "", *names[person.username]) for person in people]
    return found + [Lockout(None, address, n, until) for address, n, until in full("ip_address")]


def unlock_person(actor: Actor, person: User) -> None:
    """Forget the wrong passwords for an account. Raises `ForbiddenError`."""
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        if _attempts_at(person).delete()[0]:
            record.event("access.v1.account.unlocked", f"access/{person.pseudonym}")


def unlock_address(actor: Actor, address: str) -> None:
    """Forget the wrong passwords from an address, which the ledger does not name. Raises `ForbiddenError`."""
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        if AccessAttempt.objects.filter(ip_address=address).delete()[0]:
            record.event("access.v1.address.unlocked", "access/organisation")


def explained(request: HttpRequest, username: str) -> str:
    """When to try again, and who can help: the same whether or not the name is somebody's."""
    now = timezone.now()
    counted = {
        "username": known_browsers.counted_as(request, {"username": username}),
        "ip_address": address_of(request),
    }
    rules = known_browsers.counted_by(request, {"username": username})
    attempts = Q(*((rule, counted[rule]) for rule in rules), _connector=Q.OR)
    last = AccessAttempt.objects.filter(attempts).aggregate(last=Max("attempt_time"))["last"] or now
    until = last + settings.AXES_COOLOFF_TIME
    minutes = max(1, -int((now - until).total_seconds() // 60))
    return _(
        "Too many wrong passwords for this name or from this address. Try again in %(minutes)s minutes "
        "(%(until)s UTC), or ask an organisation administrator to unlock it. Signing in through a provider works."
    ) % {"minutes": minutes, "until": f"{until:%H:%M}"}


def _attempts_at(person: User) -> QuerySet[AccessAttempt]:
    strangers, begins = known_browsers.counts_of(person.username)
    return AccessAttempt.objects.filter(Q(username=strangers) | Q(username__startswith=begins))
