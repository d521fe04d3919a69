"""Giving and taking roles: the verbs behind the access pages, the API and the commands."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Q

from access.limits import Limits
from access.models import (
    CustomRole,
    Membership,
    OrganisationMembership,
    ServiceAccount,
    Team,
    User,
)
from access.permissions import (
    require,
    require_in_organisation,
    somebody_administers_the_organisation,
)
from access.roles import OrganisationRole, Role
from audit.actor import Actor
from audit.recording import Recording, recording


class LastAdministratorError(ValueError):
    """A project or the organisation would be left without anybody who can give roles."""


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


def _refuse_unknown(role: str) -> None:
    if role not in Role.values and not CustomRole.objects.filter(key=role).exists():
        raise UnknownRoleError(f"There is no role {role!r}; choose one of {', '.join(Role.values)}.")


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
    project, whom nobody could appoint. Raises `ForbiddenError`, `UnknownRoleError`, or
    `LastAdministratorError` where the limits would leave nobody who can give roles.
    """
    _refuse_unknown(role)
    wanted = limits.document if limits else {}
    with recording(actor) as record:
        project.hold()  # so that each names the roles that it found
        if not (founding and not Membership.objects.filter(project=project).exists()):
            require(actor, "access.manage", project)
        rows = {row.role: row for row in Membership.objects.filter(project=project, member=member)}
        before, membership = roles_document(rows.values()), rows.get(role)
        if membership is not None and membership.limits == wanted and not membership.given_by:
            return membership
        if membership is not None and wanted:
            require_another_administrator(membership)
        membership = membership or Membership(project=project, member=member, role=role)
        membership.limits, membership.given_by = wanted, ""
        rows[role] = membership
        record.event(
            "access.v1.membership.changed",
            membership.ledger_subject,
            before=before,
            after=roles_document(rows.values()),
            project=project.key,
        )
        membership.save()
    return membership


def revoke(actor: Actor, membership: Membership) -> None:
    """Take a role away. Raises `ForbiddenError` or `LastAdministratorError`."""
    project = membership.project
    with recording(actor) as record:
        require(actor, "access.manage", project)
        project.hold()  # so that each names the roles that it found
        require_another_administrator(membership)
        rows = list(Membership.objects.filter(project=project, member=membership.member))
        record.event(
            "access.v1.membership.changed",
            membership.ledger_subject,
            before=roles_document(rows),
            after=roles_document(row for row in rows if row.role != membership.role),
            project=project.key,
        )
        membership.delete()


def require_another_administrator(membership: Membership) -> None:
    """Raise `LastAdministratorError` rather than lose the only unlimited administrator of a project."""
    project = membership.project
    others = Membership.objects.filter(project=project, role=Role.ADMINISTRATOR, limits={})
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
    """Give a role of the organisation to a person or team. Raises `ForbiddenError` or `UnknownRoleError`."""
    if role not in OrganisationRole.values:
        raise UnknownRoleError(
            f"There is no role {role!r} of the organisation; choose one of "
            f"{', '.join(OrganisationRole.values)}."
        )
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
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
