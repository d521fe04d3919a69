"""Change requests, reviews, policies, and the debts that kills leave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from access.models import User
from audit.history import Tracked, history
from audit.ledger import timestamp
from audit.models import Event
from flags.models import Environment, Project, RolloutPlan, validate_key
from flags.subjects import Subject


class ApprovalPolicy(Tracked):
    """Which changes of a project need what (`approvals.policy_document`). All that match count together."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="policies")
    key = models.CharField(max_length=128, validators=[validate_key])
    document = models.JSONField()
    version = models.PositiveIntegerField(default=0)
    history = history()

    class Meta(Tracked.Meta):
        verbose_name_plural = "approval policies"
        constraints = (models.UniqueConstraint(fields=["project", "key"], name="policy_key_once"),)

    def __str__(self) -> str:
        return str(self.document.get("name", self.key))

    @property
    def ledger_subject(self) -> str:
        return str(Subject("policy", self.project.key, self.key))


class FreezeWindow(Tracked):
    """A time in which nothing is applied: once, or whenever a rule recurs."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="freezes")
    key = models.CharField(max_length=128, validators=[validate_key])
    reason = models.CharField(max_length=200)
    # What it covers; an empty list: all there are.
    environments = models.JSONField(default=list, blank=True)
    regions = models.JSONField(default=list, blank=True)
    tags = models.JSONField(default=list, blank=True)
    # Of a recurring one, the first time; its wall clock in `zone` is what recurs.
    starts_at = models.DateTimeField()
    # Of one that happens once.
    ends_at = models.DateTimeField(null=True, blank=True)
    # RFC 5545, such as `FREQ=WEEKLY;BYDAY=FR`; empty: once.
    rrule = models.CharField(max_length=200, blank=True)
    zone = models.CharField(max_length=64, default="UTC")
    # Seconds that each recurrence lasts; whole days of it are days of the calendar.
    duration = models.PositiveIntegerField(null=True, blank=True)
    # {"members": [pseudonyms], "roles": [keys], "tags": [tags]}: whom and what it does not stop.
    exempt = models.JSONField(default=dict, blank=True)
    # Who made it does not loosen it alone.
    made_by = models.CharField(max_length=64)
    history = history()

    class Meta(Tracked.Meta):
        ordering = ("starts_at", "pk")
        constraints = (models.UniqueConstraint(fields=["project", "key"], name="freeze_key_once"),)

    def __str__(self) -> str:
        return self.key

    @property
    def ledger_subject(self) -> str:
        return f"project/{self.project.key}/freeze/{self.key}"

    @property
    def document(self) -> dict[str, Any]:
        whole = {
            "reason": self.reason,
            "environments": self.environments,
            "regions": self.regions,
            "tags": self.tags,
            "starts_at": timestamp(self.starts_at),
            "ends_at": timestamp(self.ends_at) if self.ends_at else None,
            "rrule": self.rrule,
            "zone": self.zone,
            "duration": self.duration,
            "exempt": self.exempt,
        }
        return {name: value for name, value in whole.items() if value not in ("", None, [], {})}


class ChangeRequest(models.Model):
    """A proposed change, and what became of it. `change` is what reviewers saw; `digest` binds them to it."""

    class State(models.TextChoices):
        IN_REVIEW = "in_review", "In review"
        APPROVED = "approved", "Approved"
        APPLIED = "applied", "Applied"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"
        # Open when a new ledger was opened after a restore: nothing carries over, so it is proposed again.
        LAPSED = "lapsed", "Lapsed"

    OPEN = (State.IN_REVIEW, State.APPROVED)

    revision = models.PositiveSmallIntegerField(default=1)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="change_requests")
    # Where it takes effect: for lists, filters and the policy that gates it.
    environments = models.ManyToManyField(Environment, related_name="change_requests")
    title = models.CharField(max_length=200)
    # The change of ledger-bundle section 6, whole (the event carries large values by digest).
    change = models.JSONField()
    digest = models.CharField(max_length=71)
    state = models.CharField(max_length=16, choices=State.choices, default=State.IN_REVIEW, db_index=True)
    proposer = models.CharField(max_length=64, db_index=True)
    required_approvals = models.PositiveSmallIntegerField()
    # When our task applies it once it is approved; empty: when somebody says so.
    scheduled_at = models.DateTimeField(null=True, blank=True, db_index=True)
    # Why the last attempt to apply it did not succeed, for the people who look at it.
    problem = models.TextField(blank=True)
    plan = models.OneToOneField(
        RolloutPlan, on_delete=models.PROTECT, null=True, blank=True, related_name="change_request"
    )
    # The applied request that this one takes back.
    reverts = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reverted_by"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    # When our task takes it back unless somebody confirms it; and when it ends as planned.
    confirm_by = models.DateTimeField(null=True, blank=True, db_index=True)
    ends_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.change_id} {self.title}"

    @property
    def number(self) -> int:
        return int(self.pk)

    @property
    def change_id(self) -> str:
        """`CR-12`, after an edit `CR-12.2`: each revision has an id and digest of its own."""
        return f"CR-{self.number}" + (f".{self.revision}" if self.revision > 1 else "")

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def rationale(self) -> str:
        return str(self.change["rationale"])

    @property
    def ticket(self) -> str:
        return str(self.change["ticket"])


class Review(models.Model):
    """What somebody said to one revision of a request. Verdicts are also events; comments are not."""

    class Verdict(models.TextChoices):
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        COMMENTED = "commented", "Commented"

    request = models.ForeignKey(ChangeRequest, on_delete=models.PROTECT, related_name="reviews")
    change_id = models.CharField(max_length=64)
    digest = models.CharField(max_length=71)
    reviewer = models.CharField(max_length=64)
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    comment = models.TextField(blank=True)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    # Of a comment on a line: the operation's subject, and the member of its document (RFC 6901).
    subject = models.CharField(max_length=512, blank=True)
    pointer = models.CharField(max_length=512, blank=True)
    # The comment that opened the thread which this one answers in.
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="replies")
    # Of a comment that opened a thread: who said that it is settled.
    resolved_by = models.CharField(max_length=64, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("created_at", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["request", "change_id", "reviewer"],
                condition=~models.Q(verdict="commented"),
                name="review_verdict_once",
            ),
            models.CheckConstraint(
                condition=models.Q(verdict="commented") | models.Q(event__isnull=False),
                name="review_verdict_is_an_event",
            ),
        )

    def __str__(self) -> str:
        return f"{self.reviewer} {self.verdict} {self.change_id}"


class Look(models.Model):
    """Which revision of a request a person saw last, and when: to show them what changed since.

    Private: nobody else sees it and nothing depends on it, so the ledger does not track it. It goes when the
    person is erased.
    """

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, to_field="pseudonym", related_name="looks"
    )
    request = models.ForeignKey(ChangeRequest, on_delete=models.CASCADE, related_name="looks")
    revision = models.PositiveSmallIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["person", "request"], name="look_once"),)

    def __str__(self) -> str:
        return f"{self.person_id} saw revision {self.revision} of CR-{self.request_id}"


class CarriedOut(models.Model):
    """That an operation of an approved change was carried out. The unique row is also the claim to do it."""

    request = models.ForeignKey(ChangeRequest, on_delete=models.PROTECT, related_name="carried_out")
    change_id = models.CharField(max_length=64)
    operation = models.PositiveSmallIntegerField()
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["request", "change_id", "operation"], name="operation_once"),
        )

    def __str__(self) -> str:
        return f"operation {self.operation} of {self.change_id}"


class Emergency(models.Model):
    """A kill, or a change that on-call took back at once, and the review it still owes."""

    # A review is owed so soon, and each day after that everybody is told again.
    REMINDER = timedelta(days=1)

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="emergencies")
    subject = models.CharField(max_length=512)
    event = models.OneToOneField(Event, on_delete=models.PROTECT, related_name="+")
    killed_by = models.CharField(max_length=64)
    killed_at = models.DateTimeField(auto_now_add=True)
    # The request that was taken back; None for a kill.
    request = models.ForeignKey(
        ChangeRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="taken_back"
    )
    due_at = models.DateTimeField()
    # When it was last told that the review is overdue; the conditional update is the claim of our task.
    escalated_at = models.DateTimeField(null=True, blank=True)
    # digest() of the kill event's data: what the review is bound to.
    digest = models.CharField(max_length=71)
    reviewed_by = models.CharField(max_length=64, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "emergencies"

    def __str__(self) -> str:
        if self.request:
            return f"revert of {self.request.change_id}"
        killed = Subject.parse(self.subject)
        return f"kill of {killed.key} in {killed.environment}"

    @property
    def is_overdue(self) -> bool:
        return self.reviewed_at is None and self.due_at <= timezone.now()


class DraftEdit(models.Model):
    """What somebody means to change at one subject, before anybody was asked: together, their draft in a project.

    Private, and nothing that is served changes by it, so the ledger hears of it when it is proposed. It goes
    when it is proposed or discarded, or the person is erased.
    """

    person = models.ForeignKey(
        User, on_delete=models.CASCADE, to_field="pseudonym", related_name="draft_edits"
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=512)
    # What stood there when the edit began, and its version: what collides with what stands now.
    before = models.JSONField(null=True)
    base = models.PositiveIntegerField()
    after = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=["person", "project", "subject"], name="draft_edit_once"),
        )

    def __str__(self) -> str:
        return f"draft of {self.subject}"

    @property
    def operation(self) -> dict[str, Any]:
        """As `workflow.propose` takes it."""
        return {"subject": self.subject, "after": self.after}
