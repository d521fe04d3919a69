"""Teams and custom roles: making them, and saying who and what is in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from access.grants import require_an_organisation_administrator
from access.models import (
    CustomRole,
    CustomRoleVerb,
    IdentityProvider,
    Membership,
    OrganisationMembership,
    RoleWithFactor,
    ServiceAccount,
    Team,
    TeamMember,
    User,
)
from access.permissions import require_in_organisation
from access.roles import VERBS, OrganisationRole, Role
from access.signals import deleting
from audit.actor import Actor
from audit.history import require_version
from audit.recording import Recording, recording


class InUseError(ValueError):
    """Something still depends on what was to be taken away."""


def save_team(
    actor: Actor, key: str, *, name: str, members: Collection[str], base: Mapping[str, int] | None = None
) -> Team:
    """Make a team, or change its name and who is in it (pseudonyms of people).

    `base`: by the team's key, the version that was seen, 0 for a new one; None: whatever stands there.
    Raises `ForbiddenError`, ValidationError naming the member at fault, `OutdatedBaseError`, or
    `LastAdministratorError`.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "team.manage")
        team = Team.objects.select_for_update(no_key=True).filter(key=key).first()
        before = None if team is None else team.document
        team = team or Team(key=key)
        if base is not None:
            require_version(team, base.get(key))
        team.name = name
        team.clean_fields()
        wanted = set(members)
        unknown = wanted - set(
            User.objects.filter(pseudonym__in=wanted, is_active=True).values_list("pseudonym", flat=True)
        )
        if unknown:
            raise ValidationError(
                {"members": f"{sorted(unknown)[0]} is no active person; a team has people in it"}
            )
        document = {"key": key, "name": name, "members": sorted(wanted)}
        if document == before:
            return team
        record.event("access.v1.team.changed", team.ledger_subject, before=before, after=document)
        team.save()
        team.members.exclude(member__in=wanted).delete()
        held = set(team.members.values_list("member", flat=True))
        TeamMember.objects.bulk_create(TeamMember(team=team, member=each) for each in sorted(wanted - held))
        require_an_organisation_administrator()
    return team


def leave_all(record: Recording, member: str) -> None:
    """Take somebody out of every team, within a recording that has checked who may."""
    for team in Team.objects.filter(members__member=member).order_by("pk"):
        before = team.document
        after = {**before, "members": [each for each in before["members"] if each != member]}
        record.event("access.v1.team.changed", team.ledger_subject, before=before, after=after)
        team.members.filter(member=member).delete()
        team.save()


def _named_by(member: str, key: str) -> list[str]:
    """Which rules name a team or a role: of providers, of second factors, and what other apps answer."""
    uses = [
        f"a rule of the provider {provider}"
        for provider in IdentityProvider.objects.order_by("key")
        if any(rule.get(member) == key for rule in provider.rules)
    ]
    if member == "role" and RoleWithFactor.objects.filter(role=key).exists():
        uses.append("the rule which roles need a second factor")
    asked = {"team": "", "role": "", member: key}
    return uses + [use for _, found in deleting.send(sender=_named_by, **asked) for use in found or ()]


def uses_of(team: Team) -> list[str]:
    """What depends on a team, in words: roles in projects and the organisation, service accounts, rules."""
    held = Membership.objects.filter(member=team.pseudonym).select_related("project").order_by("project__key")
    return [
        *(f"{row.role_name} in {row.project.key}" for row in held),
        *(
            f"{row.get_role_display()} of the organisation"
            for row in OrganisationMembership.objects.filter(member=team.pseudonym)
        ),
        *(f"the service account {each}" for each in ServiceAccount.objects.filter(team=team)),
        *_named_by("team", team.key),
    ]


def delete_team(actor: Actor, team: Team) -> None:
    """Take a team away. Raises `ForbiddenError`, or `InUseError` while something depends on it."""
    with recording(actor) as record:
        require_in_organisation(actor, "team.manage")
        uses = uses_of(team)
        if uses:
            raise InUseError(f"{team} still has {', '.join(uses)}; take that away first.")
        record.event("access.v1.team.changed", team.ledger_subject, before=team.document, after=None)
        team.delete()


def save_custom_role(
    actor: Actor,
    key: str,
    *,
    name: str,
    verbs: Collection[str],
    purpose: str = "",
    base: Mapping[str, int] | None = None,
) -> CustomRole:
    """Define a role as a set of verbs, or change one; whoever holds it holds the new set at once.

    `base` as in `save_team`. Raises `ForbiddenError`, `OutdatedBaseError`, or ValidationError naming the
    member at fault.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        if key in Role.values or key in OrganisationRole.values:
            raise ValidationError({"key": f"{key} is a role of the table; choose another key"})
        unknown = [verb for verb in verbs if verb not in VERBS or not VERBS[verb].is_of_project]
        if unknown or not verbs:
            reason = f"{sorted(unknown)[0]} is no verb of projects" if unknown else "is empty; choose one"
            raise ValidationError({"verbs": reason})
        role = CustomRole.objects.select_for_update(no_key=True).filter(key=key).first()
        before = None if role is None else role.document
        role = role or CustomRole(key=key)
        if base is not None:
            require_version(role, base.get(key))
        role.name, role.purpose = name, purpose
        role.clean_fields()
        # Whoever may do anything in a project sees the project.
        wanted = {*verbs, "project.view"}
        document: dict[str, Any] = {"name": name, "purpose": purpose, "verbs": sorted(wanted)}
        if document == before:
            return role
        record.event("access.v1.role.changed", role.ledger_subject, before=before, after=document)
        role.save()
        role.verbs.exclude(verb__in=wanted).delete()
        held = set(role.verbs.values_list("verb", flat=True))
        CustomRoleVerb.objects.bulk_create(
            CustomRoleVerb(role=role, verb=verb) for verb in sorted(wanted - held)
        )
    return role


def delete_custom_role(actor: Actor, role: CustomRole) -> None:
    """Take a custom role away. Raises `ForbiddenError`, or `InUseError` while somebody holds it or a rule names it."""
    with recording(actor) as record:
        require_in_organisation(actor, "organisation.manage")
        holders = Membership.objects.filter(role=role.key).count()
        if holders:
            raise InUseError(f"{holders} members hold the role {role.key}; give them another one first.")
        if uses := _named_by("role", role.key):
            raise InUseError(f"{role.key} is named by {', '.join(uses)}; change that first.")
        record.event("access.v1.role.changed", role.ledger_subject, before=role.document, after=None)
        role.delete()
