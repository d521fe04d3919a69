"""What a change can be about, kind by kind: reading what stands there, checking it, and writing it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from access import grants
from access.limits import Limits, LimitsError
from access.models import Membership, Team
from approvals.models import ApprovalPolicy
from approvals.policy_document import normal_policy, read_policy
from approvals.workflow.indirect import environments_governed_anew, environments_waiting
from audit.recording import PendingEvent, Recording
from countersign.document import DocumentError
from flags import changes, documents
from flags.changes import NotFoundError, State
from flags.models import Environment, Project
from flags.reads import Reads
from flags.settings import check_settings, normal_settings
from flags.subjects import Kind, Subject

# What one must hold to ask for a change of it.
VERBS: Mapping[Kind, str] = {
    "configuration": "change.propose",
    "definition": "change.propose",
    "segment": "change.propose",
    "expectations": "change.propose",
    "environment": "project.administer",
    "policy": "policy.change",
    "member": "access.manage",
}
_TYPES: Mapping[Kind, str] = {
    "configuration": "flags.v1.configuration.updated",
    "definition": "flags.v1.flag.updated",
    "segment": "flags.v1.segment.updated",
    "expectations": "flags.v1.expectations.updated",
    "environment": "flags.v1.environment.updated",
    "policy": "approvals.v1.policy.changed",
    "member": "access.v1.membership.changed",
}
# Flags and segments are never taken away, so that what was served can be read for ever.
REMOVABLE: frozenset[Kind] = frozenset({"policy", "member"})


def event_type(subject: Subject, state: State) -> str:
    """The type of the event that a change of what stands there is."""
    kind = _TYPES[subject.kind]
    is_first = state.version == 0 and subject.kind in ("definition", "segment", "expectations")
    return kind.replace(".updated", ".created") if is_first else kind


def read(project: Project, subject: Subject, *, lock: bool = False, created: Collection[str] = ()) -> State:
    """What stands there; `created` as in `changes.read`. Raises `NotFoundError` where nothing can stand."""
    if subject.kind == "policy":
        row = ApprovalPolicy.objects.filter(project=project, key=subject.key).first()
        return State(row.document, row.version) if row else State(None, 0)
    if subject.kind == "member":
        held = Membership.objects.filter(project=project, member=subject.key)
        written = Membership.history.filter(project=project, member=subject.key).count()
        return State(grants.roles_document(held), written)
    return changes.read(project, subject, lock=lock, created=created)


def standing(project: Project, subject: Subject) -> State:
    """As `read`; nothing where nothing can stand."""
    try:
        return read(project, subject)
    except NotFoundError:
        return State(None, 0)


def normal(project: Project, subject: Subject, after: dict[str, Any]) -> dict[str, Any]:
    """The document as it will stand there: the ledger carries this form."""
    if subject.kind == "definition":
        return documents.normal_definition(after)
    if subject.kind == "policy":
        return normal_policy(after)
    if subject.kind == "member":
        return _normal_roles(project, subject.key, after)
    if subject.kind == "environment":
        check_settings(_environment(project, subject.key), after)
        return normal_settings(_environment(project, subject.key), after)
    return after


def check_governing(project: Project, subject: Subject, after: Any) -> None:
    """Raise `DocumentError` unless this may stand there: settings, policies, roles."""
    if subject.kind == "policy":
        if after is not None:
            _check_policy(project, subject.key, after)
    elif subject.kind == "environment":
        check_settings(_environment(project, subject.key), after)
    elif subject.kind == "member":
        for limits, _given_by in _read_roles(after).values():
            try:
                grants.refuse_unknown_places(Limits.read(limits), project)
            except LimitsError as error:
                raise DocumentError(error.member, error.reason) from error
        if not grants.is_known(subject.key):
            raise DocumentError("member", f"{subject.key} is no person, service account or team")


def reached(project: Project, subject: Subject, before: Any, after: Any, reads: Reads) -> list[Environment]:
    """The environments by whose policies a change of this is held, in order of promotion."""
    if subject.kind == "member":
        return []
    if subject.kind == "policy":
        every = reads.rows(project.environments.all())
        policies = [read_policy(document) for document in (before, after) if document is not None]
        keys = {key for policy in policies for key in policy.covers(each.key for each in every)}
        return [environment for environment in every if environment.key in keys]
    found = {each.key: each for each in changes.environments_reached(project, subject, before, after, reads)}
    keys = set()
    if subject.kind == "segment" or (subject.kind == "definition" and changes.serves_else(before, after)):
        keys = environments_waiting(project, subject)
    if subject.kind == "definition" and before is not None:
        keys |= environments_governed_anew(project, before, after)
    if keys - set(found):
        found |= {each.key: each for each in reads.rows(project.environments.all()) if each.key in keys}
    return sorted(found.values(), key=lambda each: (each.position, each.key))


def write(
    record: Recording, project: Project, operation: dict[str, Any], change_id: str, data: Mapping[str, Any]
) -> PendingEvent:
    """Carry out one operation: row, history, event. The caller has compared `before`."""
    subject, after = Subject.parse(operation["subject"]), operation["after"]
    if subject.kind == "policy":
        return _write_policy(record, project, subject, after, change_id, data)
    if subject.kind == "member":
        try:
            event = grants.change_roles(record, project, subject.key, after, data=data, change_id=change_id)
        except grants.LastAdministratorError as error:
            raise DocumentError("roles", str(error)) from error
        if event is None:
            raise DocumentError("roles", "are held already; there is nothing to change")
        return event
    return changes.write(record, project, operation, change_id, data)[0]


def _read_roles(document: Any) -> dict[str, tuple[dict[str, Any], str]]:
    try:
        return grants.read_roles(document)
    except LimitsError as error:
        raise DocumentError(error.member, error.reason) from error
    except (TypeError, ValueError) as error:
        raise DocumentError("roles", str(error).removeprefix("roles: ")) from error


def _normal_roles(project: Project, member: str, after: Any) -> dict[str, Any]:
    """Roles in the order and form of rows; which provider gave one is not for people to say."""
    held = _read_roles(grants.roles_of(project, member))
    rows = []
    for role, (limits, given_by) in _read_roles(after).items():
        if given_by and held.get(role, ({}, ""))[1] != given_by:
            raise DocumentError("roles", f"no provider gave the role {role}; leave `given_by` out")
        rows.append(Membership(project=project, member=member, role=role, limits=limits, given_by=given_by))
    return grants.roles_document(rows) or {"roles": []}


def _write_policy(
    record: Recording, project: Project, subject: Subject, after: Any, change_id: str, data: Mapping[str, Any]
) -> PendingEvent:
    row = ApprovalPolicy.objects.filter(project=project, key=subject.key).first()
    before = row.document if row else None
    event = record.event(
        _TYPES["policy"], str(subject), data, before=before, after=after, change_id=change_id
    )
    if after is None:
        assert row is not None, "what is not there cannot be taken away"
        row.delete()
        return event
    row = row or ApprovalPolicy(project=project, key=subject.key)
    row.document, row.version = after, row.version + 1
    row.save()
    return event


def _check_policy(project: Project, key: str, after: Any) -> None:
    documents.refuse_unstorable("policy", after)
    draft = ApprovalPolicy(project=project, key=key)
    draft.clean_fields(exclude=["project", "document", "version"])
    policy = read_policy(after)
    known = set(Environment.objects.filter(project=project).values_list("key", flat=True))
    named = {*policy.environments, *(each.environment for each in policy.needs.served_in)}
    if unknown := sorted(named - known):
        raise DocumentError("environments", f"{unknown[0]!r} is no environment of {project.key}")
    for share in policy.needs.shares:
        if share.team and not Team.objects.filter(key=share.team).exists():
            raise DocumentError("from", f"there is no team {share.team!r}; name one by its key")
        if share.role and share.role not in grants.role_keys():
            raise DocumentError("from", f"there is no role {share.role!r}")


def _environment(project: Project, key: str) -> Environment:
    environment: Environment | None = (
        Environment.objects.filter(project=project, key=key).select_related("project").first()
    )
    if environment is None:
        raise NotFoundError(f"There is no environment {key} in {project.key}.")
    return environment
