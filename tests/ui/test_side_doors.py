"""No page of Django's own admin changes a tracked row, whatever is sent to it, by whomever."""

from __future__ import annotations

import json

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import NoReverseMatch, reverse

from access.models import User
from audit.history import Tracked
from audit.models import Event
from tests.cast import ON, Cast
from tests.ui.conftest import Browser

TRACKED = [model for model in apps.get_models() if issubclass(model, Tracked)]
LEDGER = [model for model in apps.get_models() if model._meta.app_label == "audit"]


def rows() -> str:
    return json.dumps({model._meta.label: list(model.objects.values()) for model in TRACKED}, default=str)


@pytest.mark.parametrize("model", [*TRACKED, *LEDGER], ids=lambda model: model._meta.label)
def test_no_tracked_model_has_a_stock_page(model: type) -> None:
    assert not admin.site.is_registered(model)
    meta = model._meta
    for page in ("changelist", "add", "change", "delete", "history", "simple_history"):
        with pytest.raises(NoReverseMatch):
            reverse(
                f"admin:{meta.app_label}_{meta.model_name}_{page}", args=[1] if page in ("change",) else []
            )


@pytest.mark.parametrize("model", TRACKED, ids=lambda model: model._meta.label)
def test_a_post_to_where_a_stock_page_would_be_changes_no_row(
    cast: Cast, browser: Browser, model: type
) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    before, events = rows(), Event.objects.count()
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    client = browser("root")
    first = model.objects.first()
    pk = first.pk if first else 1
    for page in ("", "add/", f"{pk}/change/", f"{pk}/delete/", f"{pk}/history/", f"{pk}/history/1/"):
        form = {"action": "delete_selected", "_selected_action": pk, "post": "yes", "document": "{}"}
        assert client.post(base + page, form).status_code == 404
    assert rows() == before
    assert Event.objects.count() == events


def test_accounts_are_for_superusers_and_nobody_is_deleted_there(cast: Cast, browser: Browser) -> None:
    page = "/admin/access/user/"
    assert browser("administrator").get(page).status_code == 403
    client = browser("root")
    assert client.get(page).status_code == 200
    user = cast.users["viewer"]
    assert client.post(f"{page}{user.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(page, {"action": "delete_selected", "_selected_action": user.pk, "post": "yes"})
    assert User.objects.filter(pk=user.pk).exists()


def test_a_pseudonym_is_not_changed_by_the_account_form(cast: Cast, browser: Browser) -> None:
    user = cast.users["viewer"]
    form = {
        "username": "viewer",
        "first_name": "Renamed",
        "last_name": "",
        "email": "viewer@example.com",
        "is_active": "on",
        "pseudonym": "user:stolen",
    }
    answer = browser("root").post(f"/admin/access/user/{user.pk}/change/", form)
    assert answer.status_code == 302
    changed = User.objects.get(pk=user.pk)
    assert (changed.first_name, changed.pseudonym) == ("Renamed", user.pseudonym)


def test_a_new_account_gets_a_password_and_a_pseudonym(cast: Cast, browser: Browser) -> None:
    form = {
        "username": "newcomer",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
        "usable_password": "true",
    }
    browser("root").post("/admin/access/user/add/", form)
    made = User.objects.get(username="newcomer")
    assert made.check_password("correct horse battery")
    assert made.pseudonym.startswith("user:")
