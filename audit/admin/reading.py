"""Events as people read them: who, by which door, what in words, before and after, and under which change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from access.limits import Limits
from access.permissions import display_names
from access.roles import label_of
from approvals.effects import sentences_of
from approvals.models import ChangeRequest, Review
from audit.admin.linking import flag_names, linked
from audit.models import Blob, Event
from flags.models import Environment, Project
from flags.subjects import Subject

# What each type is called, and its icon. A type that is not here shows as itself.
TYPES: dict[str, tuple[str, Any]] = {
    "flags.v1.configuration.updated": ("tune", _("Flag changed in an environment")),
    "flags.v1.configuration.killed": ("emergency_home", _("Flag killed")),
    "flags.v1.flag.created": ("add_circle", _("Flag created")),
    "flags.v1.flag.updated": ("edit", _("Flag definition changed")),
    "flags.v1.segment.created": ("group_add", _("Segment created")),
    "flags.v1.segment.updated": ("groups", _("Segment changed")),
    "flags.v1.expectations.created": ("fact_check", _("Expectations of a flag set")),
    "flags.v1.expectations.updated": ("fact_check", _("Expectations of a flag changed")),
    "flags.v1.project.created": ("folder", _("Project created")),
    "flags.v1.environment.created": ("dns", _("Environment created")),
    "flags.v1.environment.updated": ("dns", _("Environment changed")),
    "flags.v1.rollout_plan.created": ("stacked_line_chart", _("Rollout plan made")),
    "flags.v1.rollout_plan.updated": ("stacked_line_chart", _("Rollout plan moved")),
    "approvals.v1.change_request.proposed": ("edit_note", _("Change proposed")),
    "approvals.v1.change_request.approved": ("thumb_up", _("Change approved")),
    "approvals.v1.change_request.rejected": ("block", _("Change rejected or withdrawn")),
    "approvals.v1.change_request.scheduled": ("schedule", _("Change scheduled")),
    "approvals.v1.change_request.applied": ("check_circle", _("Change applied")),
    "approvals.v1.change_request.lapsed": ("history", _("Change lapsed with a new ledger")),
    "approvals.v1.change_request.reverted": ("undo", _("Change taken back at once")),
    "approvals.v1.policy.changed": ("policy", _("Policy changed")),
    "approvals.v1.freeze.created": ("ac_unit", _("Freeze planned")),
    "approvals.v1.freeze.updated": ("ac_unit", _("Freeze changed")),
    "approvals.v1.freeze.lifted": ("ac_unit", _("Freeze lifted")),
    "approvals.v1.emergency.reviewed": ("fact_check", _("Kill reviewed")),
    "approvals.v1.emergency.overdue": ("alarm", _("Review overdue")),
    "approvals.v1.revert.reviewed": ("fact_check", _("Revert at once reviewed")),
    "access.v1.membership.changed": ("badge", _("Role given or taken")),
    "access.v1.organisation_membership.changed": (
        "shield_person",
        _("Role of the organisation given or taken"),
    ),
    "access.v1.team.changed": ("groups", _("Team changed")),
    "access.v1.role.changed": ("badge", _("Custom role changed")),
    "access.v1.account.created": ("person_add", _("Account made")),
    "access.v1.account.changed": ("manage_accounts", _("Account changed")),
    "access.v1.account.linked": ("link", _("Identity linked to an account")),
    "access.v1.account.unlinked": ("link_off", _("Identity unlinked from an account")),
    "access.v1.account.password_changed": ("password", _("Changed their password")),
    "access.v1.account.password_set": ("password", _("Password set for somebody")),
    "access.v1.account.signed_in_locally": ("password", _("Local sign-in beside a provider")),
    "access.v1.account.unlocked": ("lock_open", _("Account unlocked")),
    "access.v1.address.unlocked": ("lock_open", _("Address unlocked")),
    "access.v1.factor.added": ("phonelink_lock", _("Second factor set up")),
    "access.v1.factor.removed": ("phonelink_erase", _("Second factor removed")),
    "access.v1.factor.recovery_code_used": ("sos", _("Recovery code used")),
    "access.v1.factor.reset": ("phonelink_erase", _("Second factors reset")),
    "access.v1.factor.encrypted_anew": ("enhanced_encryption", _("Second factors encrypted anew")),
    "access.v1.factor_policy.changed": ("policy", _("What is asked of second factors changed")),
    "access.v1.identity_provider.changed": ("key", _("Identity provider changed")),
    "access.v1.session.ended": ("logout", _("Sessions ended")),
    "access.v1.refused": ("block", _("Access refused, in sums")),
    "access.v1.service_account.created": ("smart_toy", _("Service account made")),
    "access.v1.person.erased": ("person_off", _("Person erased")),
    "access.v1.webhook.changed": ("webhook", _("Webhook changed")),
    "access.v1.webhook.tested": ("webhook", _("Webhook or chat tried")),
    "access.v1.chat.changed": ("forum", _("Chat changed")),
    "access.v1.delivery.repeated": ("replay", _("Notification sent again")),
    "access.v1.token.issued": ("key", _("API token issued")),
    "access.v1.service_account.updated": ("smart_toy", _("Service account changed")),
    "access.v1.token.rotated": ("key", _("API token replaced")),
    "access.v1.token.revoked": ("key_off", _("API token revoked")),
    "access.v1.trust_rule.made": ("handshake", _("Trust rule made")),
    "access.v1.trust_rule.revoked": ("handshake", _("Trust rule taken back")),
    "distribution.v1.sdk_key.replaced": ("vpn_key", _("SDK key replaced")),
    "distribution.v1.sdk_key.issued": ("vpn_key", _("SDK key issued")),
    "distribution.v1.sdk_key.updated": ("language", _("SDK key's origins changed")),
    "distribution.v1.sdk_key.revoked": ("vpn_key_off", _("SDK key revoked")),
    "distribution.v1.snapshot_key.changed": ("key", _("Snapshots' signing key changed")),
    "ledger.v1.created": ("menu_book", _("Ledger opened")),
    "ledger.v1.log_key.changed": ("key", _("Ledger's signing key changed")),
}
_OF_VERSIONS = ("flags.v1.configuration.", "flags.v1.flag.", "flags.v1.segment.")
VERSIONS = frozenset(each for each in TYPES if each.startswith(_OF_VERSIONS))
DOORS = {"ui": _("web"), "api": _("API"), "task": _("task"), "cli": _("command line")}
_NUMBER = re.compile(r"\ACR-(\d{1,18})(?:\.\d+)?\Z")


@dataclass(slots=True)
class Told:
    """An event with what a reader wants to know about it."""

    event: Event
    icon: str
    what: str
    who: str
    door: str
    sentences: tuple[str, ...]
    place: str
    before: Any = None
    after: Any = None
    has_documents: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    request: ChangeRequest | None = None
    approvers: list[str] = field(default_factory=list)
    # The name of what it is about, and the address of its page; empty where there is none.
    subject_name: str = ""
    subject_link: str = ""

    @property
    def is_version(self) -> bool:
        """Whether it put a version of a flag, configuration or segment there, which can be restored."""
        return self.has_documents and self.event.type in VERSIONS and isinstance(self.after, dict)


def told(project: Project | None, events: Sequence[Event], environments: Iterable[Environment]) -> list[Told]:
    """The events in their order; `project` None: of the organisation. Six queries, however many there are."""
    data = {event.pk: json.loads(event.line)["data"] for event in events}
    blobs = _blobs(data.values())
    requests = _requests(project, events)
    reviewers = {review.reviewer for request in requests.values() for review in request.reviews.all()}
    members = {
        _tail(event) for event in events if event.subject.startswith("access/") and ":" in _tail(event)
    }
    names = display_names({event.actor for event in events} | reviewers | members)
    places = {environment.key: environment.name for environment in environments}
    flags = flag_names(project, events)
    return [
        _told(event, data[event.pk], names, places, requests.get(event.change_id), blobs, flags)
        for event in events
    ]


def _told(
    event: Event,
    data: dict[str, Any],
    names: dict[str, str],
    places: dict[str, str],
    request: ChangeRequest | None,
    blobs: dict[str, Any],
    flags: dict[str, str],
) -> Told:
    icon, what = TYPES.get(event.type, ("circle", event.type))
    actor = data.get("actor") or {}
    before, after = (_whole(data.get(name), blobs) for name in ("before", "after"))
    has_documents = "before" in data or "after" in data
    place, sentences = _said(event, data, before, after, names, places, request)
    approvers = []
    if request is not None:
        approvers = sorted(
            {
                names[review.reviewer]
                for review in request.reviews.all()
                if review.verdict == Review.Verdict.APPROVED and review.change_id == event.change_id
            }
        )
    return Told(
        event,
        icon,
        str(what),
        names.get(event.actor, event.actor) or str(_("the system")),
        str(DOORS.get(actor.get("via", ""), actor.get("via", ""))),
        sentences,
        place,
        before,
        after,
        has_documents,
        data,
        request,
        approvers,
        *linked(event, names | flags, places, request),
    )


def _said(
    event: Event,
    data: dict[str, Any],
    before: Any,
    after: Any,
    names: dict[str, str],
    places: dict[str, str],
    request: ChangeRequest | None,
) -> tuple[str, tuple[str, ...]]:
    """What it is about, and what happened to it in words."""
    if event.type in ("access.v1.membership.changed", "access.v1.organisation_membership.changed"):
        member = _tail(event)
        roles = [
            ", ".join(_role(role) for role in (document or {}).get("roles", ())) or "none"
            for document in (before, after)
        ]
        return names.get(member, member), (f"Roles: {roles[0]} → {roles[1]}",)
    try:
        subject = Subject.parse(event.subject)
    except ValueError:
        subject = None
    if subject is not None and ("before" in data or "after" in data):
        place = places.get(subject.environment, subject.environment)
        about = f"{subject.key} in {place}" if place else subject.key
        return about, sentences_of(subject, place, before, after)
    if event.subject.startswith("change/"):
        about = event.subject.removeprefix("change/")
        return (f"{about} {request.title}" if request else about), ()
    if event.type.startswith("distribution.v1.sdk_key"):
        environment = str(data.get("environment", ""))
        about = f"{data.get('hint', '')}… in {places.get(environment, environment)}"
        if "origins" not in data:
            return about, ()
        allowed = [", ".join(data.get(name, ())) or "none" for name in ("origins_before", "origins")]
        return about, (f"Allowed origins: {' → '.join(allowed)}",)
    about = names.get(_tail(event), "")
    parts = event.subject.removeprefix("access/").split("/")
    tail = parts[2:] if event.subject.startswith("project/") else parts
    if isinstance(before, dict) and isinstance(after, dict):
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        words = tuple(
            f"{name.replace('_', ' ')}: {_brief(before.get(name))} → {_brief(after.get(name))}"
            for name in changed
        )
        return about or " ".join(tail), words
    if about:
        return about, ()
    return " ".join(tail).replace("-", " ") if len(tail) < 2 else f"{tail[0].replace('-', ' ')} {tail[1]}", ()


def _tail(event: Event) -> str:
    return event.subject.rpartition("/")[2]


def _role(entry: str | dict[str, Any]) -> str:
    """`Editor`, or with its limits and the provider that gave it, `Editor (in development, by acme)`."""
    if isinstance(entry, str):
        return label_of(entry)
    limits = {name: value for name, value in entry.items() if name not in ("role", "given_by")}
    words = [str(Limits.read(limits))] if limits else []
    if "given_by" in entry:
        words.append(str(_("by %s") % entry["given_by"]))
    return f"{label_of(entry['role'])} ({', '.join(words)})"


def _brief(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ", ".join(value) or "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _digest(value: Any) -> str | None:
    if isinstance(value, dict) and set(value) == {"blob", "size"}:
        return str(value["blob"])
    return None


def _blobs(datas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The large documents that these events name by digest."""
    digests = {
        digest for data in datas for name in ("before", "after") if (digest := _digest(data.get(name)))
    }
    return {blob.digest: json.loads(blob.content) for blob in Blob.objects.filter(digest__in=digests)}


def _whole(value: Any, blobs: dict[str, Any]) -> Any:
    digest = _digest(value)
    return blobs.get(digest, value) if digest else value


def _requests(project: Project | None, events: Iterable[Event]) -> dict[str, ChangeRequest]:
    """The requests behind these events, by change id."""
    numbers = {}
    for event in events:
        if match := _NUMBER.match(event.change_id):
            numbers[event.change_id] = int(match[1])
    rows = ChangeRequest.objects.filter(project=project, pk__in=set(numbers.values())).prefetch_related(
        "reviews"
    )
    found = {row.pk: row for row in rows}
    return {change_id: found[number] for change_id, number in numbers.items() if number in found}
