"""Saved views: filters of a page under a name, for oneself alone."""

from __future__ import annotations

from access import erasure
from access.models import SavedView
from access.permissions import system_actor
from tests.cast import Cast
from tests.ui.conftest import Browser
from tests.ui.pages import LIST

VIEWS = "/admin/p/shop/views/flags/"


def save(browser: Browser, name: str, query: str, person: str = "viewer") -> None:
    answer = browser(person).post(VIEWS, {"name": name, "query": query})
    assert answer.status_code == 302


def test_filters_are_saved_under_a_name_and_shown_there(cast: Cast, browser: Browser) -> None:
    cast.flag()
    save(browser, "  My   releases ", "?kind=release&page=3&q=&q=pay")
    view = SavedView.objects.get()
    assert (view.name, view.query) == ("My releases", "kind=release&q=pay")
    html = browser("viewer").get(LIST).content.decode()
    assert 'href="?kind=release&amp;q=pay"' in html
    html = browser("viewer").get(f"{LIST}?q=pay&kind=release&page=2").content.decode()
    assert 'aria-current="true"><span class="material-symbols-outlined" aria-hidden="true">bookmark' in html


def test_nobody_else_sees_or_deletes_them(cast: Cast, browser: Browser) -> None:
    save(browser, "Mine", "kind=release")
    view = SavedView.objects.get()
    assert "Mine</a>" not in browser("author").get(LIST).content.decode()
    browser("author").post(VIEWS, {"delete": view.pk})
    assert SavedView.objects.filter(pk=view.pk).exists()
    browser("viewer").post(VIEWS, {"delete": view.pk})
    assert not SavedView.objects.exists()


def test_the_same_name_again_replaces(cast: Cast, browser: Browser) -> None:
    save(browser, "Mine", "kind=release")
    save(browser, "Mine", "kind=experiment")
    assert [view.query for view in SavedView.objects.all()] == ["kind=experiment"]


def test_what_is_no_view_is_refused_in_words(cast: Cast, browser: Browser) -> None:
    client = browser("viewer")
    for form, told in (
        ({"name": "", "query": "kind=release"}, "Give the view a name"),
        ({"name": "All", "query": "page=2"}, "Filter something first"),
        ({"name": "Long", "query": "q=" + "x" * 3_000}, "too long"),
    ):
        assert told in client.post(VIEWS, form, follow=True).content.decode()
    assert not SavedView.objects.exists()
    assert client.post("/admin/p/shop/views/nothing/", {"name": "x", "query": "q=x"}).status_code == 404


def test_twenty_are_enough(cast: Cast, browser: Browser) -> None:
    for number in range(20):
        SavedView.objects.create(
            person=cast.users["viewer"], project=cast.project, page="flags", name=str(number), query="q=x"
        )
    answer = browser("viewer").post(VIEWS, {"name": "More", "query": "q=y"}, follow=True)
    assert "delete one first" in answer.content.decode()
    assert SavedView.objects.count() == 20


def test_they_go_when_the_person_is_erased(cast: Cast, browser: Browser) -> None:
    save(browser, "Mine", "kind=release")
    erasure.erase(system_actor("erase", "cli"), cast.users["viewer"])
    assert not SavedView.objects.exists()
