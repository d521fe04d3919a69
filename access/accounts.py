"""Accounts of people: making one, changing what is known of it, its standing and its password.

The ledger says that it happened and to whom, by pseudonym; names, addresses and passwords stay out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from access import machines
from access.grants import require_an_organisation_administrator
from access.models import User
from access.permissions import require_in_organisation
from audit.actor import Actor
from audit.recording import recording

# What is known of a person. The ledger names which of these changed, never to what.
PERSONAL = ("username", "first_name", "last_name", "email")


class ErasedError(ValueError):
    """Who was erased does not get another name or password."""


def create_account(actor: Actor, password: str | None, **personal: str) -> User:
    """Make an account, without a role. `password` None: none that works, for who signs in elsewhere.

    `personal`: members of `PERSONAL`. Raises `ForbiddenError`, or ValidationError naming the one at fault.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "account.manage")
        user = User(**_known(personal))
        _give(user, password)
        user.full_clean()
        user.save()
        record.event("access.v1.account.created", _subject(user), before=None, after=standing_of(user))
    return user


def change_account(
    actor: Actor, user: User, *, is_active: bool, is_superuser: bool, personal: Mapping[str, str]
) -> None:
    """Change what is known of a person and whether they may sign in and administer the installation.

    Raises `ForbiddenError`, `ErasedError`, `LastAdministratorError` or ValidationError.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "account.manage")
        user = _held(user)
        before = standing_of(user)
        changed = sorted(name for name, value in _known(personal).items() if getattr(user, name) != value)
        for name in changed:
            setattr(user, name, personal[name])
        user.is_active, user.is_superuser = is_active, is_superuser
        user.full_clean()
        after = standing_of(user)
        if before == after and not changed:
            return
        record.event(
            "access.v1.account.changed",
            _subject(user),
            {"changed": changed} if changed else None,
            before=before,
            after=after,
        )
        user.save()
        require_an_organisation_administrator()


def set_password(actor: Actor, user: User, password: str) -> None:
    """Set somebody's password: whoever knows it can act as them, so the ledger says who set it.

    Their sessions end and their API tokens are revoked. Raises `ForbiddenError`, `ErasedError`, or ValidationError
    for one that is easily guessed.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "account.manage")
        user = _held(user)
        _give(user, password)
        record.event("access.v1.account.password_set", _subject(user))
        user.save(update_fields=["password"])
        machines.revoke_all(record, user)


def change_own_password(actor: Actor, user: User, password: str) -> None:
    """Change one's own password, whoever asks having shown that it is them. Raises `ErasedError`."""
    with recording(actor) as record:
        user = _held(user)
        user.set_password(password)
        record.event("access.v1.account.password_changed", _subject(user))
        user.save(update_fields=["password"])


def search(words: str) -> QuerySet[User]:
    """The accounts in which each of these words is part of the user name, name or e-mail address."""
    rows = User.objects.order_by("username")
    for word in words.replace("\x00", "").split():
        rows = rows.filter(Q(*((f"{name}__icontains", word) for name in PERSONAL), _connector=Q.OR))
    return rows


def standing_of(user: User) -> dict[str, Any]:
    """What an account may do by itself, as the ledger has it."""
    return {"active": user.is_active, "superuser": user.is_superuser}


def _held(user: User) -> User:
    found = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if found.erased_at is not None:
        raise ErasedError("This person was erased; nothing brings them back.")
    return found


def _give(user: User, password: str | None) -> None:
    """Raises ValidationError, naming the password, for one that is easily guessed."""
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise ValidationError({"password": error.messages}) from error
    user.set_password(password)


def _known(personal: Mapping[str, str]) -> Mapping[str, str]:
    unknown = set(personal) - set(PERSONAL)
    if unknown:
        raise TypeError(f"no member of an account: {', '.join(sorted(unknown))}")
    return personal


def _subject(user: User) -> str:
    return f"access/{user.pseudonym}"
