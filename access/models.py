"""People, service accounts, their roles per project, and API tokens."""

from __future__ import annotations

import hashlib
import secrets

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils import timezone

from access.roles import Role
from audit.history import Tracked, history


def _pseudonym(kind: str) -> str:
    return f"{kind}:{secrets.token_hex(6)}"


def user_pseudonym() -> str:
    return _pseudonym("user")


def service_pseudonym() -> str:
    return _pseudonym("service")


class User(AbstractUser):
    """A person. Their name stands here and in disclosures only; everywhere else they are `pseudonym`."""

    pseudonym = models.CharField(max_length=64, unique=True, default=user_pseudonym, editable=False)
    # Set: nothing here says any more who this was (`access.erasure`).
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        if self.erased_at:
            return f"erased person {self.pseudonym.partition(':')[2][:6]}…"
        return self.get_full_name() or self.username


class ServiceAccount(models.Model):
    """A pipeline or program that acts through the API. It never counts as a reviewer."""

    name = models.CharField(max_length=128, unique=True)
    pseudonym = models.CharField(max_length=64, unique=True, default=service_pseudonym, editable=False)
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Membership(Tracked):
    """A role of somebody in a project."""

    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="memberships")
    # The pseudonym of a user or service account: one namespace, as in the ledger.
    member = models.CharField(max_length=64, db_index=True)
    role = models.CharField(max_length=32, choices=Role.choices)
    history = history()

    class Meta(Tracked.Meta):
        constraints = (
            models.UniqueConstraint(fields=["project", "member", "role"], name="membership_role_once"),
        )

    def __str__(self) -> str:
        return f"{self.member} is {self.get_role_display()} in {self.project}"

    @property
    def ledger_subject(self) -> str:
        return f"access/project/{self.project.key}/member/{self.member}"


class ApiToken(models.Model):
    """A bearer token for the API. Only its hash is stored; the token is shown once, when it is made."""

    PREFIX = "cst_"

    name = models.CharField(max_length=128)
    # Enough of the token to recognise it by, too little to guess it.
    hint = models.CharField(max_length=16)
    # SHA-256 is right for 256 random bits: there is nothing to guess that a slow hash would protect.
    hash = models.CharField(max_length=64, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="api_tokens")
    service_account = models.ForeignKey(
        ServiceAccount, on_delete=models.CASCADE, null=True, blank=True, related_name="api_tokens"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(user__isnull=False, service_account__isnull=True)
                | Q(user__isnull=True, service_account__isnull=False),
                name="token_has_one_holder",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @staticmethod
    def hash_of(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())


class StoredAnswer(models.Model):
    """The answer to an API write with an `Idempotency-Key`; the unique row is also the claim to do it."""

    actor = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    method = models.CharField(max_length=8)
    # Longer than the longest address of a resource: three keys and their names.
    path = models.CharField(max_length=700)
    # Of the body that was sent: the same key means the same request.
    digest = models.CharField(max_length=71)
    # None until it is answered.
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["actor", "key", "method", "path"], name="answer_once"),
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.key})"
