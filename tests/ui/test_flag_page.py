"""A flag's own pages: the overview in sentences, a tab per environment, and the others."""

from __future__ import annotations

import re
from typing import Any

import pytest

from access.roles import Role
from approvals import archive, workflow
from flags import catalogue
from flags.models import Flag
from flags.subjects import Subject
from tests.access.test_limits import limited
from tests.cast import OFF, ON, Cast, split
from tests.ui.conftest import Browser
from tests.ui.test_flag_list import queries

FLAG = "/admin/p/shop/flags/banner/"
HERE = f"{FLAG}in/production/overview/"
OTHER_TABS = [f"{FLAG}{name}/" for name in ("variants", "expectations", "history", "usage", "settings")]
BETA = {"attribute": "", "operator": "in_segment", "values": ["beta"]}


def html_of(browser: Browser, url: str = FLAG, name: str = "author") -> str:
    answer = browser(name).get(url)
    assert answer.status_code == 200
    return str(answer.content.decode())


def text_of(html: str) -> str:
    """What is read, without tags; blanks put together."""
    return " ".join(re.sub(r"<[^>]+>", "", html.partition('class="cs-heading"')[2]).split())


def links_of(html: str) -> set[str]:
    return set(re.findall(r'href="([^"?]+)', html))


def test_the_overview_says_each_environment_in_one_sentence_with_its_change(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    request = cast.propose(ON)
    cast.approve(request)
    html = html_of(browser)
    assert '<em class="cs-variant">on</em> for everyone' in html
    assert "not configured yet: callers get their own default" in html
    assert f"by Author, approved by Reviewer: {request.change_id} {request.title}" in text_of(html)
    assert "get_boolean_value(&quot;banner&quot;, False" in html


@pytest.mark.parametrize("url", [FLAG, HERE, *OTHER_TABS])
def test_every_tab_is_a_link_and_the_open_one_is_told(cast: Cast, browser: Browser, url: str) -> None:
    cast.flag()
    for name in ("author", "viewer"):
        html = html_of(browser, url, name)
        tabs = html.partition('class="cs-tabs"')[2].partition("</nav>")[0]
        assert re.findall(r'href="([^"]+)"\s+aria-current="page"', tabs) == [url]
        assert {FLAG, HERE, *OTHER_TABS} <= links_of(tabs)
        assert "Production : not configured" in text_of(f'class="cs-heading"{tabs}')


def test_a_viewer_is_offered_nothing_that_would_refuse(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    for url in (FLAG, HERE, *OTHER_TABS):
        html = html_of(browser, url, "viewer").partition('class="cs-heading"')[2]
        assert not re.findall(r'href="[^"]*/(?:kill|promote|rollout|edit|archive|hibernate)/', html), url
        assert 'role="switch"' not in html
    assert "banner in Production, on, needs review" in html_of(browser, FLAG, "viewer")


def test_a_limited_role_is_offered_what_lies_within_its_limits(cast: Cast, browser: Browser) -> None:
    cast.flag()
    for environment in ("development", "production"):
        request = cast.propose(ON, environment=environment)
        if request.is_open:
            cast.approve(request)
    limited(cast, "viewer", Role.ON_CALL, environments=["development"])
    links = links_of(html_of(browser, FLAG, "viewer"))
    assert {f"{FLAG}in/development/rules/", f"{FLAG}in/development/kill/"} <= links
    beyond = ("in/production/rules/", "in/production/kill/", "in/development/promote/", "kill/")
    assert not {f"{FLAG}{each}" for each in beyond} & links


def test_a_killed_flag_says_by_whom_and_what_everyone_gets(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    workflow.kill(cast.actor("on_call"), Subject.parse(cast.subject()), cast.project)
    for url in (FLAG, HERE):
        words = text_of(html_of(browser, url))
        assert "killed: everyone gets off" in words
        assert "Killed by On Call" in words
        assert "the review is owed" in words
    assert "Killed: nothing of this is asked." in text_of(html_of(browser, HERE))


def test_an_archived_flag_says_so_and_offers_no_switch(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.propose(OFF, environment="development")
    archive.archive(cast.actor("author"), Flag.objects.get(), rationale="done")
    html = html_of(browser)
    assert "archived: callers get their own default" in html
    assert 'role="switch"' not in html
    assert "Restore from the archive" in html_of(browser, f"{FLAG}settings/")
    assert "in no snapshot here" in html_of(browser, f"{FLAG}usage/")


def test_an_environment_tells_its_rules_in_the_order_that_decides(cast: Cast, browser: Browser) -> None:
    cast.flag()
    rule = {"id": "testers", "constraints": [BETA], "serve": {"variant": "on"}}
    whole = {**split(25), "rules": [rule], "targets": {"on": ["ann"]}, "regions": {"eu": False}}
    workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": "project/shop/segment/beta", "after": {"included": ["x"]}}],
        title="Beta",
        rationale="planned",
    )
    cast.approve(cast.propose(whole))
    waiting = cast.propose(ON)
    html = html_of(browser, HERE)
    words = text_of(html)
    steps = [
        "eu: off",
        "us: on",
        "1 by name",
        "Rule testers",
        "segment beta",
        "Everyone else",
        "25 % on, 75 % off",
    ]
    order = words.partition("in the order that decides")[2]
    assert [order.index(each) for each in steps] == sorted(order.index(each) for each in steps)
    assert "on for 1 by name, segment beta and 25 % of everyone else; off in eu" in words
    assert 'style="width: 25.0%"' in html
    assert f"{waiting.change_id} {waiting.title}" in words
    assert {f"{FLAG}in/production/rules/", f"{FLAG}history/", "/admin/p/shop/playground/"} <= links_of(html)
    assert browser("author").get(f"{FLAG}in/nowhere/overview/").status_code == 404


def test_history_is_of_the_flag_or_of_one_environment(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    cast.propose(OFF, environment="development")
    page = f"{FLAG}history/"

    def told(query: str = "") -> list[str]:
        return [item.event.subject for item in browser("viewer").get(page + query).context["history"]]

    here, there = cast.subject(), cast.subject(environment="development")
    assert told() == [there, here, "project/shop/flag/banner"]
    assert told("?environment=production") == [here]
    assert told("?environment=nowhere&page=x") == told()


def test_variants_say_where_somebody_gets_them(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(split(25)))
    cast.propose(OFF, environment="development")
    shown: Any = browser("viewer").get(f"{FLAG}variants/").context["variants"]
    assert {each.name: [cell.environment.key for cell in each.served_in] for each in shown} == {
        "on": ["production"],
        "off": ["development", "production"],
    }


def test_usage_says_plainly_what_is_known_and_what_to_do(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    words = text_of(html_of(browser, f"{FLAG}usage/"))
    assert "No program can read this environment: it has no SDK key." in words
    assert "Nobody counts that yet" in words
    assert "To begin, connect an SDK" in words


def test_eight_environments_and_forty_rules_cost_no_more_queries(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    few = {url: queries(browser, "author", url) for url in (FLAG, HERE, *OTHER_TABS)}
    for number in range(6):
        members = {"name": f"A place with a long name, number {number}"}
        catalogue.create_environment(cast.actor("administrator"), cast.project, f"place-{number}", members)
        cast.propose(ON, environment=f"place-{number}")
    country = {"attribute": "country", "operator": "in", "values": ["DE"]}
    rules = [{"id": f"r{n}", "constraints": [country], "serve": {"variant": "on"}} for n in range(40)]
    cast.approve(cast.propose({**ON, "rules": rules}))
    assert {url: queries(browser, "author", url) for url in few} == few
    assert "then 37 more rules" in text_of(html_of(browser))
    assert text_of(html_of(browser, HERE)).count("Rule r") == 40
