"""Erasing a person: what says who they were goes, and that somebody did what they did stays provable.

In the ledger a person is a pseudonym; their name stands beside it, behind salted digests, and in their own
row. Both go. All hashes and signatures stay valid. What this cannot reach is in docs/privacy.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone

from access import grants, machines, teams
from access.held import all_projects
from access.holders import administrators, somebody_administers_the_organisation
from access.models import Membership, StoredAnswer, User
from access.notifications import inbox
from access.permissions import require_in_organisation
from access.roles import Role
from audit.actor import Actor
from audit.models import Disclosure
from audit.recording import Recording, recording


class ErasureError(ValueError):
    """This person cannot be erased so; the text says why and what to do first."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What erasing a person does, or did, in numbers."""

    disclosures: int
    memberships: int
    tokens: int
    sessions: int
    # What is kept, and shows a pseudonym from then on.
    owned_flags: int
    # Projects in which nobody else is an administrator: somebody has to take over.
    sole_administrator_of: tuple[Any, ...]


def examine(actor: Actor, person: User) -> Erasure:
    """What erasing would do. Raises `ForbiddenError`."""
    require_eraser(actor, reading=True)
    return Erasure(
        _disclosures(person).count(),
        Membership.objects.filter(member=person.pseudonym).count(),
        _usable_tokens(person).count(),
        len(_sessions(person)),
        person.owned_flags.count(),
        tuple(_left_alone(person)),
    )


def erase(actor: Actor, person: User, successor: User | None = None) -> Erasure:
    """Erase a person, for good. Organisation administrators may, and whoever may run commands on the server.

    `successor` becomes administrator of the projects that would be left without one. Erasing again takes what
    was written meanwhile, by requests that were under way. Raises `ForbiddenError` or `ErasureError`.
    """
    require_eraser(actor)
    with recording(actor) as record:
        person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
        _refuse(actor, person, successor)
        done = examine(actor, person)
        if person.erased_at is None or done.disclosures:
            record.event(
                "access.v1.person.erased",
                f"access/{person.pseudonym}",
                {"disclosures": done.disclosures},
            )
        for project in done.sole_administrator_of:
            assert successor is not None
            _add_administrator(record, project, successor.pseudonym)
        grants.take_all(record, person.pseudonym)
        teams.leave_all(record, person.pseudonym)
        machines.revoke_all(record, person)
        person.api_tokens.update(name="erased", last_used_from=None)
        SocialAccount.objects.filter(user=person).delete()
        person.unlinked_identities.all().delete()
        Authenticator.objects.filter(user=person).delete()
        person.signed_in_sessions.all().delete()
        inbox.forget(person)
        person.saved_views.all().delete()
        person.draft_edits.all().delete()
        person.looks.all().delete()
        AccessAttempt.objects.filter(username=person.username).delete()
        Session.objects.filter(pk__in=_sessions(person)).delete()
        _forget_answers(person)
        accounts = ContentType.objects.get_for_model(User)
        LogEntry.objects.filter(content_type=accounts, object_id=str(person.pk)).update(
            object_repr=person.pseudonym
        )
        # At once: `delete` would read each row first, of perhaps a million, since there are receivers for deletions.
        rows = _disclosures(person)
        rows._raw_delete(rows.db)
        _blank(person)
    return done


def require_eraser(actor: Actor, *, reading: bool = False) -> None:
    """Raise `ForbiddenError` for everybody else."""
    from_the_server = actor.is_system and actor.via == "cli"
    if not from_the_server:
        require_in_organisation(actor, "person.erase", reading=reading)


def _refuse(actor: Actor, person: User, successor: User | None) -> None:
    if person.pseudonym == actor.id:
        raise ErasureError("You cannot erase yourself: have another organisation administrator do it.")
    others = User.objects.exclude(pk=person.pk)
    is_one = somebody_administers_the_organisation(User.objects.filter(pk=person.pk))
    if is_one and not somebody_administers_the_organisation(others):
        raise ErasureError(f"{person} is the only organisation administrator; make another one first.")
    alone = _left_alone(person)
    if alone and (successor is None or not successor.is_active or successor.pk == person.pk):
        named = ", ".join(project.key for project in alone)
        raise ErasureError(
            f"Nobody else is an administrator of {named}; name an active person who takes over, as successor."
        )


def _blank(person: User) -> None:
    person.username = f"erased-{person.pseudonym.partition(':')[2]}"
    person.first_name = person.last_name = person.email = ""
    person.set_unusable_password()
    person.is_active = person.is_staff = person.is_superuser = False
    person.last_login, person.vouched_by = None, ""
    person.erased_at = person.erased_at or timezone.now()
    person.save()


def _disclosures(person: User) -> Any:
    projects = all_projects().values_list("key", flat=True)
    # The projects named, because the index on who did something begins with where.
    return Disclosure.objects.filter(event__project__in=["", *projects], event__actor=person.pseudonym)


def _usable_tokens(person: User) -> Any:
    return person.api_tokens.filter(revoked_at=None)


def _sessions(person: User) -> list[str]:
    return [
        session.pk
        for session in Session.objects.iterator()
        if session.get_decoded().get("_auth_user_id") == str(person.pk)
    ]


def _left_alone(person: User) -> list[Any]:
    """The projects in which this person, and nobody else who is active, is an administrator."""
    sole = Membership.objects.filter(member=person.pseudonym, role=Role.ADMINISTRATOR, limits={})
    mine = sole.values("project_id")
    active = administrators(but=person)
    return list(all_projects().filter(pk__in=mine).exclude(pk__in=active.values("project_id")).order_by("pk"))


def _add_administrator(record: Recording, project: Any, member: str) -> None:
    project.hold()
    held = list(Membership.objects.filter(project=project, member=member))
    row = next((each for each in held if each.role == Role.ADMINISTRATOR), None)
    others = [each for each in held if each is not row]
    membership = row or Membership(project=project, member=member, role=Role.ADMINISTRATOR)
    before = grants.roles_document(held)
    membership.limits, membership.given_by = {}, ""
    record.event(
        "access.v1.membership.changed",
        membership.ledger_subject,
        before=before,
        after=grants.roles_document([*others, membership]),
        project=project.key,
    )
    membership.save()


def _forget_answers(person: User) -> None:
    """Stored answers of the API: their own go; others that name them are emptied.

    Emptied only, so that a write which is sent again still counts once.
    """
    StoredAnswer.objects.filter(actor=person.pseudonym).delete()
    named = Q(pk__in=[])
    for text in _names(person):
        named |= Q(body__contains=json.dumps(text, ensure_ascii=False))
    StoredAnswer.objects.filter(named).update(body="")


def _names(person: User) -> Iterable[str]:
    return {text for text in (person.get_full_name(), person.username, person.email) if text}
