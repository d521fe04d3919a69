"""What a provider's groups give: read again at every sign-in, given and taken at once.

A rule is `{"group", "project", "role", "limits"?}`, `{"group", "team"}`, or `{"group", "role"}` for a role of the
organisation. What a rule gave carries the provider's key (`given_by`); what people gave by hand is theirs to take.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from access.grants import (
    LastAdministratorError,
    refuse_unknown_places,
    require_another_administrator,
    roles_document,
)
from access.held import all_projects
from access.holders import somebody_administers_the_organisation
from access.limits import Limits, LimitsError
from access.models import CustomRole, Membership, OrganisationMembership, Team, TeamMember, User
from access.permissions import system_actor
from access.roles import OrganisationRole, Role
from access.signin.models import IdentityProvider
from audit.recording import Recording, recording

logger = logging.getLogger(__name__)
_MEMBERS = frozenset({"group", "project", "role", "limits", "team"})


def checked_rules(rules: Any) -> list[dict[str, Any]]:
    """The rules in their stored form. Raises ValidationError for `rules`, saying which one is wrong and why."""
    if not isinstance(rules, list) or len(rules) > 1000:
        raise ValidationError({"rules": "must be a list of at most 1000 rules"})
    projects = {project.key: project for project in all_projects()}
    teams = set(Team.objects.values_list("key", flat=True))
    roles = {*Role.values, *CustomRole.objects.values_list("key", flat=True)}
    checked = []
    for position, rule in enumerate(rules, 1):
        try:
            checked.append(_checked(rule, projects, teams, roles))
        except (ValueError, LimitsError) as error:
            raise ValidationError({"rules": f"rule {position}: {error}"}) from error
    return checked


def _checked(rule: Any, projects: Mapping[str, Any], teams: set[str], roles: set[str]) -> dict[str, Any]:
    if not isinstance(rule, Mapping) or set(rule) - _MEMBERS:
        raise ValueError("is an object of group and team, or of group, role, project and limits")
    group = rule.get("group")
    if not isinstance(group, str) or not 0 < len(group) <= 500:
        raise ValueError("names no group")
    if "team" in rule:
        if set(rule) != {"group", "team"} or rule["team"] not in teams:
            raise ValueError(f"there is no team {rule['team']!r}, or it also names a role")
        return {"group": group, "team": rule["team"]}
    if "project" not in rule:
        if set(rule) != {"group", "role"} or rule["role"] not in OrganisationRole.values:
            raise ValueError(
                f"without a project, the role is one of {', '.join(OrganisationRole.values)}, without limits"
            )
        return {"group": group, "role": rule["role"]}
    if rule["project"] not in projects:
        raise ValueError(f"there is no project {rule['project']!r}")
    if rule.get("role") not in roles:
        raise ValueError(f"there is no role {rule.get('role')!r} in projects")
    given = rule.get("limits", {})
    if not isinstance(given, Mapping):
        raise ValueError("limits is an object of environments, kinds, tags and critical")
    limits = Limits.read(given)
    refuse_unknown_places(limits, projects[rule["project"]])
    return {
        "group": group,
        "project": rule["project"],
        "role": rule["role"],
        **({"limits": limits.document} if limits.document else {}),
    }


def groups_in(claims: Mapping[str, Any], claim: str) -> set[str]:
    """The groups of a claim: a list or one name. A claim that is not there is no group, so nothing is given.

    `claim` may lead into an object by dots, such as `realm_access.roles`.
    """
    value: Any = claims.get(claim)
    if value is None:
        value = claims
        for step in claim.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return {value}
    return {each for each in value if isinstance(each, str)} if isinstance(value, list) else set()


def settle(provider: IdentityProvider, person: User, groups: Collection[str]) -> list[str]:
    """Give a person what the rules give for these groups, and take what they no longer give.

    Acts as `system:sign-in`, in one transaction. Returns what could not be taken, in sentences.
    """
    rules = [rule for rule in provider.rules if rule["group"] in groups]
    with recording(system_actor("sign-in", "ui")) as record:
        # Two sign-ins of one person, one after the other.
        User.objects.select_for_update(no_key=True).get(pk=person.pk)
        return settle_in(record, provider, person.pseudonym, rules, keeps_last=True)


def settle_in(
    record: Recording,
    provider: IdentityProvider,
    member: str,
    rules: Iterable[Mapping[str, Any]],
    *,
    keeps_last: bool = False,
) -> list[str]:
    """The same within a recording, for the rules that hold; none: all that the provider gave is taken.

    `keeps_last`: who alone administers the organisation goes on, as in a project; otherwise the caller refuses.
    """
    kept = _settle_projects(record, provider, member, rules)
    is_last = keeps_last and not somebody_administers_the_organisation(User.objects.exclude(pseudonym=member))
    kept += _settle_organisation(record, provider, member, rules, is_last)
    kept += _settle_teams(record, provider, member, rules, is_last)
    return kept


def _settle_projects(
    record: Recording, provider: IdentityProvider, member: str, rules: Iterable[Mapping[str, Any]]
) -> list[str]:
    wanted: dict[str, dict[str, dict[str, Any]]] = {}
    for rule in rules:
        if "project" in rule and _is_role(rule["role"]):
            roles = wanted.setdefault(rule["project"], {})
            # Where several groups give a role, no limits win, else the first rule.
            limits = rule.get("limits", {})
            roles[rule["role"]] = {} if not limits else roles.get(rule["role"], limits)
    given = Membership.objects.filter(member=member, given_by=provider.key).values("project_id")
    concerned = all_projects().filter(pk__in=given) | all_projects().filter(key__in=wanted)
    kept: list[str] = []
    for project in concerned.order_by("pk"):
        project.hold()
        kept += _settle_project(record, provider, member, project, wanted.get(project.key, {}))
    return kept


def _settle_project(
    record: Recording,
    provider: IdentityProvider,
    member: str,
    project: Any,
    wanted: Mapping[str, dict[str, Any]],
) -> list[str]:
    rows = {row.role: row for row in Membership.objects.filter(project=project, member=member)}
    before = roles_document(rows.values())
    after, saved, taken, kept = dict(rows), [], [], []
    for role, row in rows.items():
        if row.given_by != provider.key or wanted.get(role) == row.limits:
            continue
        try:
            require_another_administrator(row)
        except LastAdministratorError:
            logger.warning("%s keeps %s in %s: nobody else holds it", member, role, project.key)
            kept.append(
                f"You stay {row.role_name} of {project.key}, though your groups no longer give it: nobody else "
                "is. Appoint another."
            )
            continue
        if role in wanted:
            row.limits = wanted[role]
            saved.append(row)
        else:
            taken.append(after.pop(role))
    for role, limits in wanted.items():
        if role not in rows:
            row = Membership(project=project, member=member, role=role, limits=limits, given_by=provider.key)
            after[role] = row
            saved.append(row)
    if not (saved or taken):
        return kept
    record.event(
        "access.v1.membership.changed",
        (saved or taken)[0].ledger_subject,
        {"provider": provider.key},
        before=before,
        after=roles_document(after.values()),
        project=project.key,
    )
    for row in saved:
        row.save()
    for row in taken:
        row.delete()
    return kept


def _settle_organisation(
    record: Recording,
    provider: IdentityProvider,
    member: str,
    rules: Iterable[Mapping[str, Any]],
    is_last: bool,
) -> list[str]:
    wanted = {rule["role"] for rule in rules if "team" not in rule and "project" not in rule}
    rows = {row.role: row for row in OrganisationMembership.objects.filter(member=member)}
    lost = [row for row in rows.values() if row.given_by == provider.key and row.role not in wanted]
    taken = [row for row in lost if not (is_last and row.role == OrganisationRole.ORGANISATION_ADMINISTRATOR)]
    kept = [_stays(member, f"{row.get_role_display()}") for row in lost if row not in taken]
    new = [
        OrganisationMembership(member=member, role=role, given_by=provider.key) for role in wanted - set(rows)
    ]
    if not (taken or new):
        return kept
    after = sorted((set(rows) | wanted) - {row.role for row in taken})
    record.event(
        "access.v1.organisation_membership.changed",
        (taken + new)[0].ledger_subject,
        {"provider": provider.key},
        before={"roles": sorted(rows)} if rows else None,
        after={"roles": after} if after else None,
    )
    for row in new:
        row.save()
    for row in taken:
        row.delete()
    return kept


def _settle_teams(
    record: Recording,
    provider: IdentityProvider,
    member: str,
    rules: Iterable[Mapping[str, Any]],
    is_last: bool,
) -> list[str]:
    administering = OrganisationMembership.objects.filter(role=OrganisationRole.ORGANISATION_ADMINISTRATOR)
    kept: list[str] = []
    wanted = {rule["team"] for rule in rules if "team" in rule}
    given = TeamMember.objects.filter(member=member, given_by=provider.key).values("team_id")
    concerned = Team.objects.filter(pk__in=given) | Team.objects.filter(key__in=wanted)
    for team in concerned.select_for_update(no_key=True).order_by("pk"):
        before = team.document
        row = team.members.filter(member=member).first()
        if team.key in wanted and row is None:
            members = [*before["members"], member]
        elif team.key not in wanted and row is not None:
            if is_last and administering.filter(member=team.pseudonym).exists():
                kept.append(_stays(member, f"in the team {team}, which administers the organisation"))
                continue
            members = [each for each in before["members"] if each != member]
        else:
            continue
        record.event(
            "access.v1.team.changed",
            team.ledger_subject,
            {"provider": provider.key},
            before=before,
            after={**before, "members": sorted(members)},
        )
        team.save()
        if row is None:
            TeamMember.objects.create(team=team, member=member, given_by=provider.key)
        else:
            row.delete()
    return kept


def _stays(member: str, what: str) -> str:
    logger.warning("%s stays %s: nobody else administers the organisation", member, what)
    return f"You stay {what}, though your groups no longer give it: nobody else is. Appoint another."


def _is_role(role: str) -> bool:
    return role in Role.values or CustomRole.objects.filter(key=role).exists()
