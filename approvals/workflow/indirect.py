"""What a change reaches that it does not name: what waits to be carried out, and which rules hold for a flag."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast
from django.utils import timezone

from approvals.models import ChangeRequest, FreezeWindow
from approvals.policies import Rules, touched_as
from flags.documents import segments_named
from flags.models import Environment, Project, RolloutPlan
from flags.subjects import Subject

# How long after it was applied a request's way back can be taken (`approvals.workflow.reverting`).
WITHIN = timedelta(hours=24)


def environments_waiting(project: Project, subject: Subject) -> set[str]:
    """Where an approved, asked for, or later step of a request would serve a flag, or use a segment.

    Who edits a segment between the approval of what uses it and its application changes what was approved.
    """
    word = f'"{subject.key}"' if subject.kind == "segment" else f'/flag/{subject.key}"'
    found: set[str] = set()
    for request in _unfinished(project).filter(text__contains=word):
        for operation in request.change["operations"]:
            target = Subject.parse(operation["subject"])
            if target.kind == "configuration" and (
                subject.key in segments_named(operation["after"] or {})
                if subject.kind == "segment"
                else target.key == subject.key
            ):
                found.add(target.environment)
    return found


def _unfinished(project: Project) -> QuerySet[Any]:
    """Requests of which something can still be carried out."""
    rows = ChangeRequest.objects.filter(project=project)
    # A closed request keeps its planned end, of which nothing comes any more.
    returning = (
        Q(confirm_by__isnull=False) | Q(ends_at__isnull=False) | Q(applied_at__gte=timezone.now() - WITHIN)
    )
    later = Q(plan__state__in=RolloutPlan.UNFINISHED) | (Q(state=ChangeRequest.State.APPLIED) & returning)
    return rows.filter(Q(state__in=ChangeRequest.OPEN) | later).annotate(text=Cast("change", CharField()))


def environments_governed_anew(
    project: Project, before: Mapping[str, Any], after: Mapping[str, Any]
) -> set[str]:
    """Where other policies or freezes would hold for a flag, by its kind, tags or importance.

    Taking the tag away is held by the policy that the tag stands for.
    """
    if all(before.get(name) == after.get(name) for name in ("kind", "tags", "critical")):
        return set()
    rules = Rules(project)
    changed = set(before.get("tags", ())) ^ set(after.get("tags", ()))
    # Any freeze that speaks of a tag that comes or goes: whether it is on just now changes by the hour.
    freezes = [
        freeze
        for freeze in FreezeWindow.objects.filter(project=project)
        if changed & {*freeze.tags, *freeze.exempt.get("tags", ())}
    ]
    found = set()
    for environment in Environment.objects.filter(project=project):
        was, now = (
            touched_as(document, environment.key, protected=environment.protected)
            for document in (before, after)
        )
        lost = any(policy.matches(was) and not policy.matches(now) for policy in rules.policies.values())
        frozen = any(not each.environments or environment.key in each.environments for each in freezes)
        if lost or frozen:
            found.add(environment.key)
    return found
