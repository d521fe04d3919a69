"""Operations that are approved now and carried out later: a rollout's stages, its way back, an expiry.

Their labels carry the time, so that it is part of what the reviewers approve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from audit.ledger import timestamp
from flags.documents import read_moment
from flags.models import Environment, Flag, FlagConfiguration, Project
from flags.stages import Stage, Window, documents_of
from flags.subjects import Subject

Operation = dict[str, Any]
_TYPE = "flags.v1.configuration.updated"


def stage_operations(
    flag: Flag,
    environment: Environment,
    current: Mapping[str, Any],
    stages: Sequence[Stage],
    window: Window | None = None,
) -> list[Operation]:
    """One operation per stage, each from any before it, and a `revert` from any to what stands now.

    From any before it, so that a jump over some stages is approved as well. Raises `DocumentError`.
    """
    subject = str(Subject("configuration", flag.project.key, flag.key, environment.key))
    values = documents_of(dict(current), stages, flag.key, str(environment.bucketing))
    operations: list[Operation] = []
    for number, (stage, value) in enumerate(zip(stages, values, strict=True), start=1):
        admissible = {"before": current} if number == 1 else {"before_any": values[: number - 1]}
        operations.append(
            {
                "subject": subject,
                "type": _TYPE,
                **admissible,
                "after": value,
                "label": _stage_label(number, stages[number - 2], stage, window),
            }
        )
    operations.append(
        {
            "subject": subject,
            "type": _TYPE,
            "before_any": values,
            "after": dict(current),
            "label": "revert",
            "repeat": True,
        }
    )
    return operations


def _stage_label(number: int, before: Stage, stage: Stage, window: Window | None) -> str:
    """All that a stage waits for, so that reviewers approve it."""
    if number == 1:
        return "stage 1, at once"
    parts = [f"stage {number}", f"{before.hold} s after stage {number - 1}"]
    if stage.not_before is not None:
        parts.append(f"not before {timestamp(stage.not_before)}")
    if stage.go_ahead:
        parts.append("with a reviewer's go-ahead")
    if window is not None:
        parts.append(f"within {window}")
    return ", ".join(parts)


def is_stage(operation: Mapping[str, Any], number: int) -> bool:
    """Whether the operation is the plan's stage `number`, counted from 1."""
    return str(operation.get("label", "")).startswith(f"stage {number},")


def expiry_label(moment: datetime) -> str:
    """The label of the operation that turns a flag off when it expires."""
    return f"expiry {timestamp(moment)}"


def expiry_operations(project: Project, operations: Sequence[Operation]) -> list[Operation]:
    """For flags that are turned off when they expire: the operation that does so, per environment that is on.

    Looks at the configurations that the change turns on, and, where it sets the date, at all of the flag's.
    """
    found: dict[str, Operation] = {}
    definitions = {
        subject.key: operation["after"]
        for operation in operations
        if (subject := Subject.parse(operation["subject"])).kind == "definition"
    }
    configured = {
        operation["subject"]: operation["after"]
        for operation in operations
        if Subject.parse(operation["subject"]).kind == "configuration"
    }
    for key in definitions:
        for row in FlagConfiguration.objects.filter(flag__project=project, flag__key=key).select_related(
            "flag", "environment__project"
        ):
            configured.setdefault(row.ledger_subject, row.document)
    for text, document in configured.items():
        key = Subject.parse(text).key
        moment = _off_at(definitions[key]) if key in definitions else _off_at_of(project, key)
        if moment is None or not isinstance(document, dict) or document.get("enabled") is not True:
            continue
        found[text] = {
            "subject": text,
            "type": _TYPE,
            "before": document,
            "after": {**document, "enabled": False},
            "label": expiry_label(moment),
        }
    return list(found.values())


def kept_on(project: Project, operation: Mapping[str, Any]) -> list[Environment]:
    """Where a change of a definition keeps a flag on past the date for which turning it off was approved."""
    subject, before = Subject.parse(operation["subject"]), operation.get("before")
    if subject.kind != "definition" or before is None or before.get("on_expiry") != Flag.OnExpiry.OFF:
        return []
    after = operation["after"]
    if not before.get("expires_at") or all(
        before[name] == after.get(name) for name in ("expires_at", "on_expiry")
    ):
        return []
    rows = FlagConfiguration.objects.filter(flag__project=project, flag__key=subject.key)
    return [
        row.environment
        for row in rows.select_related("environment__project")
        if row.document.get("enabled") is True
    ]


def _off_at(definition: Any) -> datetime | None:
    """When a definition document says the flag turns off; None where it does not, or is not valid."""
    if not isinstance(definition, dict) or definition.get("on_expiry") != Flag.OnExpiry.OFF:
        return None
    moment = read_moment(definition.get("expires_at"))
    return moment if moment and moment > timezone.now() else None


def _off_at_of(project: Project, key: str) -> datetime | None:
    flag: Flag | None = Flag.objects.filter(project=project, key=key, on_expiry=Flag.OnExpiry.OFF).first()
    if flag is None or flag.expires_at is None or flag.expires_at <= timezone.now():
        return None
    return flag.expires_at.astimezone(UTC)
