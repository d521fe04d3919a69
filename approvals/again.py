"""Proposing again what lapsed when a new ledger was opened after a restore."""

from __future__ import annotations

from typing import Any

from approvals import rollouts, workflow
from approvals.models import ChangeRequest
from approvals.workflow import StateError
from audit.actor import Actor
from flags.documents import read_moment


def propose_again(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """A new request with the same documents, texts and times, for what stands now; whoever asked before may.

    It is reviewed anew, and waits until somebody applies it. Raises `StateError`, and what `propose` raises.
    """
    if request.state != ChangeRequest.State.LAPSED:
        raise StateError(f"{request.change_id} did not lapse; only what lapsed is proposed again.")
    if request.proposer != actor.id:
        raise StateError(f"{request.change_id} is somebody else's; propose a change of your own.")
    texts: dict[str, Any] = {"title": request.title, "rationale": request.rationale, "ticket": request.ticket}
    if request.plan is not None:
        plan = request.plan
        return rollouts.propose_plan(
            actor, plan.flag, plan.environment, plan.stages, window=plan.window, **texts
        )
    operations = [
        {"subject": operation["subject"], "after": operation["after"]}
        for operation in request.change["operations"]
        if "label" not in operation
    ]
    times = {
        "not_before": read_moment(request.change.get("not_before")),
        "confirm_within": request.change.get("confirm_within"),
        "ends_at": request.ends_at,
    }
    return workflow.propose(actor, request.project, operations, **texts, **times)
