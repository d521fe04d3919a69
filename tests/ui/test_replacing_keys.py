"""Replacing an SDK key on its page: the new one is shown once, the list says until when the old one works."""

from __future__ import annotations

from datetime import date

from distribution import keys
from distribution.models import SdkKey
from tests.cast import Cast
from tests.ui.conftest import Browser


def test_a_key_is_replaced_after_naming_the_days(cast: Cast, browser: Browser) -> None:
    old, _ = keys.issue(cast.actor("administrator"), cast.production, "checkout-api", "server")
    page = f"/admin/p/shop/sdk-keys/{old.pk}/replace/"
    assert browser("author").get(page).status_code == 404
    assert browser("administrator").get(page).status_code == 200
    assert browser("administrator").post(page, {"days": "91"}).status_code == 422
    shown = browser("administrator").post(page, {"days": "7"})
    new = SdkKey.objects.exclude(pk=old.pk).get()
    assert shown.status_code == 200
    assert "cs_server_" in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]
    SdkKey.objects.filter(pk=old.pk).update(last_used_on=date(2026, 11, 24))
    listed = browser("administrator").get("/admin/p/shop/environments/").content.decode()
    assert "last used 2026-11-24" in listed
    assert "not used yet" in listed
    assert listed.count("replaced; works until") == 1
    assert new.hint in listed
    keys.revoke(cast.actor("administrator"), old)
    assert browser("administrator").post(page, {"days": "7"}).status_code == 422
