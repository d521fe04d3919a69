"""Which policies name a team or a role: without it, what they ask for could never be given."""

from __future__ import annotations

from typing import Any

from approvals.models import ApprovalPolicy


def policies_that_name(sender: Any, *, team: str, role: str, **_: Any) -> list[str]:
    """In words; of the team or the role whose key is not empty."""
    member, key = ("team", team) if team else ("role", role)
    return [
        f"the policy {policy} in {policy.project.key}"
        for policy in ApprovalPolicy.objects.select_related("project").order_by("project__key", "key")
        if any(share.get(member) == key for share in policy.document.get("from", ()))
    ]
