"""Kills: off at once and without review, which is owed afterwards."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from access.permissions import eligible, require
from approvals.models import Emergency
from approvals.workflow.errors import StateError
from approvals.workflow.reach import touched_by
from audit.actor import Actor
from audit.jcs import digest
from audit.ledger import current_log
from audit.recording import recording
from flags import changes
from flags.models import Project
from flags.subjects import Subject


def kill(actor: Actor, subject: Subject, project: Project) -> Emergency:
    """Turn a flag off in one environment, at once and without review; the review is owed afterwards.

    Raises `ForbiddenError`, or `StateError` when there is nothing to kill.
    """
    with recording(actor) as record:
        require(actor, "flag.kill", project)
        if subject.kind != "configuration" or subject.project != project.key:
            raise StateError(f"{subject} is no flag's configuration in an environment of {project.key}.")
        project.hold()
        try:
            state = changes.read(project, subject, lock=True)
        except changes.NotFoundError as error:
            raise StateError(str(error)) from error
        if state.document is None:
            raise StateError(
                f"{subject.key} is not configured there: nothing is served that could be killed."
            )
        if state.document.get("killed"):
            raise StateError(f"{subject.key} is killed in {subject.environment} already.")
        operation: dict[str, Any] = {
            "subject": str(subject),
            "type": "flags.v1.configuration.killed",
            "after": {**state.document, "killed": True},
        }
        require(actor, "flag.kill", project, touched_by(project, [operation]))
        event, _ = changes.write(record, project, operation, "")
        return Emergency.objects.create(
            project=project,
            subject=str(subject),
            event_id=event.id,
            killed_by=actor.id,
            digest=digest(event.data),
        )


def review_emergency(actor: Actor, emergency: Emergency) -> Emergency:
    """Review a kill afterwards. Nobody reviews their own."""
    with recording(actor) as record:
        emergency = Emergency.objects.select_for_update(no_key=True).get(pk=emergency.pk)
        touched = touched_by(emergency.project, [{"subject": emergency.subject, "after": {}}])
        require(actor, "emergency.review", emergency.project, touched)
        if not eligible({actor.id}, "emergency.review", emergency.project, touched):
            raise StateError("Only people review kills; a service account does not count as a reviewer.")
        if actor.id == emergency.killed_by:
            raise StateError("You killed it; somebody else has to review that.")
        emergency.project.hold()  # so that no other ledger is opened meanwhile
        if emergency.event.log_id != current_log().pk:
            raise StateError("It was killed under an earlier ledger, which cannot take its review any more.")
        if emergency.reviewed_by:
            raise StateError("This kill has been reviewed already.")
        record.event(
            "approvals.v1.emergency.reviewed",
            data={"event": str(emergency.event_id), "digest": emergency.digest},
            project=emergency.project.key,
        )
        emergency.reviewed_by, emergency.reviewed_at = actor.id, timezone.now()
        emergency.save()
    return emergency
