"""People, teams, service accounts, the roles they hold, and API tokens."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from access.limits import Limits
from access.notifications.models import Attempt as Attempt
from access.notifications.models import Chat as Chat
from access.notifications.models import Choice as Choice
from access.notifications.models import Delivery as Delivery
from access.notifications.models import Notification as Notification
from access.notifications.models import Webhook as Webhook
from access.roles import OrganisationRole, label_of
from access.scopes import Bearer, Scope, read_networks
from access.signin.models import FactorPolicy as FactorPolicy
from access.signin.models import IdentityProvider as IdentityProvider
from access.signin.models import RoleWithFactor as RoleWithFactor
from access.signin.models import SignedInSession as SignedInSession
from audit.history import Tracked, history

validate_key = RegexValidator(
    r"\A[a-z0-9][a-z0-9._-]{0,127}\Z",
    "A key starts with a small letter or digit; small letters, digits, dots, underscores, hyphens follow.",
)


def _pseudonym(kind: str) -> str:
    return f"{kind}:{secrets.token_hex(6)}"


def user_pseudonym() -> str:
    return _pseudonym("user")


def service_pseudonym() -> str:
    return _pseudonym("service")


def team_pseudonym() -> str:
    return _pseudonym("team")


class User(AbstractUser):
    """A person. Their name stands here and in disclosures only; everywhere else they are `pseudonym`."""

    pseudonym = models.CharField(max_length=64, unique=True, default=user_pseudonym, editable=False)
    # Set: nothing here says any more who this was (`access.erasure`).
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The key of the provider that said, when they last signed in by it, that they showed a second factor.
    vouched_by = models.CharField(max_length=64, blank=True, editable=False)

    def __str__(self) -> str:
        if self.erased_at:
            return f"erased person {self.pseudonym.partition(':')[2][:6]}…"
        return self.get_full_name() or self.username


class Team(Tracked):
    """People who answer for something together: they hold roles, own service accounts, and are asked."""

    key = models.CharField(max_length=128, unique=True, validators=[validate_key])
    name = models.CharField(max_length=128)
    pseudonym = models.CharField(max_length=64, unique=True, default=team_pseudonym, editable=False)
    history = history()

    class Meta(Tracked.Meta):
        ordering = ("key",)

    def __str__(self) -> str:
        return self.name

    @property
    def ledger_subject(self) -> str:
        return f"access/{self.pseudonym}"

    @property
    def document(self) -> dict[str, Any]:
        members = self.members.order_by("member").values_list("member", flat=True)
        return {"key": self.key, "name": self.name, "members": list(members)}


class TeamMember(models.Model):
    """That somebody is in a team; the team's document in the ledger and its history says since when."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="members")
    member = models.CharField(max_length=64, db_index=True)
    # The key of the identity provider whose rules gave it; empty: by hand.
    given_by = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["team", "member"], name="team_member_once"),)

    def __str__(self) -> str:
        return f"{self.member} in {self.team}"


class CustomRole(Tracked):
    """A role that an organisation defines for its projects: a set of verbs of the table."""

    key = models.CharField(max_length=32, unique=True, validators=[validate_key])
    name = models.CharField(max_length=128)
    purpose = models.CharField(max_length=200, blank=True)
    history = history()

    class Meta(Tracked.Meta):
        ordering = ("key",)

    def __str__(self) -> str:
        return self.name

    @property
    def ledger_subject(self) -> str:
        return f"access/role/{self.key}"

    @property
    def document(self) -> dict[str, Any]:
        verbs = self.verbs.order_by("verb").values_list("verb", flat=True)
        return {"name": self.name, "purpose": self.purpose, "verbs": list(verbs)}


class CustomRoleVerb(models.Model):
    """A verb of a custom role: a row of its own, so that it can be asked for by the verb."""

    role = models.ForeignKey(CustomRole, on_delete=models.CASCADE, related_name="verbs")
    verb = models.CharField(max_length=64, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["role", "verb"], name="custom_role_verb_once"),)

    def __str__(self) -> str:
        return f"{self.role.key} may {self.verb}"


class ServiceAccount(models.Model):
    """A pipeline or program that acts through the API. It never counts as a reviewer.

    Its team answers for it, and makes and revokes its tokens.
    """

    name = models.CharField(max_length=128, unique=True)
    pseudonym = models.CharField(max_length=64, unique=True, default=service_pseudonym, editable=False)
    is_active = models.BooleanField(default=True)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, null=True, blank=True, related_name="service_accounts"
    )

    def __str__(self) -> str:
        return self.name

    @property
    def document(self) -> dict[str, Any]:
        """As events name it."""
        team = self.team.pseudonym if self.team else None
        return {"name": self.name, "active": self.is_active, "team": team}


class TrustRule(models.Model):
    """Whose identity tokens count as a service account's: an issuer, an audience, and claims that must match.

    A pipeline then needs no stored secret. It comes with the token that its own platform signed for it.
    """

    service_account = models.ForeignKey(ServiceAccount, on_delete=models.CASCADE, related_name="trust_rules")
    name = models.CharField(max_length=128)
    # As `iss` has it, character by character.
    issuer = models.CharField(max_length=500, db_index=True)
    audience = models.CharField(max_length=500)
    # `{claim: {"equals": text}}` or `{claim: {"starts_with": text}}`, all of which must hold.
    claims = models.JSONField()
    scope = models.JSONField(default=dict, blank=True)
    # They chose whose pipelines act as the account: they do not review what it proposes.
    made_by = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.issuer})"

    @property
    def ledger_subject(self) -> str:
        return f"access/trust-rule/{self.pk}"

    @property
    def reach(self) -> Scope:
        """What it may be used for at most."""
        return Scope.stored(self.scope)

    @property
    def document(self) -> dict[str, Any]:
        """As events name it."""
        return {
            "service_account": self.service_account.pseudonym,
            "name": self.name,
            "issuer": self.issuer,
            "audience": self.audience,
            "claims": self.claims,
            "scope": self.scope,
        }

    def matches(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token with these claims is meant: every named claim is there, a text, and as the rule says."""
        return all(self.admits(name, claims.get(name)) for name in self.claims)

    def admits(self, name: str, found: object) -> bool:
        """Whether one of the named claims is as the rule says."""
        wanted = self.claims[name]
        if not isinstance(found, str):
            return False
        return found == wanted.get("equals", found) and found.startswith(wanted.get("starts_with", ""))


class Refusals(models.Model):
    """How often somebody was refused since the ledger last heard of it. Counted here, told there in sums."""

    kind = models.CharField(max_length=32)
    # The pseudonym of whoever was refused; empty where nobody could be told.
    actor = models.CharField(max_length=64, blank=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["kind", "actor"], name="refusals_once"),)

    def __str__(self) -> str:
        return f"{self.count} × {self.kind} of {self.actor or 'nobody known'}"


class Membership(Tracked):
    """A role of somebody in a project: a person, a service account, or everybody in a team."""

    project = models.ForeignKey("flags.Project", on_delete=models.PROTECT, related_name="memberships")
    # The pseudonym of a user, service account or team: one namespace, as in the ledger.
    member = models.CharField(max_length=64, db_index=True)
    # Of the table, or the key of a custom role.
    role = models.CharField(max_length=32)
    # Where it holds (`access.limits`); empty: everywhere in the project.
    limits = models.JSONField(default=dict, blank=True)
    # The key of the identity provider whose rules gave it, and take it; empty: by hand.
    given_by = models.CharField(max_length=64, blank=True, editable=False)
    history = history()

    class Meta(Tracked.Meta):
        constraints = (
            models.UniqueConstraint(fields=["project", "member", "role"], name="membership_role_once"),
        )

    def __str__(self) -> str:
        return f"{self.member} is {self.role_name} in {self.project}"

    @property
    def role_name(self) -> str:
        return label_of(self.role)

    @property
    def reach(self) -> Limits:
        """Where the role holds."""
        return Limits.read(self.limits)

    @property
    def ledger_subject(self) -> str:
        return f"access/project/{self.project.key}/member/{self.member}"


class OrganisationMembership(Tracked):
    """A role of somebody in the whole installation."""

    member = models.CharField(max_length=64, db_index=True)
    role = models.CharField(max_length=32, choices=OrganisationRole.choices)
    given_by = models.CharField(max_length=64, blank=True, editable=False)
    history = history()

    class Meta(Tracked.Meta):
        constraints = (models.UniqueConstraint(fields=["member", "role"], name="organisation_role_once"),)

    def __str__(self) -> str:
        return f"{self.member} is {self.get_role_display()}"

    @property
    def ledger_subject(self) -> str:
        return f"access/organisation/member/{self.member}"


class ApiToken(models.Model):
    """A bearer token for the API. Only its hash is stored; the token is shown once, when it is made.

    It reads `cst_`, 256 random bits, and their CRC-32 in hex: a scanner for leaked secrets tells one from what
    merely looks like it, and a mistyped one is told from one that was revoked.
    """

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
    # Whoever made it may have kept it: they do not review what it proposes.
    issued_by = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    # What it may be used for at most, and from where (`access.scopes`); empty: all that its holder may.
    scope = models.JSONField(default=dict, blank=True)
    addresses = models.JSONField(default=list, blank=True)
    # When its maker last showed a second factor in the session in which it was made.
    proved_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_from = models.GenericIPAddressField(null=True, blank=True, editable=False)
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
        return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

    @classmethod
    def new_secret(cls) -> str:
        """A token that nobody has."""
        body = secrets.token_urlsafe(32)
        return f"{cls.PREFIX}{body}{zlib.crc32(body.encode()):08x}"

    @classmethod
    def is_whole(cls, secret: str) -> bool:
        """Whether it can be a token at all: the checksum at its end is right."""
        body, checksum = secret[len(cls.PREFIX) : -8], secret[-8:]
        return secret.startswith(cls.PREFIX) and f"{zlib.crc32(body.encode()):08x}" == checksum

    @property
    def holder(self) -> User | ServiceAccount:
        """Whose it is: one of the two, by the constraint."""
        holder = self.user or self.service_account
        assert holder is not None
        return holder

    @property
    def reach(self) -> Scope:
        """What it may be used for at most."""
        return Scope.stored(self.scope)

    @property
    def bearer(self) -> Bearer:
        """How it bounds what is made with it."""
        return Bearer(self.reach, self.expires_at, read_networks(self.addresses), self.proved_at is not None)

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


class SavedView(models.Model):
    """The filters of one page of one project, kept by one person under a name.

    A private preference: nobody else sees it and nothing depends on it, so the ledger does not track it. It
    goes when the person is erased.
    """

    person = models.ForeignKey(
        User, on_delete=models.CASCADE, to_field="pseudonym", related_name="saved_views"
    )
    project = models.ForeignKey("flags.Project", on_delete=models.CASCADE, related_name="+")
    page = models.CharField(max_length=16)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2_000)

    class Meta:
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(fields=["person", "project", "page", "name"], name="saved_view_once"),
        )

    def __str__(self) -> str:
        return self.name
