"""Planning, changing and lifting a freeze. Loosening one that holds takes somebody else than who made it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils import timezone

from access.holders import eligible
from access.machines import keepers_of
from access.models import CustomRole, ServiceAccount, Team, User
from access.permissions import require
from access.roles import OrganisationRole, Role
from approvals.errors import StateError
from approvals.freezes.covering import next_open_slot, protected_environments
from approvals.freezes.times import LONGEST, RuleError, occurrences, windows
from approvals.models import FreezeWindow
from audit.actor import Actor
from audit.history import require_base
from audit.recording import recording
from countersign.document import DocumentError
from flags.documents import refuse_unstorable
from flags.models import Project

MEMBERS = (
    "reason",
    "environments",
    "regions",
    "tags",
    "starts_at",
    "ends_at",
    "rrule",
    "zone",
    "duration",
    "exempt",
)
MOST = 200
# From so long before it holds, who made it does not loosen it alone any more.
NOTICE = timedelta(hours=24)
_FIRST_WITHIN = timedelta(days=5 * 366)


def save_freeze(
    actor: Actor,
    project: Project,
    key: str,
    members: Mapping[str, Any],
    *,
    base: Mapping[str, int] | None = None,
) -> FreezeWindow:
    """Plan a freeze, or say anew when it is, what it covers and whom it does not stop; all members.

    `base`: by its subject, the version seen; None: whatever stands. Raises `ForbiddenError`,
    `OutdatedBaseError`, ValidationError naming the members, or `StateError` where it takes somebody else.
    """
    with recording(actor) as record:
        require(actor, "freeze.manage", project)
        # What is being applied just now was checked against the freezes as they stand.
        project.hold()
        freeze = FreezeWindow.objects.filter(project=project, key=key).select_related("project").first()
        before = None if freeze is None else freeze.document
        if freeze is None:
            if FreezeWindow.objects.filter(project=project).count() >= MOST:
                raise ValidationError({"key": f"the project has {MOST} freezes; lift one that is over first"})
            freeze = FreezeWindow(project=project, key=key, made_by=actor.id)
        require_base(freeze, base)
        was = FreezeWindow.objects.filter(pk=freeze.pk).select_related("project").first()
        for name in MEMBERS:
            if name in members:
                setattr(freeze, name, members[name])
        _check(freeze)
        if freeze.document == before:
            return freeze
        if was is not None and _loosens(was.document, freeze.document):
            _require_somebody_else(actor, was, "loosen")
        record.event(
            f"approvals.v1.freeze.{'created' if before is None else 'updated'}",
            freeze.ledger_subject,
            before=before,
            after=freeze.document,
        )
        freeze.save()
    return freeze


def lift_freeze(actor: Actor, freeze: FreezeWindow) -> None:
    """Take a freeze away. Raises `ForbiddenError`, or `StateError` where it takes somebody else."""
    with recording(actor) as record:
        require(actor, "freeze.manage", freeze.project)
        freeze.project.hold()
        _require_somebody_else(actor, freeze, "lift")
        record.event("approvals.v1.freeze.lifted", freeze.ledger_subject, before=freeze.document, after=None)
        freeze.delete()


def _loosens(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether anything changes but the words, or an end that only moves out."""
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)} - {"reason"}
    if changed == {"ends_at"} and before.get("ends_at") and after.get("ends_at"):
        return bool(after["ends_at"] < before["ends_at"])
    return bool(changed)


def _require_somebody_else(actor: Actor, freeze: FreezeWindow, verb: str) -> None:
    """Raise `StateError` where the freeze holds, or soon will, in a protected environment and is one's own."""
    now = timezone.now()
    if not (protected := protected_environments(freeze)) or not windows(freeze, now, now + NOTICE):
        return
    makers = {freeze.made_by, *keepers_of(freeze.made_by)}
    if actor.id in makers or not eligible({actor.id}, "freeze.manage", freeze.project):
        raise StateError(
            f"The freeze {freeze.key} holds in {', '.join(protected)} now or within 24 hours. To {verb} it takes "
            "a person who did not make it: ask another release manager or administrator of the project. "
            "A kill works all the same."
        )


def _check(freeze: FreezeWindow) -> None:
    """Raise ValidationError naming the members that cannot be."""
    wrong: dict[str, str] = {}
    # Whole seconds, as pages and rules have them: what is saved again unchanged stays unchanged.
    freeze.starts_at = freeze.starts_at.replace(microsecond=0)
    freeze.ends_at = freeze.ends_at and freeze.ends_at.replace(microsecond=0)
    freeze.zone = freeze.zone or "UTC"
    for name in ("environments", "regions", "tags"):
        value = getattr(freeze, name)
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            wrong[name] = "must be a list of names; empty for all"
    if not isinstance(freeze.exempt, dict) or set(freeze.exempt) - {"members", "roles", "tags"}:
        wrong["exempt"] = "must be an object of `members`, `roles`, `tags`"
    elif not all(
        isinstance(value, list) and all(isinstance(each, str) and each for each in value)
        for value in freeze.exempt.values()
    ):
        wrong["exempt"] = "must have lists of names"
    if wrong:
        raise ValidationError(wrong)
    freeze.exempt = {name: sorted(set(value)) for name, value in sorted(freeze.exempt.items()) if value}
    try:
        refuse_unstorable("tags", freeze.tags)
    except DocumentError as error:
        raise ValidationError({"tags": error.reason}) from error
    _check_cover(freeze)
    freeze.clean_fields()
    _check_times(freeze)


def _check_cover(freeze: FreezeWindow) -> None:
    environments = {each.key: each for each in freeze.project.environments.all()}
    if unknown := sorted(set(freeze.environments) - set(environments)):
        raise ValidationError(
            {"environments": f"{unknown[0]} is no environment here; there are: {', '.join(environments)}"}
        )
    chosen = [environments[key] for key in freeze.environments] or list(environments.values())
    regions = sorted({region for each in chosen for region in each.regions})
    if unknown := sorted(set(freeze.regions) - set(regions)):
        raise ValidationError(
            {"regions": f"{unknown[0]} is no region there; there are: {', '.join(regions) or 'none'}"}
        )
    roles = {*Role.values, *OrganisationRole.values, *CustomRole.objects.values_list("key", flat=True)}
    if unknown := sorted(set(freeze.exempt.get("roles", ())) - roles):
        raise ValidationError({"exempt": f"{unknown[0]} is no role; name it by its key, such as on-call"})
    wanted = set(freeze.exempt.get("members", ()))
    for kind in (User, Team, ServiceAccount):
        wanted -= set(kind._default_manager.filter(pseudonym__in=wanted).values_list("pseudonym", flat=True))
    if wanted:
        raise ValidationError(
            {"exempt": f"{sorted(wanted)[0]} is nobody here; name people and teams by their id"}
        )


def _check_times(freeze: FreezeWindow) -> None:
    try:
        ZoneInfo(freeze.zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValidationError(
            {"zone": f"{freeze.zone} is no time zone; use a name such as Europe/Berlin, or UTC"}
        ) from error
    if not freeze.rrule:
        if freeze.duration is not None:
            raise ValidationError({"duration": "belongs to a freeze that recurs; say when this one ends"})
        if freeze.ends_at is None:
            raise ValidationError({"ends_at": "is missing; say when it ends, or by which rule it recurs"})
        if freeze.ends_at <= freeze.starts_at:
            raise ValidationError(
                {"ends_at": f"is not after it starts ({freeze.starts_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"}
            )
        return
    if freeze.ends_at is not None:
        raise ValidationError(
            {"ends_at": "is of a freeze that happens once; a rule ends with UNTIL or COUNT"}
        )
    if not freeze.duration or freeze.duration > LONGEST:
        raise ValidationError({"duration": f"must say how long it lasts each time, 1 to {LONGEST} seconds"})
    try:
        first = freeze.starts_at.astimezone(ZoneInfo(freeze.zone)).replace(tzinfo=None, fold=0)
        found = occurrences(freeze, first, first + _FIRST_WITHIN)
    except RuleError as error:
        raise ValidationError({"rrule": str(error)}) from error
    if not found:
        raise ValidationError({"rrule": "has no date within five years of its start; it would never hold"})
    if next_open_slot([freeze], max(timezone.now(), freeze.starts_at)) is None:
        raise ValidationError(
            {"rrule": "leaves no open slot within a year: each time lasts until the next one. Shorten it"}
        )
