"""Making projects and environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from access import grants
from access.permissions import require, require_in_organisation
from access.roles import Role
from audit.actor import Actor
from audit.history import require_base
from audit.recording import recording
from flags.models import Environment, Project


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


def save_environment(
    actor: Actor,
    project: Project,
    key: str,
    members: Mapping[str, Any],
    *,
    new: bool = False,
    base: Mapping[str, int] | None = None,
) -> Environment:
    """Make an environment, or change one: name, kind, protected, position, regions, bucketing.

    `new`: refuse to change one that exists. `base`: by its subject, the version seen; None: whatever stands.
    Raises `ForbiddenError`, `AlreadyExistsError`, `OutdatedBaseError`, or ValidationError naming the members.
    """
    require(actor, "project.administer", project)
    taken = f"There is an environment {key} in {project.key} already; choose another key."
    with recording(actor) as record:
        # What is being applied just now was checked against what the environment asks for as it stands.
        project.hold()
        environment = (
            Environment.objects.select_for_update(no_key=True).filter(project=project, key=key).first()
        )
        if environment is not None and new:
            raise AlreadyExistsError(taken)
        before = None if environment is None else environment.document
        if environment is None:
            environment = Environment(project=project, key=key)
        require_base(environment, base)
        for name in ("name", "kind", "protected", "position", "regions", "bucketing"):
            if name in members:
                setattr(environment, name, members[name])
        regions = environment.regions
        if not isinstance(regions, list) or not all(isinstance(region, str) and region for region in regions):
            raise ValidationError({"regions": "must be a list of names"})
        environment.clean_fields()
        if environment.document == before:
            return environment
        record.event(
            f"flags.v1.environment.{'created' if before is None else 'updated'}",
            environment.ledger_subject,
            before=before,
            after=environment.document,
        )
        try:
            with transaction.atomic():
                environment.save()
        except IntegrityError as error:  # somebody was faster
            raise AlreadyExistsError(taken) from error
    return environment
