"""The catalogue's rows. Targeting is one JSON document in one row, so one version, one diff, one approval."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from audit.history import Tracked, history
from flags.subjects import Subject

KEY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
validate_key = RegexValidator(
    rf"\A{KEY}\Z",
    "A key starts with a letter or digit; letters, digits, dots, underscores and hyphens follow, "
    "128 at most.",
)


def validate_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValidationError(f"This is no regular expression: {error}.") from error


def validate_ticket_url(url: str) -> None:
    if not url.startswith(("https://", "http://")) or url.count("{ticket}") != 1:
        raise ValidationError("An address with {ticket} in it, such as https://tickets.example.com/{ticket}.")


class Project(Tracked):
    """A tenant: flags, segments, environments and people are per project."""

    key = models.CharField(max_length=128, unique=True, validators=[validate_key])
    name = models.CharField(max_length=128)
    # What a new flag's key must match as a whole, e.g. `[a-z0-9-]+`; empty for anything.
    flag_key_pattern = models.CharField(max_length=128, blank=True, validators=[validate_pattern])
    # What a ticket must match as a whole, e.g. `SHOP-[0-9]+`; and where one is found, with {ticket} in it.
    ticket_pattern = models.CharField(max_length=128, blank=True, validators=[validate_pattern])
    ticket_url = models.CharField(max_length=200, blank=True, validators=[validate_ticket_url])
    created_at = models.DateTimeField(auto_now_add=True)
    history = history()

    class Meta(Tracked.Meta):
        ordering = ("key",)

    def __str__(self) -> str:
        return self.name

    def hold(self) -> None:
        """Let one change of this project in at a time, until the transaction ends.

        Two cannot lock each other out then, whatever rows they touch, and no policy, segment or
        configuration changes between the check of what is needed and the write. `no_key`, as everywhere:
        a row that names this one is checked when its transaction commits, holding the ledger's head, and
        must not have to wait for a change that waits for that head.
        """
        Project.objects.select_for_update(no_key=True).get(pk=self.pk)

    @property
    def ledger_subject(self) -> str:
        return f"project/{self.key}"

    @property
    def document(self) -> dict[str, Any]:
        names = ("name", "flag_key_pattern", "ticket_pattern", "ticket_url")
        return _present({name: getattr(self, name) for name in names})

    def ticket_link(self, ticket: str) -> str:
        """Where a ticket is found; empty where the project does not say, or it is no ticket of its pattern."""
        if not self.ticket_url or not ticket or not self.is_ticket(ticket):
            return ""
        return self.ticket_url.replace("{ticket}", quote(ticket, safe=""))

    def is_ticket(self, text: str) -> bool:
        """Whether a text is a ticket here: any, where the project has no pattern."""
        return not self.ticket_pattern or re.fullmatch(self.ticket_pattern, text) is not None


class Environment(Tracked):
    """A place where flags are served, e.g. production. Its snapshot's version is `revision`."""

    class Kind(models.TextChoices):
        DEVELOPMENT = "development", "Development"
        STAGING = "staging", "Staging"
        PRODUCTION = "production", "Production"

    class Bucketing(models.TextChoices):
        MURMUR3 = "murmur3", "murmur3"
        MURMUR3_CBOR = "murmur3-cbor", "murmur3-cbor"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="environments")
    key = models.CharField(max_length=128, validators=[validate_key])
    name = models.CharField(max_length=128)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.DEVELOPMENT)
    protected = models.BooleanField(default=False)
    # Order of promotion, lowest first.
    position = models.PositiveSmallIntegerField(default=0)
    # Region names that configurations may switch, e.g. ["eu", "us"].
    regions = models.JSONField(default=list, blank=True)
    # The hash that new splits get.
    bucketing = models.CharField(max_length=16, choices=Bucketing.choices, default=Bucketing.MURMUR3)
    # Grows with every change of what is served here, and never falls. `flags.revisions` alone raises it.
    revision = models.BigIntegerField(default=1, editable=False)
    history = history(excluded_fields=["revision"])

    class Meta(Tracked.Meta):
        ordering = ("project", "position", "key")
        constraints = (models.UniqueConstraint(fields=["project", "key"], name="environment_key_once"),)

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        """`<project key>/<environment key>`, as in snapshots and DSNs."""
        return f"{self.project.key}/{self.key}"

    @property
    def ledger_subject(self) -> str:
        # Not `…/environment/<key>`: an auditor asks for reviews below that, and means what is served there.
        return f"project/{self.project.key}/environment-settings/{self.key}"

    @property
    def document(self) -> dict[str, Any]:
        return _present(
            {
                "name": self.name,
                "kind": self.kind,
                "protected": self.protected,
                "position": self.position,
                "regions": self.regions,
                "bucketing": self.bucketing,
            }
        )


class Flag(Tracked):
    """A flag's definition, the same in every environment."""

    class Type(models.TextChoices):
        BOOLEAN = "boolean", "Boolean"
        STRING = "string", "String"
        INTEGER = "integer", "Integer"
        FLOAT = "float", "Float"
        OBJECT = "object", "Object"

    class Kind(models.TextChoices):
        RELEASE = "release", "Release"
        EXPERIMENT = "experiment", "Experiment"
        OPERATIONAL = "operational", "Operational"
        KILL_SWITCH = "kill-switch", "Kill switch"
        PERMISSION = "permission", "Permission"

    class FailSafe(models.TextChoices):
        OFF = "off", "Off variant"
        LAST_KNOWN_GOOD = "last_known_good", "Last known good"

    class OnExpiry(models.TextChoices):
        ALERT = "alert", "Alert the owner"
        OFF = "off", "Turn off"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="flags")
    key = models.CharField(max_length=128, validators=[validate_key])
    name = models.CharField(max_length=128)
    description = models.TextField(blank=True)
    type = models.CharField(max_length=16, choices=Type.choices, default=Type.BOOLEAN)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.RELEASE)
    variants = models.JSONField(default=dict)
    client_side = models.BooleanField(default=False)
    fail_safe = models.CharField(max_length=16, choices=FailSafe.choices, default=FailSafe.LAST_KNOWN_GOOD)
    critical = models.BooleanField(default=False)
    owner = models.ForeignKey(
        "access.User",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        to_field="pseudonym",
        related_name="owned_flags",
    )
    team = models.CharField(max_length=128, blank=True)
    tags = models.JSONField(default=list, blank=True)
    docs_url = models.URLField(blank=True)
    purpose = models.TextField(blank=True)
    exit_criteria = models.TextField(blank=True)
    temporary = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    on_expiry = models.CharField(max_length=8, choices=OnExpiry.choices, default=OnExpiry.ALERT)
    # Why it stays, where it is not temporary.
    permanent_reason = models.TextField(blank=True)
    # Archived: off everywhere, in no snapshot and in no list, until somebody restores it.
    archived = models.BooleanField(default=False)
    # While what it serves is pinned: {"variant", "wake_at", "plan"?}; empty where it is awake.
    hibernation = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    history = history()

    class Meta(Tracked.Meta):
        ordering = ("key",)
        constraints = (models.UniqueConstraint(fields=["project", "key"], name="flag_key_once"),)

    def __str__(self) -> str:
        return self.key

    @property
    def subject(self) -> Subject:
        return Subject("definition", self.project.key, self.key)

    @property
    def ledger_subject(self) -> str:
        return str(self.subject)


class FlagConfiguration(Tracked):
    """What a flag does in one environment: the document that is validated, approved, served and restored."""

    flag = models.ForeignKey(Flag, on_delete=models.PROTECT, related_name="configurations")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="configurations")
    # The flag line of the evaluation specification (section 5) without the definition's members.
    document = models.JSONField()
    version = models.PositiveIntegerField(default=0)
    change_id = models.CharField(max_length=64, blank=True)
    changed_at = models.DateTimeField()
    history = history()

    class Meta(Tracked.Meta):
        constraints = (models.UniqueConstraint(fields=["flag", "environment"], name="configuration_once"),)

    def __str__(self) -> str:
        return f"{self.flag.key} in {self.environment}"

    @property
    def ledger_subject(self) -> str:
        return str(
            Subject("configuration", self.environment.project.key, self.flag.key, self.environment.key)
        )


class Segment(Tracked):
    """A named group of contexts that rules of any flag in the project can refer to."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="segments")
    key = models.CharField(max_length=128, validators=[validate_key])
    # `included`, `excluded`, `rules` as in the evaluation specification (section 3).
    document = models.JSONField()
    version = models.PositiveIntegerField(default=0)
    change_id = models.CharField(max_length=64, blank=True)
    changed_at = models.DateTimeField()
    history = history()

    class Meta(Tracked.Meta):
        ordering = ("key",)
        constraints = (models.UniqueConstraint(fields=["project", "key"], name="segment_key_once"),)

    def __str__(self) -> str:
        return self.key

    @property
    def ledger_subject(self) -> str:
        return str(Subject("segment", self.project.key, self.key))


class Expectations(Tracked):
    """A flag's own tests: who gets what, where. Every change that could alter an answer is held to them."""

    flag = models.OneToOneField(Flag, on_delete=models.PROTECT, related_name="expectations")
    # {"expectations": [{"sentence", "environment", "region"?, "context", "variant": name or null}…]}
    document = models.JSONField()
    version = models.PositiveIntegerField(default=0)
    change_id = models.CharField(max_length=64, blank=True)
    changed_at = models.DateTimeField()
    history = history()

    class Meta(Tracked.Meta):
        verbose_name_plural = "expectations"

    def __str__(self) -> str:
        return f"expectations of {self.flag.key}"

    @property
    def ledger_subject(self) -> str:
        return str(Subject("expectations", self.flag.project.key, self.flag.key))


class RolloutPlan(Tracked):
    """Stages that are approved once, as a whole, and then carried out by a task one after the other."""

    class State(models.TextChoices):
        PROPOSED = "proposed", "Waiting for approval"
        RUNNING = "running", "Running"
        WAITING = "waiting", "Waiting for a go-ahead"
        PAUSED = "paused", "Paused"
        DONE = "done", "Done"
        ABORTED = "aborted", "Aborted"

    UNFINISHED = (State.PROPOSED, State.RUNNING, State.WAITING, State.PAUSED)

    flag = models.ForeignKey(Flag, on_delete=models.PROTECT, related_name="rollout_plans")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="rollout_plans")
    # As `flags.stages` reads them.
    stages = models.JSONField()
    # The hours in which stages after the first may happen; empty: at any time.
    window = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    # How many stages have been carried out.
    done = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True, db_index=True)
    # Why it paused or was aborted, for the people who look at it.
    problem = models.TextField(blank=True)
    # The number of the change request that proposed it.
    number = models.PositiveIntegerField(unique=True)
    history = history()

    def __str__(self) -> str:
        return f"rollout {self.number} of {self.flag.key} in {self.environment}"

    @property
    def ledger_subject(self) -> str:
        # Not below the environment: a plan's progress is no change of what is served there.
        return f"project/{self.environment.project.key}/rollout-plan/{self.number}"

    @property
    def document(self) -> dict[str, Any]:
        return _present(
            {
                "flag": self.flag.key,
                "environment": self.environment.key,
                "stages": self.stages,
                "window": self.window,
                "state": self.state,
                "done": self.done,
                "problem": self.problem,
            }
        )


class RolloutTemplate(Tracked):
    """Stages to start a plan from, for flags of any variants: `percent` stands where weights will."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="rollout_templates")
    key = models.CharField(max_length=128, validators=[validate_key])
    name = models.CharField(max_length=128)
    # `percent` of everyone, or `cohort`; with `hold`, `not_before` and `go_ahead` as in a plan.
    stages = models.JSONField()
    window = models.JSONField(default=dict, blank=True)
    history = history()

    class Meta(Tracked.Meta):
        ordering = ("name", "key")
        constraints = (models.UniqueConstraint(fields=["project", "key"], name="rollout_template_key_once"),)

    def __str__(self) -> str:
        return self.name

    @property
    def ledger_subject(self) -> str:
        return f"project/{self.project.key}/rollout-template/{self.key}"

    @property
    def document(self) -> dict[str, Any]:
        return _present({"name": self.name, "stages": self.stages, "window": self.window})


class Notice(models.Model):
    """That somebody was told of something once; the unique row is the claim of the task that tells."""

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=32)
    about = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["flag", "kind", "about"], name="notice_once"),)

    def __str__(self) -> str:
        return f"{self.kind} of {self.flag_id}: {self.about}"


def _present(members: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty or false, as documents are written everywhere."""
    return {name: value for name, value in members.items() if value not in ("", None, [], {}, False)}
