"""Change sets: flags, environments, segments and definitions in one request, all of it or nothing."""

from __future__ import annotations

import pytest

from approvals import workflow
from approvals.models import ChangeRequest
from approvals.workflow import ConflictError, InvalidError
from audit.models import Event
from flags.models import Flag, FlagConfiguration, Segment
from tests.cast import BANNER, ON, Cast, split

FLAG, SEGMENT = "project/shop/flag/tour", "project/shop/segment/guests"
IN_PRODUCTION = "project/shop/environment/production/flag/tour"
IN_DEVELOPMENT = "project/shop/environment/development/flag/tour"
TO_GUESTS = {
    **ON,
    "rules": [
        {
            "id": "guests",
            "constraints": [{"attribute": "", "operator": "in_segment", "values": ["guests"]}],
            "serve": {"variant": "on"},
        }
    ],
}


def propose(cast: Cast, **afters: object) -> ChangeRequest:
    """Configurations first: what must be written first is not for the proposer to know."""
    subjects = {
        "production": IN_PRODUCTION,
        "development": IN_DEVELOPMENT,
        "flag": FLAG,
        "segment": SEGMENT,
    }
    return workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": subjects[name], "after": after} for name, after in afters.items()],
        title="A tour for guests",
        rationale="planned",
    )


def test_a_new_flag_comes_with_a_new_segment_and_what_it_does_in_two_environments(cast: Cast) -> None:
    request = propose(
        cast, production=TO_GUESTS, development=split(50), flag=BANNER, segment={"included": ["u1"]}
    )
    assert request.state == ChangeRequest.State.IN_REVIEW
    assert [each.key for each in request.environments.all()] == ["development", "production"]
    assert not Flag.objects.filter(key="tour").exists()
    assert cast.approve(request).state == ChangeRequest.State.APPLIED
    assert Segment.objects.get(key="guests").document == {"included": ["u1"]}
    standing = FlagConfiguration.objects.order_by("environment__key")
    assert [row.document for row in standing] == [split(50), TO_GUESTS]
    events = Event.objects.filter(change_id=request.change_id, subject__startswith="project/")
    assert [event.type for event in events.order_by("index")] == [
        "flags.v1.segment.created",
        "flags.v1.flag.created",
        "flags.v1.configuration.updated",
        "flags.v1.configuration.updated",
    ]


def test_where_one_of_them_is_wrong_nothing_is_asked_for(cast: Cast) -> None:
    with pytest.raises(InvalidError, match="guests"):
        propose(cast, production=TO_GUESTS, flag=BANNER)
    with pytest.raises(InvalidError, match="no environment moon"):
        workflow.propose(
            cast.actor("author"),
            cast.project,
            [
                {"subject": FLAG, "after": BANNER},
                {"subject": "project/shop/environment/moon/flag/tour", "after": ON},
            ],
            title="New",
        )
    with pytest.raises(InvalidError, match="no flag tour"):
        propose(cast, development=ON)
    assert not ChangeRequest.objects.exists()


def test_where_one_of_them_changed_since_nothing_is_applied(cast: Cast) -> None:
    request = propose(cast, production=ON, flag=BANNER, segment={"included": ["u1"]})
    propose(cast, segment={"included": ["u2"]})
    request = cast.approve(request)
    assert "The segment guests is at version 1" in request.problem
    with pytest.raises(ConflictError):
        workflow.apply(cast.actor("author"), request)
    assert not Flag.objects.filter(key="tour").exists()
    assert Segment.objects.get().document == {"included": ["u2"]}
