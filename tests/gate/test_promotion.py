"""Promotion: what travels to the next environment, what cannot, and what keeps it back."""

from __future__ import annotations

import pytest

from access.permissions import ForbiddenError
from approvals import promotion, workflow
from approvals.models import ChangeRequest
from approvals.workflow import ConflictError, StateError
from flags.models import Flag, FlagConfiguration
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split


@pytest.fixture
def shop(cast: Cast) -> Cast:
    """With a staging that has a region of its own, and a banner there with all that a document can have."""
    cast.settings("development", regions=["eu", "lab"])
    cast.development.refresh_from_db()
    cast.flag()
    cast.flag("checkout")
    workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": "project/shop/segment/beta", "after": {"included": ["u1"]}}],
        title="Beta",
    )
    cast.propose(ON, key="checkout", environment="development")
    rule = {"attribute": "", "operator": "in_segment", "values": ["beta"]}
    cast.propose(
        {
            **split(25),
            "targets": {"on": ["u1", "u2"]},
            "rules": [{"id": "r1", "constraints": [rule], "serve": {"variant": "on"}}],
            "prerequisites": [{"flag": "checkout", "variants": ["on"]}],
            "regions": {"eu": False, "lab": False},
        },
        environment="development",
    )
    return cast


def promoted(cast: Cast) -> promotion.Promotion:
    return promotion.promotion_of(Flag.objects.get(key="banner"), cast.development)


def promote(cast: Cast, by: str = "author", **options: object) -> ChangeRequest:
    flag = Flag.objects.get(key="banner")
    return promotion.promote(cast.actor(by), flag, cast.development, rationale="It works.", **options)


def test_a_flag_waits_for_what_it_needs(shop: Cast) -> None:
    assert promoted(shop).blockers == (
        "It needs checkout, which was never set in Production; promote that first.",
    )
    with pytest.raises(StateError, match="promote that first"):
        promote(shop)
    assert not FlagConfiguration.objects.filter(environment=shop.production).exists()


def test_all_else_travels_and_what_does_not_is_said(shop: Cast) -> None:
    shop.approve(shop.propose(OFF, key="checkout"))
    shop.approve(shop.propose({**OFF, "regions": {"us": False}}))
    workflow.kill(shop.actor("on_call"), Subject.parse(shop.subject()), shop.project)
    shop.settings("production", bucketing="murmur3-cbor")
    shop.production.refresh_from_db()
    found = promoted(shop)
    assert found.blockers == ()
    assert found.travels == (
        "Switched on.",
        "2 named keys.",
        "1 rule.",
        "The default: 25 % *on*, 75 % *off*.",
        "What it needs: checkout.",
        "Used in Production for the first time: beta. Segments are the same in every environment; from then "
        "on a change of one is reviewed as there.",
    )
    assert [sentence.split(",")[0].split(";")[0] for sentence in found.stays] == [
        "lab: no region of Production",
        "us: the switch of this region stays as it is in Production.",
        "It is killed in Production and stays so",
        "Its splits keep the hash murmur3",
        "checkout",
    ]
    shop.approve(promote(shop, base={shop.subject(): 2}))
    after = FlagConfiguration.objects.get(flag__key="banner", environment=shop.production).document
    before = FlagConfiguration.objects.get(flag__key="banner", environment=shop.development).document
    assert after == {**before, "regions": {"eu": False, "us": False}, "killed": True}
    assert promoted(shop).blockers == ("Production does this already.",)


def test_what_stands_there_now_is_not_overwritten_unseen(shop: Cast) -> None:
    shop.approve(shop.propose(OFF, key="checkout"))
    shop.approve(shop.propose(OFF))
    with pytest.raises(ConflictError):
        promote(shop, base={shop.subject(): 0})
    with pytest.raises(ForbiddenError):
        promote(shop, by="viewer")
