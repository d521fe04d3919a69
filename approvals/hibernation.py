"""Hibernation: what a flag serves is pinned until a date, and waking brings back what stood before.

Both are requests. While it sleeps, the definition says with which variant, until when, and what is planned then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from access.permissions import require
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.workflow import InvalidError, StateError
from approvals.workflow.request import same
from approvals.workflow.standing import standings
from audit.actor import Actor
from audit.ledger import timestamp
from audit.recording import recording
from flags.documents import Document, definition_document
from flags.models import Flag, FlagConfiguration
from flags.subjects import Subject
from flags.wording import is_on

# What of a configuration says who gets what: a pinned one has none of it.
_TARGETING = ("targets", "rules", "prerequisites", "regions")


@dataclass(frozen=True, slots=True)
class Waking:
    """What waking would bring back, and what was changed meanwhile and stays, a sentence each."""

    operations: tuple[dict[str, Any], ...]
    stays: tuple[str, ...]


def pinned(document: Document, variant: str) -> Document:
    """The document with which everyone gets one variant."""
    kept = {name: value for name, value in document.items() if name not in _TARGETING}
    return {**kept, "default": {"variant": variant}}


def where_on(flag: Flag) -> list[FlagConfiguration]:
    """Where the flag is on, and so would be pinned; where it is off, everyone gets one value already."""
    rows = FlagConfiguration.objects.filter(flag=flag).select_related("environment__project", "flag")
    return [row for row in rows.order_by("environment__position") if is_on(row.document)]


def hibernate(
    actor: Actor,
    flag: Flag,
    variant: str,
    wake_at: datetime,
    *,
    plan: str = "",
    title: str = "",
    **options: Any,
) -> ChangeRequest:
    """Ask that everyone gets `variant` wherever the flag is on, until somebody wakes it; `wake_at` is when the
    owner is told to. `plan`: what is to happen then.

    Raises `StateError`, `InvalidError`, and what `workflow.change` raises.
    """
    with recording(actor):
        require(actor, "change.propose", flag.project)
        flag.project.hold()
        flag.refresh_from_db()
        if flag.hibernation:
            raise StateError(f"{flag.key} hibernates already; wake it first.")
        if variant not in flag.variants:
            raise InvalidError("variant", f"is no variant of {flag.key}; it has {', '.join(flag.variants)}")
        if wake_at <= timezone.now():
            raise InvalidError("wake_at", "is in the past; name the day on which it should wake")
        if flag.owner_id is None:
            raise InvalidError("owner", f"is missing; {flag.key} needs somebody who is told when to wake it")
        rows = where_on(flag)
        if not rows:
            raise StateError(f"{flag.key} is on nowhere, so there is nothing to pin; archive it.")
        sleep = {"variant": variant, "wake_at": timestamp(wake_at), **({"plan": plan} if plan else {})}
        operations = [
            {"subject": flag.ledger_subject, "after": {**definition_document(flag), "hibernation": sleep}},
            *(
                {"subject": row.ledger_subject, "after": after}
                for row in rows
                if not same(row.document, after := pinned(row.document, variant))
            ),
        ]
        return workflow.change(
            actor,
            flag.project,
            operations,
            title=title or f"Hibernate {flag.key}: everyone gets {variant}"[:200],
            **options,
        )


def waking_of(flag: Flag) -> Waking:
    """What waking the flag would bring back. Raises `StateError` for one that does not hibernate."""
    if not flag.hibernation:
        raise StateError(f"{flag.key} does not hibernate.")
    awake = {name: value for name, value in definition_document(flag).items() if name != "hibernation"}
    operations: list[dict[str, Any]] = [{"subject": flag.ledger_subject, "after": awake}]
    stays = []
    asleep = [
        each
        for each in _put_to_sleep(flag).change["operations"]
        if "label" not in each and Subject.parse(each["subject"]).kind == "configuration"
    ]
    standing = standings(flag.project, [each["subject"] for each in asleep])
    for each in asleep:
        if same(standing[each["subject"]].document, each["after"]):
            operations.append({"subject": each["subject"], "after": each["before"]})
        else:
            where = Subject.parse(each["subject"]).environment
            stays.append(f"It was changed in {where} while it hibernated; that stays as it is.")
    return Waking(tuple(operations), tuple(stays))


def wake(actor: Actor, flag: Flag, *, title: str = "", **options: Any) -> ChangeRequest:
    """Ask for what stood before the flag hibernated. Raises `StateError`, and what `workflow.change` raises."""
    with recording(actor):
        require(actor, "change.propose", flag.project)
        flag.project.hold()
        flag.refresh_from_db()
        operations = waking_of(flag).operations
        return workflow.change(
            actor, flag.project, operations, title=title or f"Wake {flag.key}"[:200], **options
        )


def _put_to_sleep(flag: Flag) -> ChangeRequest:
    """The request that made it hibernate."""
    rows = ChangeRequest.objects.filter(
        project=flag.project,
        state=ChangeRequest.State.APPLIED,
        change__base__has_key=flag.ledger_subject,
    ).order_by("-applied_at", "-pk")
    for row in rows.iterator():
        for each in row.change["operations"]:
            slept, sleeps = (
                (document or {}).get("hibernation") for document in (each.get("before"), each["after"])
            )
            if each["subject"] == flag.ledger_subject and not slept and sleeps == flag.hibernation:
                return row
    raise StateError(f"What {flag.key} did before it hibernated is not known here; ask for a change of it.")
