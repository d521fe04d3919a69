"""Search or go to: what is found, for whom, in which order, and at which cost; as a page and as a fragment."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access import grants
from access.limits import Limits
from tests.cast import ON, Cast
from tests.ui.conftest import Browser, ten_thousand_flags

FIND = "/admin/p/shop/find/"


def found(browser: Browser, name: str, text: str) -> dict[str, list[str]]:
    answer = browser(name).get(f"{FIND}?q={quote(text)}")
    assert answer.status_code == 200
    return {str(kind): [each.name for each in rows] for kind, rows in answer.context["groups"]}


def test_the_very_key_comes_first_then_what_begins_with_it_then_what_has_it(
    cast: Cast, browser: Browser
) -> None:
    for key in ("a-dark-room", "dark-mode", "dark", "darkness"):
        cast.flag(key)
    cast.flag("mode", name="Dark of night")
    assert found(browser, "viewer", "DARK")["Flags"] == [
        "dark",
        "dark-mode",
        "darkness",
        "a-dark-room",
        "mode",
    ]


def test_a_request_is_found_by_its_number_however_written_and_by_its_title(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    made = cast.propose(ON, title="Banner for everyone")
    for text in (f"CR-{made.number}", f"cr {made.number}", str(made.number), "for EVERYONE"):
        assert next(iter(found(browser, "viewer", text).values()))[0] == "Banner for everyone", text


def test_segments_environments_people_and_pages_are_found(cast: Cast, browser: Browser) -> None:
    assert found(browser, "viewer", "prod")["Environments"] == ["Production"]
    assert "Second Reviewer" in found(browser, "viewer", "second")["People"]
    assert "Calendar" in found(browser, "viewer", "calen")["Pages"]
    # The outsider has no role here, so that nobody here meets them.
    assert "People" not in found(browser, "viewer", "outsider")


def test_verbs_are_offered_to_whom_they_are_and_no_others(cast: Cast, browser: Browser) -> None:
    cast.flag()
    assert "New flag" in found(browser, "author", "new")["What to do"]
    assert "What to do" not in found(browser, "viewer", "new")
    assert found(browser, "on_call", "kill ban") == {"What to do": ["Kill banner everywhere"]}
    assert "Kill banner" not in str(found(browser, "author", "kill ban"))
    assert found(browser, "on_call", "ki")["What to do"] == ["Kill a flag …"]
    assert "Export evidence" in str(found(browser, "auditor", "evid"))
    assert "Export evidence" not in str(found(browser, "author", "evid"))


def test_a_kill_is_offered_for_each_environment_where_the_flag_is_on_and_the_role_reaches(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    for environment in ("development", "production"):
        request = cast.propose(ON, environment=environment)
        if request.is_open:
            cast.approve(request)
    assert found(browser, "on_call", "kill banner") == {
        "What to do": [
            "Kill banner in Production",
            "Kill banner in Development",
            "Kill banner everywhere",
        ]
    }
    shown = browser("on_call").get(f"{FIND}?q=kill+banner").content.decode()
    assert 'href="/admin/p/shop/flags/banner/in/production/kill/?next=/admin/p/shop/flags/banner/"' in shown
    assert "everyone" in shown, "what is served there now, in numbers"

    root, member = cast.actor("root"), cast.users["on_call"].pseudonym
    grants.grant(root, cast.project, member, "on-call", limits=Limits(frozenset({"development"})))
    assert found(browser, "on_call", "kill banner") == {"What to do": ["Kill banner in Development"]}


def test_what_is_called_so_comes_before_what_only_has_it_in_it(cast: Cast, browser: Browser) -> None:
    cast.flag()  # asked for by a request that is titled “New flag banner”
    cast.flag("recalled")
    assert next(iter(found(browser, "author", "new flag"))) == "What to do"
    assert next(iter(found(browser, "author", "cal"))) == "Pages"
    assert next(iter(found(browser, "author", "ban"))) == "Flags"


def test_nothing_of_another_project_is_found_and_who_is_in_none_finds_no_page(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    assert browser("outsider").get(FIND).status_code == 404
    shown = browser("outsider").get("/admin/p/other/find/?q=banner").content.decode()
    assert "/flags/banner/" not in shown
    assert "Nothing is called “banner” here" in shown


@pytest.mark.parametrize(
    "text", ["", "%", "'", "\x00", "x" * 5000, "cr-999999999999999999", "é\ud83d"[:1], " "]
)
def test_whatever_is_typed_is_answered(cast: Cast, browser: Browser, text: str) -> None:
    assert browser("author").get(FIND, {"q": text}).status_code == 200


def test_the_palette_gets_the_list_alone_and_the_page_works_without_scripts(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    answer = browser("author").get(f"{FIND}?q=ban", headers={"X-Requested-With": "countersign"})
    fragment = answer.content.decode()
    assert "<html" not in fragment
    assert "<form" not in fragment
    assert 'href="/admin/p/shop/flags/banner/"' in fragment
    page = browser("author").get(f"{FIND}?q=ban").content.decode()
    assert 'name="q"' in page
    assert "data-palette" in page
    assert f'data-find="{FIND}"' in page


def test_ten_thousand_flags_cost_as_many_queries_as_one_and_show_eight(cast: Cast, browser: Browser) -> None:
    cast.flag()
    client = browser("administrator")

    def count(text: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"{FIND}?q={text}").status_code == 200
        return len(queries)

    client.get(FIND)
    few = count("flag")
    ten_thousand_flags(cast)
    assert count("flag") == few
    assert few <= 30
    assert len(found(browser, "viewer", "flag-0")["Flags"]) == 8
    assert found(browser, "viewer", "flag-07777")["Flags"] == ["flag-07777"]
