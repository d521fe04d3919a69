"""Linking an account to an identity at a provider, and unlinking: by its owner or an organisation administrator.

An identity is a provider and the subject that it gives, never an address (decision 0023).
"""

from __future__ import annotations

from collections.abc import Sequence

from allauth.socialaccount.models import SocialAccount

from access.models import User
from access.permissions import may_in_organisation, require_in_organisation
from access.signin.models import IdentityProvider, UnlinkedIdentity
from access.signin.taking_back import require_an_administrator_who_can_sign_in, take_back
from audit.actor import Actor
from audit.recording import Recording, recording

FRESH = 600
"""Seconds for which a sign-in counts as fresh."""


class LinkError(ValueError):
    """The identity cannot be linked or unlinked so; the text says why and what to do first."""


def link(actor: Actor, person: User, provider: IdentityProvider, subject: str) -> SocialAccount:
    """Let an identity of a provider sign in as a person.

    Their own: after a fresh sign-in at both, which the edge has seen to. Raises `ForbiddenError` or `LinkError`.
    """
    with recording(actor) as record:
        _require(actor, person)
        person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
        if person.erased_at is not None:
            raise LinkError("This person was erased; nothing brings them back.")
        if not subject or len(subject) > 191 or "\x00" in subject:
            raise LinkError("A subject is what the provider gives as sub: 1 to 191 characters.")
        if SocialAccount.objects.filter(user=person, provider=provider.key).exists():
            raise LinkError(f"{person} is linked to an identity of {provider} already; unlink that first.")
        # The text names nobody: who else has an account is not theirs to know.
        if SocialAccount.objects.filter(provider=provider.key, uid=subject).exists():
            raise LinkError(
                f"Another account is linked to this identity of {provider}, perhaps made when it first signed in. "
                "An organisation administrator unlinks it there first, and links it here."
            )
        was = UnlinkedIdentity.objects.filter(provider=provider.key, subject=subject)
        if was.exclude(user=person).exists() and not may_in_organisation(actor, "account.manage"):
            raise LinkError(
                f"This identity of {provider} was another account's. An organisation administrator links it here."
            )
        was.delete()
        record.event("access.v1.account.linked", f"access/{person.pseudonym}", {"provider": provider.key})
        return SocialAccount.objects.create(user=person, provider=provider.key, uid=subject)


def unlink(actor: Actor, person: User, provider: IdentityProvider) -> None:
    """Take it back: what the provider's groups gave the person goes, and the sessions that it opened end.

    Nobody takes their own only way to sign in; administrators may. Raises `ForbiddenError`, `LinkError` or
    `LastAdministratorError`.
    """
    with recording(actor) as record:
        _require(actor, person)
        person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
        if actor.id == person.pseudonym and not _has_another_way(person, provider):
            raise LinkError(
                f"{provider} is the only way in which you sign in. An organisation administrator sets a password "
                "for you, or links another provider, first."
            )
        if SocialAccount.objects.filter(user=person, provider=provider.key).exists():
            unlink_in(record, [person], provider)


def unlink_in(record: Recording, people: Sequence[User], provider: IdentityProvider) -> None:
    """Within a recording that has checked who may."""
    take_back(record, provider, {person.pseudonym for person in people})
    for person in people:
        record.event("access.v1.account.unlinked", f"access/{person.pseudonym}", {"provider": provider.key})
    linked = SocialAccount.objects.filter(user__in=people, provider=provider.key)
    for row in linked:
        UnlinkedIdentity.objects.get_or_create(
            provider=row.provider, subject=row.uid, defaults={"user_id": row.user_id}
        )
    linked.delete()
    User.objects.filter(pk__in=[each.pk for each in people], vouched_by=provider.key).update(vouched_by="")
    require_an_administrator_who_can_sign_in()


def belongs_to_somebody(provider: IdentityProvider, subject: str, email: str) -> bool:
    """Whether an identity that is linked to no account was somebody's, or has the address of somebody here.

    Then it makes no account: with two, one person could approve what they proposed. Whether the address was verified
    does not matter, since nobody is taken for somebody by it.
    """
    was = UnlinkedIdentity.objects.filter(provider=provider.key, subject=subject)
    return was.exists() or bool(email and User.objects.filter(email__iexact=email).exists())


def _has_another_way(person: User, provider: IdentityProvider) -> bool:
    enabled = IdentityProvider.objects.filter(is_enabled=True).exclude(pk=provider.pk).values("key")
    return (
        person.has_usable_password()
        or SocialAccount.objects.filter(user=person, provider__in=enabled).exists()
    )


def _require(actor: Actor, person: User) -> None:
    if actor.id != person.pseudonym:
        require_in_organisation(actor, "account.manage")
