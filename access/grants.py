"""Giving and taking roles: the verbs behind the access pages, the API and the commands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.urls import reverse

from access import notify
from access.holders import administrators, somebody_administers_the_organisation
from access.limits import Limits, LimitsError
from access.models import (
    CustomRole,
    Membership,
    OrganisationMembership,
    ServiceAccount,
    Team,
    User,
)
from access.permissions import require, require_in_organisation
from access.roles import OrganisationRole, Role
from access.signals import roles_changing
from audit.actor import Actor
from audit.recording import PendingEvent, Recording, recording


class LastAdministratorError(ValueError):
    """A project or the organisation would be left without anybody who can give roles."""


class ReviewNeededError(ValueError):
    """A policy of the project asks that roles are given and taken by a reviewed request."""


class UnknownRoleError(ValueError):
    """Neither the table nor the organisation's custom roles have this role."""


def roles_document(rows: Iterable[Membership]) -> dict[str, Any] | None:
    """The roles of somebody in a project, as the ledger has them; None for none."""
    roles = [
        {"role": row.role, **row.limits, **({"given_by": row.given_by} if row.given_by else {})}
        if row.limits or row.given_by
        else row.role
        for row in sorted(rows, key=lambda row: row.role)
    ]
    return {"roles": roles} if roles else None


def role_keys() -> set[str]:
    """The keys of all roles that one can have in a project."""
    return {*Role.values, *CustomRole.objects.values_list("key", flat=True)}


def _refuse_unknown(role: str) -> None:
    if role not in Role.values and not CustomRole.objects.filter(key=role).exists():
        raise UnknownRoleError(f"There is no role {role!r}; choose one of {', '.join(Role.values)}.")


def is_known(member: str) -> bool:
    """Whether there is a person who was not erased, a service account or a team of this id."""
    kinds = (User.objects.filter(erased_at=None), ServiceAccount.objects.all(), Team.objects.all())
    return any(rows.filter(pseudonym=member).exists() for rows in kinds)


def _refuse_unknown_member(member: str) -> None:
    if not is_known(member):
        raise ValidationError({"member": f"{member!r} is no person, service account or team"})


def refuse_unknown_places(limits: Limits, project: Any) -> None:
    """Raise `LimitsError` for an environment that the project does not have, or a kind that flags do not have.

    A misspelt one would hold nothing, or after a rename more than was meant.
    """
    environments = set(project.environments.values_list("key", flat=True))
    kinds = set(project.flags.model.Kind.values)
    for name, there, what in (
        ("environments", environments, f"environment of {project.key}"),
        ("kinds", kinds, "kind of flag"),
    ):
        if unknown := sorted(getattr(limits, name) - there):
            raise LimitsError(
                f"limits.{name}",
                f"{unknown[0]!r} is no {what}; choose among {', '.join(sorted(there)) or 'none yet'}",
            )


def grant(
    actor: Actor,
    project: Any,
    member: str,
    role: str,
    *,
    limits: Limits | None = None,
    founding: bool = False,
) -> Membership:
    """Give a role to a person, service account or team (by pseudonym), or set the limits of one given.

    `limits`: where it holds; None: everywhere in the project. `founding`: the first administrator of a new
    project, whom nobody could appoint. Raises `ForbiddenError`, `UnknownRoleError`, `LimitsError`,
    `ReviewNeededError`, ValidationError naming a member that does not exist, or `LastAdministratorError` where the
    limits would leave nobody who can give roles.
    """
    with recording(actor) as record:
        project.hold()  # so that each names the roles that it found
        if not (founding and not Membership.objects.filter(project=project).exists()):
            require(actor, "access.manage", project)
            _refuse_unknown_member(member)
            roles_changing.send(sender=grant, project=project)
        change_roles(record, project, member, with_role(project, member, role, limits))
        membership: Membership = Membership.objects.get(project=project, member=member, role=role)
    return membership


def revoke(actor: Actor, membership: Membership) -> None:
    """Take a role away. Raises `ForbiddenError`, `ReviewNeededError` or `LastAdministratorError`."""
    project = membership.project
    with recording(actor) as record:
        require(actor, "access.manage", project)
        project.hold()  # so that each names the roles that it found
        roles_changing.send(sender=revoke, project=project)
        change_roles(record, project, membership.member, without_role(membership))


def roles_of(project: Any, member: str) -> dict[str, Any] | None:
    """The roles of somebody in a project, as the ledger has them; None for none."""
    return roles_document(Membership.objects.filter(project=project, member=member))


def with_role(project: Any, member: str, role: str, limits: Limits | None = None) -> dict[str, Any]:
    """The roles of somebody with one more, by hand, or with other limits.

    Raises `UnknownRoleError`, or `LimitsError` for limits that nothing in the project lies within.
    """
    _refuse_unknown(role)
    if limits:
        refuse_unknown_places(limits, project)
    rows = Membership.objects.filter(project=project, member=member).exclude(role=role)
    given = Membership(
        project=project, member=member, role=str(role), limits=limits.document if limits else {}
    )
    return roles_document([*rows, given]) or {}


def without_role(membership: Membership) -> dict[str, Any] | None:
    """The roles of somebody without this one."""
    rows = Membership.objects.filter(project=membership.project, member=membership.member)
    return roles_document(rows.exclude(pk=membership.pk))


def read_roles(document: Mapping[str, Any] | None) -> dict[str, tuple[dict[str, Any], str]]:
    """From a document of roles: of each role its limits, and the provider that gave it.

    Raises `UnknownRoleError`, or ValueError (`LimitsError`) for what is no such document.
    """
    entries = [] if document is None else document.get("roles")
    if not isinstance(entries, list) or (document is not None and set(document) != {"roles"}):
        raise ValueError("roles: must be an object with the list `roles`")
    found: dict[str, tuple[dict[str, Any], str]] = {}
    for entry in entries:
        if not isinstance(entry, str | Mapping):
            raise ValueError("roles: each is a text or an object with `role`")
        members = {"role": entry} if isinstance(entry, str) else dict(entry)
        role, given_by = members.pop("role", None), members.pop("given_by", "")
        if not isinstance(role, str) or role in found or not isinstance(given_by, str):
            raise ValueError("roles: each names another role, as a text or as an object with `role`")
        _refuse_unknown(role)
        found[role] = (Limits.read(members).document, given_by)
    return found


def change_roles(
    record: Recording,
    project: Any,
    member: str,
    document: Mapping[str, Any] | None,
    *,
    data: Mapping[str, Any] | None = None,
    change_id: str = "",
) -> PendingEvent | None:
    """Let these be the roles of somebody in a project, within a recording that has checked who may.

    Returns the event; None where they are that already. Raises what `read_roles` raises, or
    `LastAdministratorError` where nobody would be left who can give roles.
    """
    wanted = read_roles(document)
    rows = {row.role: row for row in Membership.objects.filter(project=project, member=member)}
    held = {role: (row.limits, row.given_by) for role, row in rows.items()}
    if wanted == held:
        return None
    administrator = rows.get(Role.ADMINISTRATOR)
    if administrator is not None and wanted.get(Role.ADMINISTRATOR, ({"none": True}, ""))[0]:
        require_another_administrator(administrator)
    changed = [
        Membership(project=project, member=member, role=role) if role not in rows else rows[role]
        for role in wanted
        if wanted[role] != held.get(role)
    ]
    event = record.event(
        "access.v1.membership.changed",
        Membership(project=project, member=member).ledger_subject,
        data,
        before=roles_document(rows.values()),
        after=dict(document) if document else None,
        project=project.key,
        change_id=change_id,
    )
    for row in changed:
        row.limits, row.given_by = wanted[row.role]
        row.save()
    for role, row in rows.items():
        if role not in wanted:
            row.delete()
    _tell(record, project, member)
    return event


def _tell(record: Recording, project: Any, member: str) -> None:
    """Tell the project's administrators who holds what now."""
    held = Membership.objects.filter(project=project, member=member).order_by("role")
    roles = ", ".join(f"{row.role_name} ({row.reach})" if row.limits else row.role_name for row in held)
    link = reverse("admin:people", args=[project.key])
    notify.tell(
        record, "access.changed", project, about={"member": member, "roles": roles or "none"}, link=link
    )


def require_another_administrator(membership: Membership) -> None:
    """Raise `LastAdministratorError` rather than lose the only unlimited administrator of a project."""
    project = membership.project
    others = administrators().filter(project=project)
    is_one = membership.role == Role.ADMINISTRATOR and not membership.limits
    if is_one and not others.exclude(pk=membership.pk).exists():
        raise LastAdministratorError(
            f"{project.key} would be left without an administrator; appoint another first."
        )


def found(who: str) -> str:
    """The id of the active person, service account or team of this id, user name, e-mail address, name or key.

    Whoever asks may give roles: who has an account is nobody else's business. Raises LookupError.
    """
    people = User.objects.filter(Q(pseudonym=who) | Q(username=who) | Q(email__iexact=who), is_active=True)
    accounts = ServiceAccount.objects.filter(Q(pseudonym=who) | Q(name=who), is_active=True)
    teams = Team.objects.filter(Q(pseudonym=who) | Q(key=who))
    matching = set().union(*(rows.values_list("pseudonym", flat=True) for rows in (people, accounts, teams)))
    if len(matching) != 1:
        raise LookupError(
            "Several accounts match; use the user name." if matching else "No active account matches."
        )
    return str(matching.pop())


def appoint(actor: Actor, member: str, role: str) -> OrganisationMembership:
    """Give a role of the organisation to a person, service account or team (by pseudonym).

    Raises `ForbiddenError`, `UnknownRoleError`, or ValidationError naming the member that does not exist.
    """
    if role not in OrganisationRole.values:
        raise UnknownRoleError(
            f"There is no role {role!r} of the organisation; choose one of "
            f"{', '.join(OrganisationRole.values)}."
        )
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        _refuse_unknown_member(member)
        rows = _organisation_rows(member)
        membership = rows.get(role) or OrganisationMembership(member=member, role=role)
        if role in rows and not membership.given_by:
            return membership
        membership.given_by = ""
        _record_appointments(record, membership, rows, {*rows, role})
        membership.save()
    return membership


def dismiss(actor: Actor, membership: OrganisationMembership) -> None:
    """Take a role of the organisation away. Raises `ForbiddenError` or `LastAdministratorError`."""
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        rows = _organisation_rows(membership.member)
        _record_appointments(record, membership, rows, set(rows) - {membership.role})
        membership.delete()
        require_an_organisation_administrator()


def require_an_organisation_administrator() -> None:
    """Raise `LastAdministratorError` where nobody administers the organisation any more."""
    if not somebody_administers_the_organisation():
        raise LastAdministratorError(
            "The organisation would be left without an active administrator; appoint another first."
        )


def take_all(record: Recording, member: str) -> None:
    """Take every role of somebody, within a recording that has checked who may."""
    rows = Membership.objects.filter(member=member).select_related("project").order_by("project_id", "role")
    held: dict[Any, list[Membership]] = {}
    for row in rows:
        held.setdefault(row.project, []).append(row)
    for project, memberships in held.items():
        project.hold()
        record.event(
            "access.v1.membership.changed",
            memberships[0].ledger_subject,
            before=roles_document(memberships),
            after=None,
            project=project.key,
        )
        for row in memberships:
            row.delete()
    appointed = _organisation_rows(member)
    if appointed:
        _record_appointments(record, next(iter(appointed.values())), appointed, ())
        for each in appointed.values():
            each.delete()


def _organisation_rows(member: str) -> dict[str, OrganisationMembership]:
    rows = OrganisationMembership.objects.select_for_update(no_key=True).filter(member=member)
    return {row.role: row for row in rows}


def _record_appointments(
    record: Recording, row: OrganisationMembership, before: Collection[str], after: Collection[str]
) -> None:
    record.event(
        "access.v1.organisation_membership.changed",
        row.ledger_subject,
        before={"roles": sorted(before)} if before else None,
        after={"roles": sorted(after)} if after else None,
    )
