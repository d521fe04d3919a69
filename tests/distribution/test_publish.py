"""Publishing: what environments serve, signed once for each version and found by whoever looks."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import connections
from django.db.models import Max

from access.permissions import ForbiddenError
from approvals import workflow
from audit.ledger import current_log
from audit.models import b64
from audit.signing import host_signers, snapshots_name
from countersign.snapshot import Snapshot as Parsed
from distribution import announcements, keys, publish
from distribution.database_store import DatabaseStore
from distribution.models import Keyring, SdkKey, Snapshot
from distribution.read_plane import keyring
from flags import compile
from flags.models import Environment
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split

VERIFY = [signer.vkey for signer in host_signers(snapshots_name())]
USER = {"targetingKey": "user-1"}


def newest(environment: Environment) -> Parsed:
    row = Snapshot.objects.filter(environment=environment).order_by("-version").first()
    assert row is not None
    return Parsed.parse(row.raw, verify=VERIFY, environment=environment.path)


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    return cast


def test_an_environment_that_is_ahead_is_published_and_the_others_are_left_alone(shop: Cast) -> None:
    publish.publish_due()
    assert list(publish.due()) == []
    before = Snapshot.objects.count()
    shop.approve(shop.propose())
    assert [environment.path for environment in publish.due()] == ["shop/production"]
    publish.publish_due()
    publish.publish_due()
    assert Snapshot.objects.count() == before + 1


def test_the_published_snapshot_answers_as_configured_and_names_the_request(shop: Cast) -> None:
    request = shop.approve(shop.propose())
    publish.publish_due()
    snapshot = newest(shop.production)
    result = snapshot.evaluate("banner", USER, "boolean")
    assert (result.value, result.variant, result.reason) == (True, "on", "STATIC")
    assert result.metadata["change"] == request.change_id
    assert result.metadata["flag_version"] == 1
    shop.production.refresh_from_db()
    assert result.metadata["snapshot_version"] == snapshot.version == shop.production.revision
    assert "banner" not in newest(shop.development)


def test_a_split_a_kill_and_a_segment_arrive(shop: Cast) -> None:
    segment = {"subject": "project/shop/segment/beta", "after": {"included": ["user-1"]}}
    workflow.change(shop.actor("author"), shop.project, [segment], title="Beta")
    rule = {
        "id": "beta",
        "constraints": [{"attribute": "", "operator": "in_segment", "values": ["beta"]}],
        "serve": {"variant": "on"},
    }
    shop.approve(shop.propose({**split(0, "s"), "rules": [rule]}))
    publish.publish_due()
    snapshot = newest(shop.production)
    assert snapshot.evaluate("banner", USER).metadata["rule"] == "beta"
    assert snapshot.evaluate("banner", {"targetingKey": "user-2"}).value is False
    workflow.kill(
        shop.actor("on_call"), Subject("configuration", "shop", "banner", "production"), shop.project
    )
    publish.publish_due()
    killed = newest(shop.production).evaluate("banner", USER)
    assert (killed.value, killed.metadata["cause"]) == (False, "killed")


def test_a_snapshot_is_what_the_specification_says_to_the_byte(shop: Cast) -> None:
    """Members that are empty, false or null are left out by writers."""
    shop.approve(
        shop.propose({**ON, "rules": [], "regions": {}, "killed": False, "prerequisites": [], "targets": {}})
    )
    publish.publish_due()
    segments, line = newest(shop.production).body.splitlines()
    assert segments == b'{"segments":{}}'
    _, flag = json.loads(line)
    assert set(flag) == {"type", "variants", "fail_safe", "version", "change", "enabled", "off", "default"}


def test_a_snapshot_names_the_ledger_at_its_moment(shop: Cast) -> None:
    publish.publish_due()
    snapshot, log = newest(shop.production), current_log()
    assert (snapshot.ledger_size, snapshot.ledger_root) == (log.size, b64(log.root))


def test_a_version_is_signed_once(shop: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    publish.publish_due()
    first = Snapshot.objects.get(environment=shop.production)
    monkeypatch.setattr(compile, "body", lambda environment: b"something else")
    assert publish.publish(shop.production.pk).raw == first.raw
    assert Snapshot.objects.filter(environment=shop.production).count() == 1


def test_publishers_at_once_agree_on_one_snapshot(committed_cast: Cast) -> None:
    cast = committed_cast
    cast.flag()
    cast.approve(cast.propose())
    found: list[Any] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        try:
            barrier.wait()
            found.append(publish.publish(cast.production.pk).raw)
        except BaseException as error:
            found.append(error)
            raise
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert Snapshot.objects.filter(environment=cast.production).count() == 1


def test_an_environment_that_fails_does_not_hold_up_the_others(
    shop: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compile.body

    def body(environment: Environment) -> bytes:
        if environment.key == "development":
            raise RuntimeError("broken")
        return whole(environment)

    with monkeypatch.context() as patch:
        patch.setattr(compile, "body", body)
        publish.publish_due()
    assert [environment.path for environment in publish.due()] == ["shop/development"]
    publish.publish_due()
    assert list(publish.due()) == []


def test_a_listener_that_fails_holds_up_neither_the_others_nor_the_publisher(
    shop: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def broken(environment: str) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(announcements, "_listeners", [broken, heard.append])
    publish.publish(shop.production.pk)
    assert heard == ["shop/production"]


# --- keys ----------------------------------------------------------------------------------------


def opened(environment: Environment) -> keyring.Keyring:
    raw = DatabaseStore().get_keyring(environment.path)
    assert raw is not None
    return keyring.Keyring.parse(raw, verify=VERIFY, environment=environment.path)


def test_a_key_is_in_the_next_keyring_by_its_hash_until_it_is_revoked(
    shop: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distribution.database_store.connection.close", lambda: None)  # the test's own
    administrator = shop.actor("administrator")
    server, secret = keys.issue(administrator, shop.production, "web", "server")
    keys.issue(administrator, shop.production, "browser", "client")
    ring = opened(shop.production)
    assert ring.version == 2
    assert {key.side for key in ring.keys.values()} == {"server", "client"}
    assert ring.keys[keyring.hash_of(secret)].id == str(server.pk)
    assert secret.encode() not in ring.raw
    keys.revoke(administrator, server)
    keys.revoke(administrator, server)
    ring = opened(shop.production)
    assert ring.version == 3
    assert keyring.hash_of(secret) not in ring.keys
    assert DatabaseStore().get_keyring("shop/development") is None


def test_keyrings_are_announced_after_the_commit_only(
    committed_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(announcements, "_listeners", [heard.append])
    keys.issue(committed_cast.actor("administrator"), committed_cast.production, "web", "server")
    assert heard == ["shop/production"]
    with pytest.raises(ForbiddenError):
        keys.issue(committed_cast.actor("author"), committed_cast.production, "web", "server")
    assert heard == ["shop/production"]


@pytest.mark.parametrize(
    ("name", "side"),
    [("", "server"), (" ", "server"), ("web", "middle"), ("a\x00b", "server"), ("a\ud800", "server")],
)
def test_a_key_without_a_name_or_of_no_side_is_refused(shop: Cast, name: str, side: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (one refusal speaks of the side, the other of the name)
        keys.issue(shop.actor("administrator"), shop.production, name, side)
    assert not SdkKey.objects.exists()
    assert not Keyring.objects.exists()


def test_a_dsn_configures_a_client_whole(shop: Cast) -> None:
    from countersign.dsn import read_dsn

    _, secret = keys.issue(shop.actor("administrator"), shop.production, "web", "server")
    dsn = read_dsn(keys.dsn(shop.production, secret))
    assert (dsn.environment, dsn.sdk_key, dsn.verify) == ("shop/production", secret, tuple(VERIFY))


def test_the_database_tells_the_newest_versions_of_each_environment(
    shop: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distribution.database_store.connection.close", lambda: None)
    publish.publish_due()
    shop.approve(shop.propose(OFF))
    publish.publish_due()
    keys.issue(shop.actor("administrator"), shop.production, "web", "server")
    versions = Snapshot.objects.filter(environment=shop.production).aggregate(Max("version"))
    assert DatabaseStore().versions() == {
        "shop/production": (versions["version__max"], 1),
        "shop/development": (1, 0),
    }
    raw = DatabaseStore().get_snapshot("shop/production")
    assert raw is not None
    assert raw == newest(shop.production).raw
    assert DatabaseStore().get_snapshot("shop/moon") is None
