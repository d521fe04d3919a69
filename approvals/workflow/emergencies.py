"""What is done at once and without review, which is owed afterwards: kills, and reverts by on-call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from access.holders import eligible
from access.machines import keepers_of
from access.permissions import require
from approvals.errors import StateError
from approvals.models import ChangeRequest, Emergency
from approvals.workflow.reach import touched_by, touched_by_request
from approvals.workflow.telling import settle_debt, tell_debt, tell_overdue
from audit.actor import Actor
from audit.jcs import digest
from audit.ledger import current_log, timestamp
from audit.recording import PendingEvent, recording
from flags import changes
from flags.models import Flag, FlagConfiguration, Project
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
        touched = touched_by(project, [operation])
        require(actor, "flag.kill", project, touched)
        event, _ = changes.write(record, project, operation, "")
        emergency = owe_review(project, str(subject), event)
        tell_debt(record, emergency, touched)
    return emergency


def kill_everywhere(actor: Actor, flag: Flag) -> list[Emergency]:
    """Turn a flag off at once in every environment where something is served, all of them or none.

    Raises `ForbiddenError`, also where a limited role does not reach one of them, or `StateError` when
    there is nothing to kill.
    """
    with recording(actor):
        flag.project.hold()
        rows = FlagConfiguration.objects.filter(flag=flag).select_related("flag", "environment__project")
        standing = [row for row in rows.order_by("environment__position") if not row.document.get("killed")]
        if not standing:
            require(actor, "flag.kill", flag.project)
            raise StateError(f"{flag.key} is killed, or was never configured, in every environment.")
        return [kill(actor, Subject.parse(row.ledger_subject), flag.project) for row in standing]


def owe_review(
    project: Project, subject: str, event: PendingEvent, request: ChangeRequest | None = None
) -> Emergency:
    """The debt that an act without review leaves: somebody else looks at its event, until `due_at`."""
    return Emergency.objects.create(
        project=project,
        subject=subject,
        event_id=event.id,
        killed_by=event.actor,
        digest=digest(event.data),
        request=request,
        due_at=timezone.now() + timedelta(hours=settings.EMERGENCY_REVIEW_HOURS),
    )


def review_emergency(actor: Actor, emergency: Emergency) -> Emergency:
    """Review a kill, or a revert by on-call, afterwards. Nobody reviews their own."""
    with recording(actor) as record:
        emergency = Emergency.objects.select_for_update(no_key=True).get(pk=emergency.pk)
        touched = (
            touched_by_request(emergency.request)
            if emergency.request
            else touched_by(emergency.project, [{"subject": emergency.subject, "after": {}}])
        )
        require(actor, "emergency.review", emergency.project, touched)
        if not eligible({actor.id}, "emergency.review", emergency.project, touched):
            raise StateError(
                "Only people review emergencies; a service account does not count as a reviewer."
            )
        # Whoever made a token of a service account may have kept it, and done it by that.
        if actor.id in {emergency.killed_by, *keepers_of(emergency.killed_by)}:
            raise StateError("You did it; somebody else has to review that.")
        emergency.project.hold()  # so that no other ledger is opened meanwhile
        if emergency.event.log_id != current_log().pk:
            raise StateError("It happened under an earlier ledger, which cannot take its review any more.")
        if emergency.reviewed_by:
            raise StateError("This has been reviewed already.")
        # The bundle's reviews of emergencies are of kills alone; a revert was approved with its change.
        record.event(
            "approvals.v1.revert.reviewed" if emergency.request else "approvals.v1.emergency.reviewed",
            data={"event": str(emergency.event_id), "digest": emergency.digest},
            project=emergency.project.key,
        )
        emergency.reviewed_by, emergency.reviewed_at = actor.id, timezone.now()
        emergency.save()
        settle_debt(emergency)
    return emergency


def escalate(actor: Actor, emergency: Emergency) -> bool:
    """Tell of a review that is overdue: in the ledger, and to all who may give it; at most daily.

    Whether it was told now: not where another task was faster, or no ledger takes the review any more.
    """
    now = timezone.now()
    if not emergency.is_overdue or emergency.event.log_id != current_log().pk:
        return False
    with recording(actor) as record:
        require(actor, "change.apply", emergency.project)
        told = Q(escalated_at=None) | Q(escalated_at__lte=now - Emergency.REMINDER)
        claim = Emergency.objects.filter(told, pk=emergency.pk, reviewed_at=None)
        if not claim.update(escalated_at=now):
            return False
        record.event(
            "approvals.v1.emergency.overdue",
            data={"event": str(emergency.event_id), "due_at": timestamp(emergency.due_at)},
            project=emergency.project.key,
        )
        tell_overdue(record, emergency)
    return True
