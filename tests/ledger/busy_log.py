"""A log in which everything has happened that the server can record."""

from __future__ import annotations

from typing import Any

from access import grants
from access.models import Membership
from access.permissions import system_actor
from access.roles import Role
from approvals import rollouts, workflow
from distribution import keys
from flags.documents import definition_document
from flags.models import Flag
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split

STAGES = [{"weights": [["on", on], ["off", 100 - on]], "hold": 0} for on in (10, 50)]


def many(count: int) -> dict[str, Any]:
    """A configuration of some 13 bytes for each of `count` keys."""
    return {**ON, "targets": {"on": [f"user-{number:06d}" for number in range(count)]}}


def fill(cast: Cast) -> None:
    """Changes, reviews, edits, kills, a rollout with its way back, large documents, keys and roles."""
    author, administrator, on_call = cast.actor("author"), cast.actor("administrator"), cast.actor("on_call")
    for key in ("banner", "checkout", "search"):
        cast.flag(key)
    cast.flag(name="Summer banner", tags=["sale"])
    cast.propose(environment="development")
    cast.approve(cast.propose(OFF))
    cast.policy(approvals=2, ticket=True)
    edited = cast.propose(split(5), ticket="SHOP-1", scheduled_at=None)
    cast.approve(edited)
    operations = [{"subject": cast.subject(), "after": split(6)}]
    edited = workflow.revise(author, edited, operations, title="Six", rationale="r", ticket="SHOP-1")
    cast.approve(edited)
    edited = cast.approve(edited, "second_reviewer")
    workflow.schedule(author, edited, None)
    workflow.apply(author, edited)
    workflow.reject(cast.actor("reviewer"), (no := cast.propose(OFF, ticket="x")), digest=no.digest)
    workflow.withdraw(author, cast.propose(OFF, ticket="x"))
    cast.policy(approvals=1)
    large = [{"subject": cast.subject(key), "after": many(2_000)} for key in ("checkout", "search")]
    cast.approve(workflow.change(author, cast.project, large, title="Large", rationale="r"))
    killed = workflow.kill(on_call, Subject("configuration", "shop", "checkout", "production"), cast.project)
    workflow.review_emergency(cast.actor("reviewer"), killed)
    cast.approve(cast.propose({**many(2_000), "off": "on"}, key="checkout"))
    banner = Flag.objects.get(key="banner")
    cast.approve(
        rollouts.propose_plan(author, banner, cast.production, STAGES, title="Roll out", rationale="r")
    )
    plan = banner.rollout_plans.get()
    rollouts.advance(system_actor("scheduler"), plan)
    plan.refresh_from_db()
    cast.approve(
        workflow.change(
            author,
            cast.project,
            [
                {"subject": "project/shop/segment/beta", "after": {"included": ["u1"]}},
                {"subject": "project/shop/flag/banner", "after": {**definition(), "client_side": True}},
            ],
            title="Beta",
            rationale="r",
        )
    )
    key, _ = keys.issue(administrator, cast.production, "web", "client")
    keys.revoke(administrator, key)
    grants.grant(administrator, cast.project, cast.users["viewer"].pseudonym, Role.AUDITOR)
    grants.revoke(
        administrator, Membership.objects.get(member=cast.users["viewer"].pseudonym, role=Role.AUDITOR)
    )
    cast.settings("production", name="Live")


def definition() -> dict[str, Any]:
    """The banner's, as it stands."""
    return definition_document(Flag.objects.get(key="banner"))
