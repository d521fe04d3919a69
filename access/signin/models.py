"""Identity providers: whom the organisation lets say who somebody is."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
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
            "rules": self.rules,
        }


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
