"""Changes of what governs, in words: policies, the settings of environments, the roles of members."""

from __future__ import annotations

from typing import Any

from access.grants import read_roles
from access.limits import Limits
from access.permissions import display_names
from access.roles import label_of
from approvals.policy_document import read_policy
from flags import wording
from flags.subjects import Subject


def governing_words(subject: Subject, before: Any, after: Any) -> tuple[str, ...]:
    """What replacing `before` by `after` does, one sentence each."""
    if subject.kind == "policy":
        return _policy(subject.key, before, after)
    if subject.kind == "member":
        name = display_names({subject.key})[subject.key]
        return (f"{name}: {_roles(before)} → {_roles(after)}",)
    return tuple(wording.members_changed(subject.key, before or {}, after))


def _policy(key: str, before: Any, after: Any) -> tuple[str, ...]:
    if after is None:
        return (f"Policy {read_policy(before).name}: taken away; it asked for {read_policy(before).needs}",)
    now = read_policy(after)
    if before is None:
        return (f"New policy {now.name}: asks for {now.needs}",)
    was = read_policy(before)
    found = (
        [f"Policy {now.name}: asked for {was.needs}; asks for {now.needs}"] if was.needs != now.needs else []
    )
    own = ("name", "environments", "kinds", "tags", "critical", "access", "on_call_may_revert")
    matches = [{name: document.get(name) for name in own} for document in (before, after)]
    return (*found, *wording.members_changed(f"Policy {now.name}", *matches))


def _roles(document: Any) -> str:
    roles = []
    for role, (limits, _given_by) in read_roles(document).items():
        where = str(Limits.read(limits))
        roles.append(f"{label_of(role)} ({where})" if where else label_of(role))
    return ", ".join(roles) or "no role"
