"""What keeps a flag from being archived: it is used, or somebody is at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from approvals.models import ChangeRequest
from flags.documents import Document, configurations_with
from flags.models import Environment, Flag, FlagConfiguration, Project, RolloutPlan
from flags.reads import Reads
from flags.subjects import Subject
from flags.wording import is_on


def blockers(
    project: Project, key: str, configurations: Mapping[str, Mapping[str, Document]] | None = None
) -> list[str]:
    """Why a flag cannot be archived now, a sentence each with what to do.

    `configurations`: by environment and flag, documents that would stand there in place of those that do.
    """
    drafts = configurations or {}
    environments: list[Environment] = list(Environment.objects.filter(project=project))
    standing = {
        row.environment.key: row.document
        for row in FlagConfiguration.objects.filter(flag__project=project, flag__key=key).select_related(
            "environment"
        )
    }
    found = [
        f"It is on in {environment.name}; turn it off there first."
        for environment in environments
        if is_on(drafts.get(environment.key, {}).get(key, standing.get(environment.key)))
    ]
    for environment in environments:
        needing = sorted(_needing(environment, key, drafts.get(environment.key, {})))
        if needing:
            needed = ", ".join(needing)
            found.append(f"{needed} in {environment.name} needs it; take that prerequisite away first.")
    # Before it is there, only what creates it is about it, and takes it along.
    is_there = Flag.objects.filter(project=project, key=key).exists()
    found += [
        f"{row.change_id} is open and about it; apply or close that first."
        for row in (_open(project, key) if is_there else ())
    ]
    if RolloutPlan.objects.filter(
        flag__project=project, flag__key=key, state__in=RolloutPlan.UNFINISHED
    ).exists():
        found.append("A rollout plan of it has not ended; abort that first.")
    return found


def _needing(environment: Environment, key: str, drafts: Mapping[str, Document]) -> set[str]:
    documents: dict[str, Any] = {
        row.flag.key: row.document
        for row in configurations_with("prerequisites", [environment])
        if not row.flag.archived
    }
    documents |= drafts
    return {
        name
        for name, document in documents.items()
        if name != key and any(each["flag"] == key for each in document.get("prerequisites", ()))
    }


def _open(project: Project, key: str) -> list[ChangeRequest]:
    """Open requests about the flag; not those that archive it, of which one may just be carried out."""
    definition = str(Subject("definition", project.key, key))
    found = []
    for row in ChangeRequest.objects.filter(project=project, state__in=ChangeRequest.OPEN).order_by("pk"):
        operations = row.change.get("operations", ())
        about = any(
            (subject := Subject.parse(each["subject"])).kind in ("definition", "configuration")
            and subject.key == key
            for each in operations
        )
        archives = any(
            each["subject"] == definition and "label" not in each and each["after"].get("archived")
            for each in operations
        )
        if about and not archives:
            found.append(row)
    return found


def archived_flags(project: Project, keys: set[str], reads: Reads) -> set[str]:
    """Of these keys, the flags that are archived."""
    rows = reads.rows(Flag.objects.filter(project=project, key__in=sorted(keys), archived=True))
    return {row.key for row in rows}
