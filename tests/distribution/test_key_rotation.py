"""An SDK key is replaced: both work for a while, then the old one is revoked by itself; and when each was used."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from access.permissions import ForbiddenError
from audit.models import Event
from config.embedded import Reporter
from countersign.members import DocumentError
from distribution import keys
from distribution.models import Keyring, SdkKey
from distribution.tasks import revoke_replaced
from tests.cast import Cast


@pytest.fixture
def key(cast: Cast) -> SdkKey:
    return keys.issue(cast.actor("administrator"), cast.production, "web", "client", ["https://a.example"])[0]


def usable(cast: Cast) -> set[str]:
    raw = bytes(Keyring.objects.filter(environment=cast.production).latest("version").raw).decode()
    return {row.hash for row in SdkKey.objects.all() if row.hash in raw}


def test_both_keys_work_until_the_overlap_ends(cast: Cast, key: SdkKey) -> None:
    new, secret = keys.rotate(cast.actor("administrator"), key, timedelta(days=7))
    assert (new.name, new.side, new.origins) == (key.name, key.side, key.origins)
    assert new.hash == SdkKey.hash_of(secret)
    revoke_replaced()
    assert usable(cast) == {key.hash, new.hash}
    SdkKey.objects.filter(pk=key.pk).update(revoke_at=timezone.now())
    revoke_replaced()
    revoke_replaced()
    assert usable(cast) == {new.hash}
    key.refresh_from_db()
    assert key.revoked_at is not None
    kinds = [
        each.type.rpartition(".")[2]
        for each in Event.objects.filter(type__contains="sdk_key").order_by("index")
    ]
    assert kinds == ["issued", "issued", "replaced", "revoked"]
    assert not Event.objects.filter(line__contains=secret).exists()


def test_replacing_again_never_lets_the_old_key_live_longer(cast: Cast, key: SdkKey) -> None:
    administrator = cast.actor("administrator")
    keys.rotate(administrator, key, timedelta(hours=1))
    keys.rotate(administrator, key, timedelta(days=7))
    key.refresh_from_db()
    assert key.revoke_at is not None
    assert key.revoke_at <= timezone.now() + timedelta(hours=1)


def test_who_may_not_manage_keys_replaces_none(cast: Cast, key: SdkKey) -> None:
    for name in ("author", "reviewer", "outsider"):
        with pytest.raises(ForbiddenError):
            keys.rotate(cast.actor(name), key, timedelta())
    with pytest.raises(DocumentError, match="90 days"):
        keys.rotate(cast.actor("administrator"), key, timedelta(days=91))
    keys.revoke(cast.actor("administrator"), key)
    with pytest.raises(DocumentError, match="revoked"):
        keys.rotate(cast.actor("administrator"), key, timedelta())


def test_the_day_of_the_last_use_is_told_by_the_reporter(
    cast: Cast, key: SdkKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = keys.issue(cast.actor("administrator"), cast.production, "api", "server")
    used = [{str(key.pk), "no-number", "99999999"}, set()]
    monkeypatch.setattr("config.embedded.connection.close", lambda: None)  # it is the test's own
    reporter = Reporter(lambda: used.pop(0))
    reporter.report()
    reporter.report()
    key.refresh_from_db()
    other.refresh_from_db()
    assert (key.last_used_on, other.last_used_on) == (timezone.now().date(), None)
