"""The local door beside the providers: it opens when they are down, and whoever uses it is seen."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from access.models import IdentityProvider, OrganisationMembership, TeamMember, User
from access.notify import mail
from access.permissions import user_actor
from access.roles import OrganisationRole
from audit.recording import recording


def used(person: User, request_id: str = "") -> None:
    """Somebody signs in with a password or passkey: where providers are connected, that is recorded and told.

    A ledger that cannot append lets nobody in.
    """
    if not IdentityProvider.objects.filter(is_enabled=True).exists():
        return
    with recording(user_actor(person, "ui", request_id)) as record:
        record.event("access.v1.account.signed_in_locally", f"access/{person.pseudonym}")
    mail(
        organisation_administrators().exclude(pk=person.pk),
        _("Countersign: %s signed in past the identity providers") % person,
        _(
            "%(person)s signed in with a local password or passkey, of the account %(name)s. If "
            "nobody knows why, end their sessions and make the account inactive. It stands in the ledger."
        )
        % {"person": person, "name": person.username},
    )


def organisation_administrators() -> QuerySet[User]:
    """Those who hold the role, themselves or in a team, and superusers."""
    held = OrganisationMembership.objects.filter(role=OrganisationRole.ORGANISATION_ADMINISTRATOR).values(
        "member"
    )
    teams = TeamMember.objects.filter(team__pseudonym__in=held).values("member")
    people = User.objects.filter(is_active=True)
    return (
        people.filter(pseudonym__in=held)
        | people.filter(pseudonym__in=teams)
        | people.filter(is_superuser=True)
    ).distinct()
