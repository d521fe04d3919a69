"""What was published, and the keys of those who may read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import Max

from flags.models import Environment


class Snapshot(models.Model):
    """One signed version of an environment. Unique: a version is signed once, the first insert wins."""

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="snapshots")
    version = models.BigIntegerField()
    # The signed note, and the body whose hash it names.
    head = models.TextField()
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["environment", "version"], name="snapshot_version_once"),
        )

    def __str__(self) -> str:
        return f"{self.environment} at {self.version}"

    @classmethod
    def newest(cls, environments: Iterable[Environment]) -> dict[int, dict[str, Any]]:
        """By the environment's primary key, `version` and `at` of what was signed last. One query."""
        rows = cls.objects.filter(environment__in=list(environments)).order_by("environment")
        found = rows.values("environment").annotate(version=Max("version"), at=Max("created_at"))
        return {row["environment"]: row for row in found}

    @property
    def raw(self) -> bytes:
        """The file, as clients get it."""
        return self.head.encode() + b"\n" + bytes(self.body)


class Keyring(models.Model):
    """The signed list of an environment's usable SDK keys (hashes and sides), for the read plane."""

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="keyrings")
    version = models.BigIntegerField()
    raw = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["environment", "version"], name="keyring_version_once"),
        )

    def __str__(self) -> str:
        return f"keyring of {self.environment} at {self.version}"


class SdkKey(models.Model):
    """A service's or browser's key for one environment. Only its hash is stored."""

    class Side(models.TextChoices):
        SERVER = "server", "Server side"
        CLIENT = "client", "Client side"

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="sdk_keys")
    name = models.CharField(max_length=128)
    side = models.CharField(max_length=8, choices=Side.choices, default=Side.SERVER)
    # Canonical, sorted; of client-side keys only. Pages of other origins cannot use the key from a browser.
    origins = models.JSONField(default=list, blank=True)
    hint = models.CharField(max_length=16)
    # SHA-256 is right for 256 random bits: nothing to guess that a slow hash would protect.
    hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # To the day, and a minute late: the read plane counts in memory and writes nothing in a request.
    last_used_on = models.DateField(null=True, blank=True, editable=False)
    # Replaced by another key, and revoked by our task then.
    revoke_at = models.DateTimeField(null=True, blank=True, editable=False, db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @staticmethod
    def hash_of(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()
