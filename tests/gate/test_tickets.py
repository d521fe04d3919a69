"""Tickets: what a project takes for one, and where it is found."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from access.permissions import ForbiddenError
from approvals.workflow import InvalidError
from flags import catalogue
from flags.models import Project
from tests.cast import Cast

MEMBERS = {"ticket_pattern": "SHOP-[0-9]+", "ticket_url": "https://tickets.example.com/{ticket}"}


def test_a_ticket_matches_the_projects_pattern_and_is_linked(cast: Cast) -> None:
    cast.flag()
    project = catalogue.save_project(cast.actor("administrator"), cast.project, MEMBERS)
    cast.project = project
    with pytest.raises(InvalidError, match="is no ticket of Shop: its pattern is SHOP-"):
        cast.propose(ticket="later")
    assert cast.propose(ticket="SHOP-12").ticket == "SHOP-12"
    assert project.ticket_link("SHOP-12") == "https://tickets.example.com/SHOP-12"
    assert project.ticket_link("javascript:x") == ""


def test_only_administrators_say_so(cast: Cast) -> None:
    with pytest.raises(ForbiddenError):
        catalogue.save_project(cast.actor("author"), cast.project, MEMBERS)
    assert not Project.objects.get(key="shop").ticket_pattern


@pytest.mark.parametrize(
    "members", [{"ticket_pattern": "("}, {"ticket_url": "javascript:{ticket}"}, {"ticket_url": "https://x"}]
)
def test_settings_that_cannot_be_are_refused_by_member(cast: Cast, members: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        catalogue.save_project(cast.actor("administrator"), cast.project, members)
    assert set(caught.value.message_dict) == set(members)
