"""What a reviewer is told: warnings, everything in the way in one list, and conflicts three ways."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from approvals import workflow
from approvals.advice import moved, only_first_grows, step_words
from approvals.models import ChangeRequest
from approvals.workflow import Finding, InvalidError, StateError
from flags.models import FlagConfiguration
from tests.cast import OFF, ON, Cast, split

State = ChangeRequest.State


def rule(id: str, *constraints: Any, serve: Any = None) -> dict[str, Any]:
    return {"id": id, "constraints": list(constraints), "serve": serve or {"variant": "on"}}


def country(*values: str) -> dict[str, Any]:
    return {"attribute": "country", "operator": "in", "values": list(values)}


PLAN = {"attribute": "plan", "operator": "in", "values": ["pro"]}
NAMED = {"attribute": "", "operator": "in_segment", "values": ["beta"]}


def foreseen(cast: Cast, after: Any, key: str = "banner") -> list[Finding]:
    wanted = [{"subject": cast.subject(key), "after": after}]
    return workflow.foresee(cast.actor("author"), cast.project, wanted)


def texts(found: list[Finding]) -> list[tuple[str, str, str]]:
    assert all(each.severity == "warn" for each in found)
    return [(each.check, each.member, each.text) for each in found]


def test_rules_that_never_decide_are_told(cast: Cast) -> None:
    cast.flag()
    rules = [
        rule("de", country("DE"), PLAN),
        rule("part", country("AT"), serve={"split": {**split(50)["default"]["split"]}}),
        rule("twice", PLAN, country("DE")),
        rule("austria", country("AT")),
        rule("all"),
        rule("late", country("FR")),
    ]
    assert texts(foreseen(cast, {**ON, "rules": rules})) == [
        (
            "unreachable-rule",
            "/rules/2",
            "Rule twice never decides in Production: rule de before it has the same constraints.",
        ),
        (
            "unreachable-rule",
            "/rules/5",
            "Rule late never decides in Production: rule all before it holds for everyone.",
        ),
    ]


def test_segments_that_contain_nobody_are_told_and_unknown_ones_refused(cast: Cast) -> None:
    cast.flag()
    after = {**ON, "rules": [rule("r1", NAMED)]}
    with pytest.raises(InvalidError, match="beta") as caught:
        cast.propose(after)
    assert "segment" in str(caught.value)
    segment = {"subject": "project/shop/segment/beta", "after": {"excluded": ["customer-1"]}}
    workflow.change(cast.actor("author"), cast.project, [segment], title="Beta", rationale="planned")
    [(check, _, text)] = texts(foreseen(cast, after))
    assert (check, text) == ("segment", "Segment beta is empty: it matches nobody (rule r1 in Production).")
    emptied = workflow.foresee(cast.actor("author"), cast.project, [{**segment, "after": {}}])
    assert [each.check for each in emptied] == ["segment"]


@pytest.mark.parametrize(
    ("before", "after", "share", "grows"),
    [
        ([["on", 10], ["off", 90]], [["on", 25], ["off", 75]], Fraction(15, 100), True),
        ([["on", 25], ["off", 75]], [["on", 10], ["off", 90]], Fraction(15, 100), False),
        ([["a", 1], ["b", 1], ["c", 1]], [["b", 1], ["a", 1], ["c", 1]], Fraction(2, 3), False),
        # The second grows at the third's cost, and is not the first.
        ([["a", 20], ["b", 40], ["c", 40]], [["a", 20], ["b", 60], ["c", 20]], Fraction(1, 5), False),
        ([["a", 20], ["b", 40], ["c", 40]], [["a", 40], ["b", 40], ["c", 20]], Fraction(2, 5), False),
        # The same shares of another total, and a slice of nothing.
        ([["on", 1], ["off", 3]], [["on", 25_000], ["x", 0], ["off", 75_000]], Fraction(), True),
    ],
)
def test_the_share_that_gets_another_variant_is_exact(
    before: Any, after: Any, share: Fraction, grows: bool
) -> None:
    assert moved(before, after) == share
    assert only_first_grows(before, after) is grows


def test_a_step_of_a_split_is_told_in_words() -> None:
    on = [["on", 5], ["off", 95]]
    assert step_words(on, [["on", 25], ["off", 75]]) == "20 % newly get *on*; nobody else changes"
    assert step_words(on, [["on", 2], ["off", 98]]) == "3 % get another variant than before"
    assert step_words(on, on) == "nobody's variant changes"


def test_a_new_seed_deals_everyone_anew() -> None:
    weights = [("on", 25), ("off", 75)]
    assert moved(weights, weights, dealt_anew=True) == 1 - Fraction(1, 16) - Fraction(9, 16)


def test_splits_that_deal_users_anew_are_told_and_growing_the_first_is_not(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose(split(25)))
    assert foreseen(cast, split(50)) == []
    [shrunk] = texts(foreseen(cast, split(5)))
    assert shrunk == (
        "re-deal",
        "/default/split",
        "20 % of those whom the default decides in Production get another variant: its shares move.",
    )
    [dealt] = texts(foreseen(cast, split(25, seed="other")))
    assert "37.5 % of those" in dealt[2]
    assert "its seed changes" in dealt[2]


def test_a_prerequisite_that_is_off_here_is_told(cast: Cast) -> None:
    cast.flag()
    cast.flag("checkout")
    cast.approve(cast.propose(OFF, key="checkout"))
    needing = {**ON, "prerequisites": [{"flag": "checkout", "variants": ["on"]}]}
    [(check, member, text)] = texts(foreseen(cast, needing))
    assert (check, member) == ("prerequisite", "/prerequisites/0")
    assert text.startswith("checkout, which it needs, is off in Production")
    assert foreseen(cast, {**ON, "prerequisites": [{"flag": "checkout", "variants": ["off"]}]}) == []


def test_all_that_is_in_the_way_is_one_list(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose(OFF))
    request = cast.propose(split(25))
    assert [(each.check, each.severity) for each in workflow.check_request(request)] == [("policy", "block")]
    assert "0 of 1 approvals" in workflow.check_request(request)[0].text
    cast.approve(cast.propose(split(50)))
    found = {each.check: each for each in workflow.check_request(request)}
    assert found["conflict"].blocks
    assert "banner in Production is at version 2; this was made for version 1" in found["conflict"].text


def test_what_is_previewed_says_what_the_checks_say(cast: Cast) -> None:
    cast.flag()
    operations = [{"subject": cast.subject(), "after": {**ON, "rules": [rule("all"), rule("late")]}}]
    _, _, found = workflow.preview(cast.actor("author"), cast.project, operations, title="x", rationale="x")
    assert [each.check for each in found] == ["policy", "unreachable-rule"]
    assert not FlagConfiguration.objects.exists()


def conflicting(cast: Cast, theirs: Any, mine: Any) -> ChangeRequest:
    """A request of the author's for `mine`, under which somebody applied `theirs`."""
    cast.flag()
    cast.approve(cast.propose(ON))
    request = cast.propose(mine)
    other = cast.propose(theirs)
    assert cast.approve(other).state == State.APPLIED
    return request


def test_where_nothing_collides_a_rebase_keeps_both_and_is_reviewed_anew(cast: Cast) -> None:
    request = conflicting(cast, {**ON, "regions": {"us": False}}, {**ON, "off": "on"})
    request = cast.approve(request)
    assert "Nothing was overwritten" in request.problem
    [found] = workflow.divergences(request)
    assert [each.pointer for each in found.members] == ["/off", "/regions"]
    rebased = workflow.rebase(cast.actor("author"), request)
    assert (rebased.change_id, rebased.state) == (f"CR-{request.number}.2", State.IN_REVIEW)
    assert cast.approve(workflow.schedule(cast.actor("author"), rebased, None)).state == State.APPROVED
    workflow.apply(cast.actor("author"), rebased)
    assert FlagConfiguration.objects.get().document == {**ON, "off": "on", "regions": {"us": False}}


def test_where_members_collide_it_says_which_and_both_values(cast: Cast) -> None:
    request = conflicting(cast, split(25), split(50))
    with pytest.raises(StateError) as caught:
        workflow.rebase(cast.actor("author"), request)
    assert "the default of banner in Production is" in str(caught.value)
    assert '["on", 25]' in str(caught.value)
    assert '["on", 50]' in str(caught.value)
    request.refresh_from_db()
    assert request.revision == 1


def test_only_what_changed_is_rebased_and_only_by_its_proposer(cast: Cast) -> None:
    request = conflicting(cast, {**ON, "off": "on"}, {**ON, "off": "on"})
    with pytest.raises(StateError, match="somebody else's"):
        workflow.rebase(cast.actor("administrator"), request)
    with pytest.raises(StateError, match="stands there already; withdraw it"):
        workflow.rebase(cast.actor("author"), request)
    with pytest.raises(StateError, match="there is nothing to rebase"):
        workflow.rebase(cast.actor("author"), cast.propose(split(25)))
