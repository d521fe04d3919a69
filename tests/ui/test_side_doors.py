"""No page of Django's own admin changes a tracked row, whatever is sent to it, by whomever."""

from __future__ import annotations

import json

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import NoReverseMatch, reverse

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
