"""Who gets what, and why: the page."""

from __future__ import annotations

from tests.cast import ON, Cast, split
from tests.ui.conftest import Browser
from tests.ui.pages import runs

PAGE = "/admin/p/shop/flags/banner/explain/"


def test_the_answer_names_the_variant_the_change_and_who_approved_it(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(split(100), ticket="SHOP-7"))
    page = browser("viewer").post(
        PAGE, {"environment": "production", "targeting_key": "ben", "attributes": '{"country": "DE"}'}
    )
    html = page.content.decode()
    assert page.status_code == 200
    assert '<em class="cs-variant">on</em>' in html
    for text in ("SHOP-7", "Change banner in production", "Reviewer", "Author", "SPLIT", "decided"):
        assert text in html, text
    assert runs(html) == []


def test_an_environment_is_chosen_before_anything_is_asked(cast: Cast, browser: Browser) -> None:
    cast.flag()
    html = browser("viewer").get(PAGE).content.decode()
    assert "No question yet" in html
    assert '<option value="production" selected>' in html
    chosen = browser("viewer").get(PAGE + "?environment=development").content.decode()
    assert '<option value="development" selected>' in chosen


def test_attributes_that_are_no_object_are_told_beside_the_field(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.propose(ON, environment="development")
    for text in ("[]", "{", '{"a": 1, "a": 2}', '{"a": "\\ud800"}'):
        page = browser("viewer").post(PAGE, {"environment": "development", "attributes": text})
        assert page.status_code == 422, text
        assert "id_attributes_error" in page.content.decode()
    assert browser("viewer").post(PAGE, {"environment": "moon"}).status_code == 422


def test_it_does_not_exist_for_whoever_is_not_in_the_project(cast: Cast, browser: Browser) -> None:
    cast.flag()
    assert browser("outsider").get(PAGE).status_code == 404
    assert browser("outsider").post(PAGE, {"environment": "production"}).status_code == 404
    assert browser("viewer").get("/admin/p/shop/flags/nothing/explain/").status_code == 404


def test_the_flags_page_leads_there(cast: Cast, browser: Browser) -> None:
    cast.flag()
    assert PAGE in browser("viewer").get("/admin/p/shop/flags/banner/").content.decode()
