"""The review page as a place to talk: threads at lines, what changed since, who is still wanted, what is next."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access import teams
from access.erasure import erase
from approvals import workflow
from approvals.models import ChangeRequest, Look, Review
from approvals.workflow import InvalidError
from tests.cast import ON, Cast, split
from tests.ui.conftest import Browser
from tests.ui.pages import runs

POINTER = "/default/variant"


@pytest.fixture
def request_(cast: Cast, banner: None) -> ChangeRequest:
    return cast.propose(ON)


def url(request: ChangeRequest) -> str:
    return f"/admin/p/shop/requests/{request.pk}/"


def page(client: Client, request: ChangeRequest, query: str = "") -> str:
    return client.get(url(request) + query).content.decode()


def revise(cast: Cast, request: ChangeRequest, percent: int = 5) -> None:
    workflow.revise(
        cast.actor("author"),
        request,
        [{"subject": cast.subject(), "after": split(percent)}],
        title="less",
        rationale="careful",
    )
    request.refresh_from_db()


def say(
    cast: Cast, request: ChangeRequest, by: str = "reviewer", text: str = "Why on?", **about: object
) -> Review:
    return workflow.comment(cast.actor(by), request, text, **about)  # type: ignore[arg-type]


def test_a_comment_stands_at_its_line_and_in_the_timeline(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    client = browser("reviewer")
    form = {"verb": "comment", "comment": "Why <on>?", "subject": cast.subject(), "pointer": POINTER}
    client.post(url(request_), form)
    made = Review.objects.get()
    assert (made.subject, made.pointer, made.change_id) == (cast.subject(), POINTER, request_.change_id)
    html = page(client, request_)
    assert html.count("Why &lt;on&gt;?") == 2
    line = html.index("<code>    &quot;variant&quot;: &quot;on&quot;</code>")
    assert line < html.index(f'id="thread-{made.pk}"')
    assert f'href="#thread-{made.pk}"' in html
    assert not runs(html)


def test_an_answer_is_in_the_thread_and_anybody_who_may_comment_resolves_it(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    opener = say(cast, request_, subject=cast.subject(), pointer=POINTER)
    author = browser("author")
    assert "1 thread unresolved" in page(author, request_)
    author.post(url(request_), {"verb": "comment", "comment": "As planned.", "parent": opener.pk})
    answer = Review.objects.get(comment="As planned.")
    assert (answer.parent, answer.pointer) == (opener, POINTER)
    # An answer to an answer is in the same thread.
    assert say(cast, request_, text="Good.", parent=answer.pk).parent == opener
    author.post(url(request_), {"verb": "resolve", "thread": answer.pk})
    opener.refresh_from_db()
    assert opener.resolved_by == cast.users["author"].pseudonym
    html = page(author, request_)
    assert "Resolved by Author" in html
    assert "thread unresolved" not in html
    author.post(url(request_), {"verb": "reopen", "thread": opener.pk})
    assert "1 thread unresolved" in page(author, request_)


@pytest.mark.parametrize(
    ("about", "member"),
    [
        ({"subject": "project/shop/flag/other"}, "subject"),
        ({"subject": "{subject}", "pointer": "/nothing"}, "pointer"),
        ({"subject": "{subject}", "pointer": "default"}, "pointer"),
        ({"subject": "{subject}", "pointer": "/default/variant/0"}, "pointer"),
        ({"pointer": "/default"}, "pointer"),
    ],
)
def test_a_comment_on_what_the_request_does_not_have_is_refused(
    cast: Cast, request_: ChangeRequest, about: dict[str, str], member: str
) -> None:
    about = {name: value.format(subject=cast.subject()) for name, value in about.items()}
    with pytest.raises(InvalidError) as refused:
        say(cast, request_, **about)
    assert refused.value.member == member


def test_an_answer_to_another_requests_comment_is_refused(cast: Cast, request_: ChangeRequest) -> None:
    elsewhere = say(cast, cast.propose(split(7)))
    with pytest.raises(InvalidError, match="parent: is no comment on"):
        say(cast, request_, parent=elsewhere.pk)
    with pytest.raises(InvalidError, match="comment: is no comment on"):
        workflow.resolve(cast.actor("author"), request_, elsewhere.pk)


def test_without_scripts_a_line_is_a_link_to_the_form_that_says_what_it_is_on(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    html = page(browser("reviewer"), request_, f"?subject={cast.subject()}&pointer={POINTER}")
    assert f"On the line {POINTER}" in html
    assert f'name="pointer" value="{POINTER}"' in html


def test_whoever_may_not_comment_gets_no_links_to_comment(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    assert "data-line" in page(browser("reviewer"), request_)
    html = page(browser("auditor"), request_)
    assert "data-subject" not in html
    assert 'name="comment"' not in html


def test_a_new_revision_shows_what_changed_since_ones_last_look(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    reviewer, other = browser("reviewer"), browser("second_reviewer")
    first = request_.change_id
    page(reviewer, request_)
    revise(cast, request_)
    html = page(reviewer, request_)
    assert f"Changed since {first}" in html
    # Seen now; the address of the difference stays.
    assert "Changed since" not in page(reviewer, request_)
    assert f"Changed since {first}" in page(reviewer, request_, "?since=1")
    # Who never looked has nothing to compare.
    assert "Changed since" not in page(other, request_)
    assert "Changed since" not in page(other, request_, "?since=9")


def test_what_others_said_since_is_marked_as_new_once(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    author, mark = browser("author"), '<span class="cs-mark cs-mark-info">new</span>'
    assert mark not in page(author, request_)
    say(cast, request_)
    say(cast, request_, by="author", text="mine")
    assert page(author, request_).count(mark) == 1
    assert mark not in page(author, request_)


def test_a_look_is_private_and_goes_with_the_person(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    page(browser("reviewer"), request_)
    assert Look.objects.get().person == cast.users["reviewer"]
    erase(cast.actor("root", "cli"), cast.users["reviewer"])
    assert not Look.objects.exists()


def test_it_says_who_is_still_wanted_and_which_policy_asks(cast: Cast, browser: Browser) -> None:
    root = cast.actor("root")
    teams.save_team(root, "payments", name="Payments", members=[cast.users["second_reviewer"].pseudonym])
    cast.policy(approvals=2, **{"from": [{"team": "payments", "count": 1}]})
    cast.flag()
    request = cast.propose(ON)
    html = " ".join(page(browser("viewer"), request).split())
    assert "1 more from the team payments</strong>, one of: Second Reviewer" in html
    assert "1 more from any reviewer</strong>, one of: " in html
    assert "<strong>Production</strong>: 2 approvals by other people (1 from the team payments)" in html
    cast.approve(request)
    html = " ".join(page(browser("viewer"), request).split())
    assert "1 more from the team payments</strong>, one of: Second Reviewer" in html
    assert "more from any reviewer" not in html


def test_it_leads_through_what_waits_for_me(cast: Cast, browser: Browser, request_: ChangeRequest) -> None:
    second, third = cast.propose(split(5)), cast.propose(split(6))
    html = page(browser("reviewer"), second)
    assert "2 of 3 that wait for you" in html
    assert f'rel="prev"\n             href="{url(request_)}"' in html or url(request_) in html
    assert url(third) in html
    # After the last comes the first.
    assert url(request_) in page(browser("reviewer"), third)
    assert "that wait for you" not in page(browser("author"), second)


State = Callable[..., object]


def test_the_state_is_the_same_until_somebody_does_something(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    client, address = browser("author"), f"{url(request_)}state/"
    first = client.get(address)
    state = first.json()["state"]
    assert f'data-live-state="{state}"' in page(client, request_)
    again = client.get(address, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    seen = {state}
    opener = say(cast, request_)
    for happens in (
        lambda: None,
        lambda: workflow.resolve(cast.actor("author"), request_, opener.pk),
        lambda: revise(cast, request_),
        lambda: cast.approve(request_),
    ):
        happens()
        answer = client.get(address, headers={"If-None-Match": f'"{state}"'})
        assert answer.status_code == 200
        state = answer.json()["state"]
        assert state not in seen
        seen.add(state)
    assert "Reviewer approved" in answer.json()["said"] or "applied it" in answer.json()["said"]


def test_the_state_of_what_one_may_not_see_does_not_exist(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    assert browser("outsider").get(f"{url(request_)}state/").status_code == 404


def test_talk_costs_no_query_each(cast: Cast, browser: Browser, request_: ChangeRequest) -> None:
    client = browser("reviewer")

    def cost(query: str = "") -> int:
        with CaptureQueriesContext(connection) as captured:
            page(client, request_, query)
        return len(captured)

    opener = say(cast, request_, subject=cast.subject(), pointer=POINTER)
    say(cast, request_, by="author", parent=opener.pk)
    cost()
    before = cost()
    for _ in range(10):
        opener = say(cast, request_, subject=cast.subject(), pointer=POINTER)
        say(cast, request_, by="author", parent=opener.pk)
    assert cost() == before
