"""The verbs of the gate. Each owns permission, mutation and audit; admin, API and tasks call these.

A change goes `propose` → `approve` (as often as its policies ask) → `apply`. An environment that asks for
nothing goes the same way, in one step (`change`). Only this package calls `flags.changes`.
"""

from approvals.errors import ConflictError, GateError, InvalidError, StateError
from approvals.workflow.applying import apply, apply_or_explain, carry_out
from approvals.workflow.basis import Basis, proposers
from approvals.workflow.checks import BlockedError, Finding, foresee
from approvals.workflow.commenting import comment, resolve
from approvals.workflow.divergence import Divergence, divergences
from approvals.workflow.emergencies import escalate, kill, kill_everywhere, review_emergency
from approvals.workflow.findings import check_request
from approvals.workflow.going_back import confirm, end, take_back_unconfirmed
from approvals.workflow.needs import needs_of
from approvals.workflow.proposing import (
    LONGEST_CONFIRMATION,
    SHORTEST_CONFIRMATION,
    change,
    preview,
    propose,
    revise,
    times_of,
)
from approvals.workflow.reach import touched_by_request
from approvals.workflow.rebasing import rebase
from approvals.workflow.request import is_due
from approvals.workflow.restoring import restore_at_once, why_not_restored_at_once
from approvals.workflow.reverting import revert_at_once, why_not_at_once
from approvals.workflow.reviewing import approve, reject, schedule, withdraw
from approvals.workflow.roles import access_is_reviewed, give_role, take_role
from approvals.workflow.wanting import Wanted, still_wanted

__all__ = [
    "LONGEST_CONFIRMATION",
    "SHORTEST_CONFIRMATION",
    "Basis",
    "BlockedError",
    "ConflictError",
    "Divergence",
    "Finding",
    "GateError",
    "InvalidError",
    "StateError",
    "Wanted",
    "access_is_reviewed",
    "apply",
    "apply_or_explain",
    "approve",
    "carry_out",
    "change",
    "check_request",
    "comment",
    "confirm",
    "divergences",
    "end",
    "escalate",
    "foresee",
    "give_role",
    "is_due",
    "kill",
    "kill_everywhere",
    "needs_of",
    "preview",
    "propose",
    "proposers",
    "rebase",
    "reject",
    "resolve",
    "restore_at_once",
    "revert_at_once",
    "review_emergency",
    "revise",
    "schedule",
    "still_wanted",
    "take_back_unconfirmed",
    "take_role",
    "times_of",
    "touched_by_request",
    "why_not_at_once",
    "why_not_restored_at_once",
    "withdraw",
]
