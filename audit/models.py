"""The ledger's rows. Events, tiles, blobs and checkpoints are append-only; triggers in the database see to it."""

from __future__ import annotations

import base64
import uuid

from django.db import models

from audit import tree


def b64(raw: bytes) -> str:
    """RFC 4648 section 4, with padding."""
    return base64.b64encode(raw).decode("ascii")


class Log(models.Model):
    """One append-only log and its head. The newest one is open; a restore opens another (`continues`)."""

    origin = models.CharField(max_length=255, unique=True)
    size = models.BigIntegerField(default=0)
    # Roots of the perfect subtrees that cover the log, largest first, base64.
    frontier = models.JSONField(default=list)
    last_time = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "ledger"

    def __str__(self) -> str:
        return f"{self.origin}, {self.size} events"

    @property
    def edge(self) -> tree.Frontier:
        return [base64.b64decode(item) for item in self.frontier]

    @property
    def root(self) -> bytes:
        return tree.root(self.edge)


class Event(models.Model):
    """One line of the ledger. `line` is what is hashed; the other columns only help to find it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="events", db_index=False)
    index = models.BigIntegerField()
    time = models.DateTimeField(db_index=True)
    type = models.CharField(max_length=128)
    subject = models.CharField(max_length=700, blank=True)
    actor = models.CharField(max_length=128, blank=True)
    project = models.CharField(max_length=128, blank=True)
    change_id = models.CharField(max_length=128, blank=True)
    line = models.TextField()
    leaf_hash = models.BinaryField(max_length=32)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["log", "index"], name="event_index_once"),)
        indexes = (
            # Each ends in the order in which people read: newest first.
            models.Index(fields=["project", "-log", "-index"], name="event_project_newest"),
            models.Index(fields=["project", "type", "-log", "-index"], name="event_type_newest"),
            models.Index(fields=["project", "actor", "-log", "-index"], name="event_actor_newest"),
            models.Index(fields=["subject", "-log", "-index"], name="event_subject_newest"),
            models.Index(fields=["change_id", "-log", "-index"], name="event_change_newest"),
        )

    def __str__(self) -> str:
        return f"{self.index} {self.type} {self.subject}"


class Tile(models.Model):
    """The root over 256 leaves (level 1), or over 256 tiles of the level below; see `audit.tiles`."""

    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="+", db_index=False)
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    root = models.BinaryField(max_length=32)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["log", "level", "index"], name="tile_once"),)

    def __str__(self) -> str:
        return f"tile {self.index} at level {self.level}"


class Disclosure(models.Model):
    """The clear text behind a salted digest of personal data in an event. Deleting it erases the person."""

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="disclosures", db_index=False)
    name = models.CharField(max_length=64)
    salt = models.CharField(max_length=64)
    value = models.TextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["event", "name"], name="disclosure_name_once"),)

    def __str__(self) -> str:
        return f"{self.name} of event {self.event_id}"


class Blob(models.Model):
    """A value too large for an event, under the digest by which the event names it."""

    digest = models.CharField(primary_key=True, max_length=71)
    content = models.TextField()

    def __str__(self) -> str:
        return self.digest


class Checkpoint(models.Model):
    """A signed statement of a log's size and root."""

    log = models.ForeignKey(Log, on_delete=models.PROTECT, related_name="checkpoints")
    size = models.BigIntegerField()
    frontier = models.JSONField(default=list)
    note = models.TextField()
    signed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["log", "size"], name="checkpoint_size_once"),)

    def __str__(self) -> str:
        return f"{self.log.origin} at {self.size}"


class Taking(models.Model):
    """Somebody takes the bundle of an export: how far that is. The evidence of it is the export's event."""

    class State(models.TextChoices):
        """What became of it; one that is running and not heard of any more broke off."""

        RUNNING = "running", "Running"
        WHOLE = "whole", "Whole"
        FAILED = "failed", "Failed"

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="+", db_index=False)
    person = models.CharField(max_length=128)
    # Entries of the ledger that were checked and sent, of how many.
    done = models.BigIntegerField()
    total = models.BigIntegerField()
    state = models.CharField(max_length=8, choices=State.choices)
    problem = models.TextField(blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["event", "person"], name="taking_once"),)

    def __str__(self) -> str:
        return f"{self.done} of {self.total}"


class SigningKey(models.Model):
    """A key that signs under a name, or did. Only its public half is here; each that is not retired signs."""

    # A log's origin, or the installation's with `/snapshots`.
    name = models.CharField(max_length=255, db_index=True)
    # The verifier key, `name+<hex key id>+<base64>`.
    vkey = models.CharField(max_length=400, unique=True)
    begun_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.vkey
