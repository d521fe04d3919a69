"""Templates of rollout plans: a project's usual stages, from which plans for any flag start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from access.permissions import require
from approvals.workflow import InvalidError
from audit.actor import Actor
from audit.history import require_base
from audit.recording import recording
from countersign.document import DocumentError
from flags.models import Project, RolloutTemplate
from flags.stages import read_stages, read_window

# Of everyone; the finest that a percentage with three digits says.
WHOLE = 100_000
# Stand-ins for the variants of whatever flag the plan will be for.
_ON, _OFF = "on", "off"


def save_template(
    actor: Actor,
    project: Project,
    key: str,
    members: Mapping[str, Any],
    *,
    base: Mapping[str, int] | None = None,
) -> RolloutTemplate:
    """Make or replace a template: `name`, `stages` (with `percent` in place of weights), `window`.

    `base`: by its subject, the version seen; None: whatever stands. Raises `ForbiddenError`, `InvalidError`,
    `OutdatedBaseError`, or ValidationError naming the members.
    """
    with recording(actor) as record:
        require(actor, "rollout_template.manage", project)
        project.hold()
        row = RolloutTemplate.objects.filter(project=project, key=key).first()
        row = row or RolloutTemplate(project=project, key=key)
        require_base(row, base)
        before = row.document if row.pk else None
        row.name, row.stages = members.get("name", ""), members.get("stages", [])
        row.window = members.get("window") or {}
        try:
            stages_for(row.stages, _ON, _OFF)
            read_window(row.window)
        except DocumentError as error:
            raise InvalidError(error.member, error.reason) from error
        row.clean_fields()
        if row.document == before:
            return row
        record.event(
            "approvals.v1.rollout_template.changed", row.ledger_subject, before=before, after=row.document
        )
        row.save()
    return row


def delete_template(actor: Actor, row: RolloutTemplate) -> None:
    """Take a template away; plans that were made from it stay as they are. Raises `ForbiddenError`."""
    with recording(actor) as record:
        require(actor, "rollout_template.manage", row.project)
        record.event(
            "approvals.v1.rollout_template.changed", row.ledger_subject, before=row.document, after=None
        )
        row.delete()


def stages_for(stages: Any, variant: str, rest: str) -> list[dict[str, Any]]:
    """A template's stages as a plan takes them, for a variant and what the others get.

    Raises `DocumentError` naming the stage and member that cannot be.
    """
    if not isinstance(stages, list):
        raise DocumentError("stages", "must be a list")
    found = []
    for index, stage in enumerate(stages):
        if not isinstance(stage, Mapping):
            raise DocumentError(f"stages[{index}]", "must be an object")
        if "weights" in stage or "variant" in stage:
            raise DocumentError(
                f"stages[{index}]", "names variants; a template has `percent` or `cohort`, for any flag"
            )
        members = dict(stage)
        if "cohort" in members:
            members["variant"] = variant
        else:
            percent = members.pop("percent", None)
            if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 < percent <= 100:
                raise DocumentError(f"stages[{index}].percent", "must be a number above 0, at most 100")
            weight = round(percent * WHOLE / 100)
            members["weights"] = [[variant, weight], [rest, WHOLE - weight]]
        found.append(members)
    read_stages(found)
    return found
