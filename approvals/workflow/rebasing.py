"""Bringing an open request up to what stands now, where that collides with nothing it asks for."""

from __future__ import annotations

import json
from typing import Any

from access.permissions import require
from approvals.errors import StateError
from approvals.merging import ABSENT, Member
from approvals.models import ChangeRequest
from approvals.workflow import subjects
from approvals.workflow.divergence import Divergence, divergences
from approvals.workflow.proposing import revise, times_of
from approvals.workflow.request import locked, require_open, same
from audit.actor import Actor
from audit.recording import recording
from flags.subjects import Subject


def rebase(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """Make a new revision for what stands now, with what changed meanwhile and what was asked for.

    Only where no member was changed by both; approvals do not carry over. Only the proposer may. Raises
    `StateError` (also where members collide, naming them and both values) and what `revise` raises.
    """
    with recording(actor):
        require(actor, "change.propose", request.project)
        request = locked(request)
        if request.proposer != actor.id:
            raise StateError(
                f"{request.change_id} is somebody else's; they can rebase it, edit it or withdraw it."
            )
        require_open(request)
        if request.plan_id:
            raise StateError(f"{request.change_id} is a rollout plan; withdraw it and propose another one.")
        request.project.hold()
        found = {each.subject: each for each in divergences(request)}
        if not found:
            raise StateError(f"Nothing changed under {request.change_id}; there is nothing to rebase.")
        if collisions := [(each, member) for each in found.values() for member in each.collisions]:
            raise StateError(
                f"{request.change_id} cannot be rebased by itself: "
                + "; ".join(_collision(request, each, member) for each, member in collisions[:5])
                + ". Edit it, and say which should stand."
            )
        operations = []
        base = {}
        for operation in request.change["operations"]:
            subject = operation["subject"]
            if "label" in operation:
                continue
            state = subjects.standing(request.project, Subject.parse(subject))
            after = found[subject].together if subject in found else operation["after"]
            if not same(state.document, after):
                operations.append({"subject": subject, "after": after})
                base[subject] = state.version
        if not operations:
            raise StateError(f"What {request.change_id} asks for stands there already; withdraw it.")
        return revise(
            actor,
            request,
            operations,
            title=request.title,
            rationale=request.rationale,
            ticket=request.ticket,
            base=base,
            **times_of(request),
        )


def _collision(request: ChangeRequest, divergence: Divergence, member: Member) -> str:
    subject = Subject.parse(divergence.subject)
    place = request.project.environments.filter(key=subject.environment or subject.key).first()
    return (
        f"{_part(member.pointer)} of {subject.words(place.name if place else '')} is {_told(member.now)} now, "
        f"and {_told(member.proposed)} was asked for"
    )


def _part(pointer: str) -> str:
    """What a pointer names: `the default`, `rule r1`, `variants on`."""
    names = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
    match names:
        case []:
            return "the whole document"
        case ["rules"]:
            return "the order of the rules"
        case ["rules", key]:
            return f"rule {key}"
        case ["targets", unit]:
            return f"the target {unit}"
    return " ".join(["the", *names]) if len(names) == 1 else " ".join(names)


def _told(value: Any) -> str:
    if value is ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 120 else f"{text[:119]}…"
