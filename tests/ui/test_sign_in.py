"""Who gets in, and what exists for whom."""

from __future__ import annotations

import pytest
from django.test import Client

from flags.admin import urls as flag_urls
from tests.cast import Cast
from tests.ui.conftest import Browser
from tests.ui.pages import LIST

PAGES = [
    "/admin/",
    "/admin/home/",
    "/admin/audit/",
    "/admin/sessions/",
    "/admin/security/",
    "/admin/security/app/",
    "/admin/security/key/",
    "/admin/security/recovery-codes/",
    "/admin/security/confirm/",
    "/admin/second-factors/",
    "/admin/sign-in/",
    "/admin/sign-in/new/",
    "/admin/sign-in/acme/",
    "/admin/projects/new/",
    LIST,
    "/admin/p/shop/new-flag/",
    "/admin/p/shop/flags/banner/",
    "/admin/p/shop/flags/banner/edit/",
    "/admin/p/shop/flags/banner/in/production/",
    "/admin/p/shop/flags/banner/in/production/kill/",
    "/admin/p/shop/flags/banner/in/production/rollout/",
    "/admin/p/shop/requests/",
    "/admin/p/shop/requests/1/",
    "/admin/p/shop/requests/1/edit/",
    "/admin/p/shop/plans/",
    "/admin/p/shop/segments/",
    "/admin/p/shop/new-segment/",
    "/admin/p/shop/environments/",
    "/admin/p/shop/policies/new/",
    "/admin/p/shop/environments/production/edit/",
    "/admin/p/shop/environments/production/new-key/",
    "/admin/p/shop/people/",
    "/admin/p/shop/audit/",
]


@pytest.mark.parametrize("page", PAGES)
def test_nobody_sees_a_page_without_signing_in(cast: Cast, page: str) -> None:
    answer = Client(headers={"Host": "localhost"}).get(page)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_a_member_who_is_not_staff_signs_in_with_a_password_and_lands_at_home(cast: Cast) -> None:
    assert not cast.users["viewer"].is_staff
    client = Client(headers={"Host": "localhost"})
    form = {"username": "viewer", "password": "correct horse battery"}
    answer = client.post("/admin/login/", form, follow=True)
    assert answer.request["PATH_INFO"] == "/admin/p/shop/home/"
    assert "Make a flag" in answer.content.decode()


def test_an_inactive_account_cannot_sign_in(cast: Cast) -> None:
    user = cast.users["viewer"]
    user.is_active = False
    user.save()
    client = Client(headers={"Host": "localhost"})
    answer = client.post("/admin/login/", {"username": "viewer", "password": "correct horse battery"})
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("page", [page for page in PAGES if "/p/shop/" in page])
def test_a_project_does_not_exist_for_an_outsider(cast: Cast, browser: Browser, page: str) -> None:
    cast.flag()
    assert browser("outsider").get(page).status_code == 404
    assert browser("outsider").post(page, {}).status_code == 404


def test_somebody_without_a_project_is_told_whom_to_ask(cast: Cast) -> None:
    from access.models import User

    newcomer = User.objects.create_user("newcomer", password="correct horse battery")
    client = Client(headers={"Host": "localhost"})
    client.force_login(newcomer)
    html = client.get("/admin/home/").content.decode()
    assert "You are in no project yet" in html
    assert "<code>newcomer</code>" in html
    assert "Root" in html, "who administers the organisation can help"
    assert client.get("/admin/projects/new/").status_code == 404


def test_a_superuser_makes_the_first_project(cast: Cast, browser: Browser) -> None:
    answer = browser("root").post("/admin/projects/new/", {"name": "Bank", "key": "bank"})
    assert answer["Location"] == "/admin/p/bank/environments/"


def test_the_project_one_was_in_last_is_remembered(cast: Cast, browser: Browser) -> None:
    from access import grants

    root = cast.actor("root")
    from flags.models import Project

    other = Project.objects.get(key="other")
    grants.grant(cast.actor("outsider"), other, root.id, "viewer")
    client = browser("root")
    client.get("/admin/p/shop/flags/")
    assert client.get("/admin/home/")["Location"] == "/admin/p/shop/home/"
    client.get("/admin/p/other/flags/")
    assert client.get("/admin/home/")["Location"] == "/admin/p/other/home/"


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("viewer", "/admin/p/shop/audit/"),
        ("viewer", "/admin/p/shop/new-flag/"),
        ("author", "/admin/p/shop/policies/new/"),
        ("author", "/admin/p/shop/environments/production/new-key/"),
        ("author", "/admin/p/shop/new-environment/"),
        ("author", "/admin/p/shop/flags/banner/in/production/kill/"),
    ],
)
def test_a_page_whose_verb_one_does_not_hold_does_not_exist(
    cast: Cast, browser: Browser, name: str, page: str
) -> None:
    cast.flag()
    assert browser(name).get(page).status_code == 404
    assert browser(name).post(page, {}).status_code == 404


def test_every_page_has_a_name_of_its_own() -> None:
    names = [pattern.name for pattern in flag_urls.urlpatterns]
    assert len(names) == len(set(names))
