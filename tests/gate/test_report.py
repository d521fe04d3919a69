"""The report of changes: readable by people, and by spreadsheets without running anything."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals import report, workflow
from flags.models import Project
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split


def rows(*projects: Project, chunk: int = 500) -> list[dict[str, str]]:
    text = "".join(report.csv_lines(report.changes_of(projects), chunk))
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    return cast


def test_a_change_is_one_row_with_who_what_why_and_who_approved(shop: Cast) -> None:
    shop.approve(shop.propose(split(5)))
    request = shop.approve(shop.propose(split(25), rationale="Went well", ticket="SHOP-7"))
    row = rows(shop.project)[-1]
    assert tuple(row) == report.COLUMNS
    assert (row["project"], row["environment"], row["what"], row["key"]) == (
        "shop",
        "production",
        "configuration",
        "banner",
    )
    assert (row["who"], row["by way of"]) == ("Reviewer", "ui")
    assert (row["why"], row["ticket"], row["change request"]) == ("Went well", "SHOP-7", request.change_id)
    assert (row["proposed by"], row["approved by"]) == ("Author", "Reviewer")
    assert row["effect"] == "production: 5 % → 25 % of everyone get on"
    assert '["on", 5]' in row["before"]
    assert '["on", 25]' in row["after"]


def test_kills_definitions_and_segments_are_in_it_and_nothing_else(shop: Cast) -> None:
    shop.approve(shop.propose())
    workflow.kill(
        shop.actor("on_call"), Subject("configuration", "shop", "banner", "production"), shop.project
    )
    segment = {"subject": "project/shop/segment/beta", "after": {"included": ["u1"]}}
    workflow.change(shop.actor("author"), shop.project, [segment], title="Beta")
    found = [(row["what"], row["event"].rpartition(".")[2], row["approved by"]) for row in rows(shop.project)]
    assert found == [
        ("definition", "created", ""),
        ("configuration", "updated", "Reviewer"),
        ("configuration", "killed", ""),
        ("segment", "created", ""),
    ]
    assert rows(shop.project)[2]["who"] == "On Call"


def test_only_the_projects_asked_for_are_in_it(shop: Cast) -> None:
    other = Project.objects.get(key="other")
    assert rows(other) == []
    assert rows() == []
    assert {row["project"] for row in rows(shop.project, other)} == {"shop"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula(shop: Cast, start: str) -> None:
    evil = f"{start}cmd|' /C calc'!A0"
    shop.users["author"].first_name = evil
    shop.users["author"].save()
    shop.approve(shop.propose(rationale=f"x{evil}", ticket="x"))
    for row in rows(shop.project):
        for cell in row.values():
            assert not cell.startswith(start)
    assert report._inert(evil) == f"'{evil}"


def test_an_approval_of_an_earlier_revision_is_not_shown_as_one_of_the_later(shop: Cast) -> None:
    request = shop.approve(shop.propose(scheduled_at=None))
    operations = [{"subject": shop.subject(), "after": OFF}]
    edited = workflow.revise(shop.actor("author"), request, operations, title="t", rationale="Edited")
    edited = shop.approve(edited, "second_reviewer")
    workflow.apply(shop.actor("author"), edited)
    row = rows(shop.project)[-1]
    assert (row["change request"], row["approved by"], row["why"]) == (
        edited.change_id,
        "Second Reviewer",
        "Edited",
    )


def large(count: int) -> dict[str, Any]:
    return {**ON, "targets": {"on": [f"user-{number:06d}" for number in range(count)]}}


def test_queries_do_not_grow_with_the_rows_of_a_chunk(shop: Cast) -> None:
    def counted() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            rows(shop.project)
        return len(queries)

    shop.approve(shop.propose(large(900)))
    few = counted()
    for number in range(1, 7):
        shop.approve(shop.propose(large(900 + number)))
    assert counted() == few
    assert "user-000905" in rows(shop.project)[-1]["after"], "large documents are shown whole"


def test_a_chunk_holds_what_the_whole_does(shop: Cast) -> None:
    for on in (1, 2, 3):
        shop.approve(shop.propose(split(on)))
    assert rows(shop.project, chunk=1) == rows(shop.project, chunk=2) == rows(shop.project)
