"""What happens when a flag expires: its owner hears of it, or it is turned off under the approval given."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.utils import timezone

from approvals import planned, workflow
from approvals.models import ChangeRequest
from approvals.workflow import BlockedError, GateError
from audit.actor import Actor
from audit.ledger import timestamp
from audit.recording import recording
from flags.lifecycle import expired
from flags.models import Flag, FlagConfiguration, Notice
from flags.notices import tell_owner_once

logger = logging.getLogger(__name__)


def due(now: datetime) -> list[Flag]:
    """Flags that expired and are not done with: the owner was not told, or it was to go off and is on."""
    rows = expired(now)
    told = set(Notice.objects.filter(kind="expired", flag__in=rows).values_list("flag_id", "about"))
    still_on = set(
        FlagConfiguration.objects.filter(
            flag__in=rows, flag__on_expiry=Flag.OnExpiry.OFF, document__enabled=True
        ).values_list("flag_id", flat=True)
    )
    return [
        flag
        for flag in rows.select_related("project", "owner")
        if flag.pk in still_on or (flag.pk, _about(flag)) not in told
    ]


def expire(actor: Actor, flag: Flag) -> None:
    """Handle a flag whose expiry has passed. Handling it again does nothing new."""
    if flag.expires_at is None or flag.expires_at > timezone.now():
        return
    _tell_once(flag)
    if flag.on_expiry == Flag.OnExpiry.OFF:
        for configuration in FlagConfiguration.objects.filter(flag=flag).select_related(
            "environment__project", "flag"
        ):
            if configuration.document.get("enabled"):
                try:
                    _turn_off(actor, flag, configuration)
                except GateError as error:  # one environment holds up no other
                    logger.warning("%s: neither turned off nor asked for: %s", configuration, error)


def _turn_off(actor: Actor, flag: Flag, configuration: FlagConfiguration) -> None:
    """Carry out the approved expiry; where what stands there is not what it was approved for, ask anew."""
    assert flag.expires_at is not None
    subject, label = configuration.ledger_subject, planned.expiry_label(flag.expires_at)
    applied = ChangeRequest.objects.filter(
        project=flag.project, change__base__has_key=subject, state=ChangeRequest.State.APPLIED
    )
    for request in applied.order_by("-applied_at").iterator():
        for number, operation in enumerate(request.change["operations"]):
            if operation.get("label") == label and operation["subject"] == subject:
                try:
                    workflow.carry_out(actor, request, number)
                except GateError as error:
                    logger.info("%s: expiry not carried out under %s: %s", subject, request.change_id, error)
                    break
                return
    about = f"{configuration.pk} {timestamp(flag.expires_at)}"
    with recording(actor):  # the claim and the request, or neither
        _, is_first = Notice.objects.get_or_create(flag=flag, kind="expiry-request", about=about)
        if is_first:
            _ask(actor, flag, configuration)


def _ask(actor: Actor, flag: Flag, configuration: FlagConfiguration) -> None:
    """Turn it off where nobody has to approve that; what a check refuses is left to people as a request."""
    operations = [
        {"subject": configuration.ledger_subject, "after": {**configuration.document, "enabled": False}}
    ]
    texts: dict[str, Any] = {
        "title": f"{flag.key} expired: turn it off in {configuration.environment}"[:200],
        "rationale": f"It was to be off from {flag.expires_at:%Y-%m-%d %H:%M} UTC, "
        "and was changed since that was approved.",
    }
    try:
        workflow.change(actor, flag.project, operations, **texts)
    except BlockedError as error:
        request = workflow.propose(actor, flag.project, operations, **texts)
        request.problem = str(error)
        request.save()


def _about(flag: Flag) -> str:
    assert flag.expires_at is not None
    return flag.expires_at.isoformat()


def _tell_once(flag: Flag) -> None:
    assert flag.expires_at is not None
    what = (
        "It is turned off where that was approved."
        if flag.on_expiry == Flag.OnExpiry.OFF
        else "It is still on."
    )
    tell_owner_once(
        flag,
        "expired",
        _about(flag),
        "flag.expired",
        f"It expired at {flag.expires_at:%Y-%m-%d %H:%M} UTC. {what} "
        "Remove it from the code, or give it a later date.",
    )
