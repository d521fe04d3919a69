"""Giving and taking roles in a project: at once, or by a reviewed request where a policy covers access."""

from __future__ import annotations

from typing import Any

from access import grants
from access.limits import Limits
from access.models import Membership
from access.permissions import require
from access.roles import label_of
from approvals.models import ChangeRequest
from approvals.policies import Rules
from approvals.workflow.proposing import change
from audit.actor import Actor
from flags.models import Project
from flags.subjects import Subject


def access_is_reviewed(project: Project) -> bool:
    """Whether a policy of the project says what giving and taking roles needs."""
    return any(policy.access for policy in Rules(project).policies.values())


def give_role(
    actor: Actor, project: Project, member: str, role: str, limits: Limits | None = None, **why: str
) -> ChangeRequest | None:
    """Give a role or set its limits; the request for it, or None where it needed none.

    `why`: `rationale` and `ticket` of the request. Raises what `grants.grant` and `workflow.change` raise.
    """
    require(actor, "access.manage", project)
    if not access_is_reviewed(project):
        grants.grant(actor, project, member, role, limits=limits)
        return None
    after = grants.with_role(project, member, role, limits)
    return _ask(actor, project, member, after, f"Give {member} the role {label_of(role)}", why)


def take_role(actor: Actor, membership: Membership, **why: str) -> ChangeRequest | None:
    """Take a role away; the request for it, or None where it needed none. Raises as `give_role` does."""
    project: Project = membership.project
    require(actor, "access.manage", project)
    if not access_is_reviewed(project):
        grants.revoke(actor, membership)
        return None
    grants.require_another_administrator(membership)
    title = f"Take the role {membership.role_name} from {membership.member}"
    return _ask(actor, project, membership.member, grants.without_role(membership), title, why)


def refuse_unreviewed(sender: Any, project: Project, **_: Any) -> None:
    """Stop roles that are given past the gate (receiver of `access.signals.roles_changing`)."""
    if access_is_reviewed(project):
        raise grants.ReviewNeededError(
            f"A policy of {project.key} asks that roles are given and taken by a reviewed request; make one."
        )


def _ask(
    actor: Actor, project: Project, member: str, after: Any, title: str, why: dict[str, str]
) -> ChangeRequest:
    # By pseudonym: a title stays in the ledger for good, and pages show names in its place.
    subject = str(Subject("member", project.key, member))
    return change(actor, project, [{"subject": subject, "after": after}], title=title, **why)
