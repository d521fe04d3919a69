"""Identity providers: whom the organisation lets say who somebody is; and what signing in asks for."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models

from audit.history import Tracked, history


class IdentityProvider(Tracked):
    """An OpenID Connect provider. Its secret is sealed, and in no history, event or answer."""

    # Part of the address that the provider sends people back to, and of who they are here.
    key = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                r"\A[a-z0-9][a-z0-9-]{0,63}\Z",
                "Small letters, digits and hyphens, starting with none of those.",
            )
        ],
    )
    name = models.CharField(max_length=128)
    # As it stands in id tokens, to the letter; discovery is below it.
    issuer = models.CharField(max_length=500)
    client_id = models.CharField(max_length=255)
    sealed_secret = models.TextField(blank=True, editable=False)
    is_enabled = models.BooleanField(default=True)
    # Whether somebody without an account gets one when they first sign in.
    creates_accounts = models.BooleanField(default=True)
    scopes = models.JSONField(default=list)
    groups_claim = models.CharField(max_length=128, default="groups", blank=True)
    # Values of `acr` or `amr` in id tokens that stand for a second factor; none: it is not believed.
    second_factor = models.JSONField(default=list, blank=True)
    # What its groups give (`access.signin.rules`).
    rules = models.JSONField(default=list, blank=True)
    history = history(excluded_fields=["sealed_secret"])

    class Meta(Tracked.Meta):
        ordering = ("name", "key")

    def __str__(self) -> str:
        return self.name

    @property
    def ledger_subject(self) -> str:
        return f"access/identity-provider/{self.key}"

    @property
    def document(self) -> dict[str, Any]:
        """All but the secret."""
        return {
            "name": self.name,
            "issuer": self.issuer,
            "client_id": self.client_id,
            "is_enabled": self.is_enabled,
            "creates_accounts": self.creates_accounts,
            "scopes": self.scopes,
            "groups_claim": self.groups_claim,
            "second_factor": self.second_factor,
            "rules": self.rules,
        }


class UnlinkedIdentity(models.Model):
    """An identity that was somebody's: it makes no second account of theirs. Goes with the person's erasure."""

    user = models.ForeignKey("access.User", on_delete=models.CASCADE, related_name="unlinked_identities")
    provider = models.CharField(max_length=64)
    subject = models.CharField(max_length=191)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["provider", "subject"], name="unlinked_identity_once"),
        )

    def __str__(self) -> str:
        return f"{self.user} was known at {self.provider}"


class FactorPolicy(Tracked):
    """What the organisation asks of second factors: one row, or none for nothing."""

    # How old the second factor may be for a verb that asks for a fresh one; 0: none is asked for.
    fresh_minutes = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(1440)])
    history = history()

    class Meta(Tracked.Meta):
        verbose_name_plural = "factor policies"

    def __str__(self) -> str:
        return "what is asked of second factors"

    @property
    def ledger_subject(self) -> str:
        return "access/factor-policy"

    @property
    def document(self) -> dict[str, Any]:
        roles = RoleWithFactor.objects.order_by("role").values_list("role", flat=True)
        return {"fresh_minutes": self.fresh_minutes, "roles": list(roles)}


class RoleWithFactor(models.Model):
    """A role that counts for people with a second factor only: a row, so that queries can name it.

    Of the table, or the key of a custom role; the policy's document says since when.
    """

    role = models.CharField(max_length=32, unique=True)

    def __str__(self) -> str:
        return self.role


class SignedInSession(models.Model):
    """Where somebody is signed in, so that they can see it and end it; goes with their account.

    The session itself is Django's; one that ended has no row there any more.
    """

    user = models.ForeignKey("access.User", on_delete=models.CASCADE, related_name="signed_in_sessions")
    session_key = models.CharField(max_length=40, unique=True)
    address = models.CharField(max_length=45, blank=True)
    device = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.device or 'unknown device'} from {self.address or 'an unknown address'}"
