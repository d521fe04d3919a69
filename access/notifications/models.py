"""Notifications, and the way of each to those who are told. Written with what they tell of, delivered later."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.db import models
from django.db.models import Q

from access.notifications.kinds import Channel


class Webhook(models.Model):
    """Where a project's notifications are sent, signed as Standard Webhooks has it. Its secrets are sealed."""

    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="webhooks")
    name = models.CharField(max_length=128)
    # Its path may be as good as a password: the ledger has the host alone.
    url = models.CharField(max_length=500)
    kinds = models.JSONField(default=list)
    is_enabled = models.BooleanField(default=True)
    # Of these settings: the base of a change of them.
    version = models.PositiveIntegerField(default=1, editable=False)
    sealed_secret = models.TextField(editable=False)
    # While the secret rotates, the former one signs too.
    sealed_former_secret = models.TextField(blank=True, editable=False)
    former_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name

    @property
    def host(self) -> str:
        """The address without what may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def ledger_subject(self) -> str:
        return f"project/{self.project.key}/webhook/{self.pk}"

    @property
    def document(self) -> dict[str, Any]:
        """As events name it."""
        return {
            "name": self.name,
            "host": self.host,
            "kinds": self.kinds,
            "is_enabled": self.is_enabled,
        }


class Chat(models.Model):
    """Where in a chat a project, or a person, is told. The address is as good as a password, and sealed."""

    project = models.ForeignKey(
        "flags.Project", on_delete=models.PROTECT, null=True, blank=True, related_name="chats"
    )
    person = models.ForeignKey(
        "access.User", on_delete=models.CASCADE, null=True, blank=True, related_name="chats"
    )
    name = models.CharField(max_length=128)
    # The address with its secrets starred out.
    masked = models.CharField(max_length=300)
    sealed_url = models.TextField(editable=False)
    # Of a project's; a person's are in their settings.
    kinds = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(project__isnull=False, person__isnull=True)
                | Q(project__isnull=True, person__isnull=False),
                name="chat_has_one_owner",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def ledger_subject(self) -> str:
        return f"project/{self.project.key}/chat/{self.pk}" if self.project else ""

    @property
    def document(self) -> dict[str, Any]:
        """As events name it."""
        return {"name": self.name, "service": self.masked.partition(":")[0], "kinds": self.kinds}


class Choice(models.Model):
    """That somebody wants a kind of notification by a channel, or not. Without a row: the table's default."""

    person = models.ForeignKey("access.User", on_delete=models.CASCADE, related_name="notification_choices")
    kind = models.CharField(max_length=64)
    channel = models.CharField(max_length=16, choices=Channel.choices)
    wanted = models.BooleanField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["person", "kind", "channel"], name="notification_choice_once"),
        )

    def __str__(self) -> str:
        return f"{self.kind} by {self.channel}: {self.wanted}"


class Notification(models.Model):
    """Something that happened, told to those it concerns. People stand in it by pseudonym."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=64)
    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, null=True, related_name="+")
    by = models.CharField(max_length=64)
    # What the sentences of its kind name.
    about = models.JSONField(default=dict)
    # The path of the page to look at.
    link = models.CharField(max_length=500, blank=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Delivery(models.Model):
    """A notification on its way to one person, webhook or chat: the outbox and, for the app, the inbox."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        GIVEN_UP = "given_up", "Given up"
        # Whoever was meant may not see it any more, or is gone.
        DROPPED = "dropped", "Dropped"

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=16, choices=Channel.choices)
    person = models.ForeignKey("access.User", on_delete=models.CASCADE, null=True, related_name="+")
    chat = models.ForeignKey(Chat, on_delete=models.CASCADE, null=True, related_name="deliveries")
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, null=True, related_name="deliveries")
    # The verb by which the person is told: without it, they are not, and do not see it in the app.
    rests_on = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    # While somebody sends it; past that, whoever it was is gone and it is sent again.
    claimed_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["person", "-id"], condition=Q(channel="app"), name="delivery_inbox"),
        )

    def __str__(self) -> str:
        return f"{self.notification_id} by {self.channel}"

    @property
    def receiver(self) -> Webhook | Chat | None:
        """The webhook or chat that it goes to."""
        return self.webhook or self.chat


class Attempt(models.Model):
    """One try to deliver: when, how long, and what came back. No secrets, and of mail no addresses."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    # Of HTTP or SMTP, where one came back.
    status = models.PositiveSmallIntegerField(null=True)
    problem = models.CharField(max_length=300, blank=True)
    # The beginning of what a webhook answered.
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.status or ''} {self.problem}".strip() or "delivered"
