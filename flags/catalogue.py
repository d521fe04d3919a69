"""Making projects and environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from access import grants
from access.permissions import require, require_in_organisation
from access.roles import Role
from audit.actor import Actor
from audit.history import require_base
from audit.recording import recording
from flags.models import Environment, Project
from flags.settings import SETTINGS, refuse_settings


class AlreadyExistsError(ValueError):
    """The key is taken."""


def create_project(actor: Actor, key: str, name: str, flag_key_pattern: str = "") -> Project:
    """Make a project whose first administrator is the actor. Only the organisation's administrators may.

    Raises `ForbiddenError`, ValidationError naming the members, or `AlreadyExistsError`.
    """
    require_in_organisation(actor, "project.create")
    project = Project(key=key, name=name, flag_key_pattern=flag_key_pattern)
    project.clean_fields()
    with recording(actor) as record:
        if Project.objects.filter(key=key).exists():
            raise AlreadyExistsError(f"There is a project {key} already; choose another key.")
        record.event(
            "flags.v1.project.created",
            project.ledger_subject,
            before=None,
            after=project.document,
            project=key,
        )
        try:
            with transaction.atomic():
                project.save()
        except IntegrityError as error:  # somebody was faster
            raise AlreadyExistsError(f"There is a project {key} already; choose another key.") from error
        grants.grant(actor, project, actor.id, Role.ADMINISTRATOR, founding=True)
    return project


def save_project(
    actor: Actor, project: Project, members: Mapping[str, Any], *, base: Mapping[str, int] | None = None
) -> Project:
    """Change a project: name, flag_key_pattern, ticket_pattern, ticket_url; those left out stay as they are.

    Raises `ForbiddenError`, `OutdatedBaseError`, or ValidationError naming the members.
    """
    with recording(actor) as record:
        require(actor, "project.administer", project)
        project.hold()
        project = Project.objects.get(pk=project.pk)
        require_base(project, base)
        before = project.document
        for name in ("name", "flag_key_pattern", "ticket_pattern", "ticket_url"):
            if name in members:
                setattr(project, name, members[name])
        project.clean_fields()
        if project.document != before:
            record.event(
                "flags.v1.project.updated", project.ledger_subject, before=before, after=project.document
            )
            project.save()
    return project


def create_environment(actor: Actor, project: Project, key: str, members: Mapping[str, Any]) -> Environment:
    """Make an environment: name, kind, protected, position, regions, bucketing.

    It serves nothing yet; what changes it later goes through the gate. Raises `ForbiddenError`,
    `AlreadyExistsError`, or ValidationError naming the members.
    """
    taken = f"There is an environment {key} in {project.key} already; choose another key."
    with recording(actor) as record:
        require(actor, "project.administer", project)
        project.hold()
        if Environment.objects.filter(project=project, key=key).exists():
            raise AlreadyExistsError(taken)
        environment = Environment(project=project, key=key)
        for name, value in members.items():
            if name in SETTINGS:
                setattr(environment, name, value)
        refuse_settings(environment)
        record.event(
            "flags.v1.environment.created",
            environment.ledger_subject,
            before=None,
            after=environment.document,
        )
        try:
            with transaction.atomic():
                environment.save()
        except IntegrityError as error:  # somebody was faster
            raise AlreadyExistsError(taken) from error
    return environment
