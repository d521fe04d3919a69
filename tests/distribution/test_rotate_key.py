"""Rotating the snapshots' key: no client, read plane or keyring is cut off at any step."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as configured
from django.core.management import call_command

from audit.actor import CommandLineOnlyError
from audit.signing import host_signers, snapshots_name
from countersign import Client
from countersign.dsn import read_dsn
from distribution import keys, publish, rotation
from distribution.models import Keyring, Snapshot
from distribution.read_plane.holder import DocumentRefusedError, Holder
from flags.models import Environment
from tests.cast import ON, Cast
from tests.distribution.serving import newest, served, version
from tests.e2e.installation import eventually


def manage(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


class Plane:
    """A read plane's holder that started long ago, fed with what is published."""

    def __init__(self, environment: Environment, verify: Any) -> None:
        self.environment = environment
        self.holder = Holder(origin=configured.ORIGIN, verify=verify)

    def takes(self) -> bool:
        publish.publish_due()
        path = self.environment.path
        snapshot = Snapshot.objects.filter(environment=self.environment).order_by("-version")[0]
        keyring = Keyring.objects.filter(environment=self.environment).order_by("-version")[0]
        try:
            self.holder.accept(path, "snapshot", snapshot.raw, source="database")
            self.holder.accept(path, "keyring", bytes(keyring.raw), source="database")
        except DocumentRefusedError:
            return False
        return self.holder.version(path, "snapshot") == snapshot.version


@pytest.fixture
def shop(cast: Cast, banner: None, own_keys: Path) -> Cast:
    cast.propose(environment="development")
    keys.issue(cast.actor("administrator"), cast.development, "checkout-api", "server")
    publish.publish_due()
    return cast


def test_every_snapshot_and_keyring_is_signed_again_at_each_step(shop: Cast) -> None:
    for step in ((), ("--finish",)):
        before = {each.pk: each.revision for each in Environment.objects.all()}
        rings = Keyring.objects.count()
        said = manage("rotate_key", "snapshots", *step, "--yes")
        assert f"{len(before)} environments are signed again" in said
        after = {each.pk: each.revision for each in Environment.objects.all()}
        assert after == {pk: revision + 1 for pk, revision in before.items()}
        assert Keyring.objects.count() == rings + len(before)
        publish.publish_due()
        lines = 2 if step == () else 1
        for environment in Environment.objects.all():
            row = Snapshot.objects.get(environment=environment, version=environment.revision)
            ring = Keyring.objects.filter(environment=environment).order_by("-version")[0]
            assert row.head.count("\n— ") == lines
            assert bytes(ring.raw).decode().count("\n— ") == lines


def test_a_read_plane_that_runs_goes_on_through_the_whole_rotation(shop: Cast) -> None:
    plane = Plane(shop.development, lambda: [signer.vkey for signer in host_signers(snapshots_name())])
    assert plane.takes()
    manage("rotate_key", "snapshots", "--yes")
    assert plane.takes()
    manage("rotate_key", "snapshots", "--finish", "--yes")
    assert plane.takes()


def test_a_client_with_the_old_key_goes_on_until_the_end_and_one_with_both_beyond(
    shop: Cast, settings: Any
) -> None:
    base = settings.BASE_URL
    with served() as raw:
        raw.append(newest(shop.development))
        with Client(keys.dsn(shop.development, "k"), poll_interval=0.05) as old:
            assert old.wait_until_ready(5)
            manage("rotate_key", "snapshots", "--yes")
            raw.append(newest(shop.development))
            eventually(lambda: old.status().snapshot_version == version(raw), "the old key still verifies", 5)
            both = keys.dsn(shop.development, "k")
            assert len(read_dsn(both).verify) == 2
            with Client(both, poll_interval=0.05) as new:
                assert new.wait_until_ready(5)
                manage("rotate_key", "snapshots", "--finish", "--yes")
                raw.append(newest(shop.development))
                eventually(lambda: new.status().snapshot_version == version(raw), "both keys go on", 5)
                assert new.get_boolean_value("banner", False, {"targetingKey": "u"}) is True
                held = old.status().snapshot_version
                assert held < version(raw)
                assert old.get_boolean_value("banner", False, {"targetingKey": "u"}) is True
    settings.BASE_URL = base
    assert len(read_dsn(keys.dsn(shop.development, "k")).verify) == 1


def test_the_demo_s_file_names_the_keys_that_sign(shop: Cast, settings: Any) -> None:
    path = settings.DATA_DIR / "demo.json"
    dsn = keys.dsn(shop.development, "cs_server_x")
    path.write_text(json.dumps({"base_url": "http://x", "dsn": {"shop/development": dsn}, "client_dsn": {}}))
    manage("rotate_key", "snapshots", "--yes")
    during = json.loads(path.read_text())
    assert during["base_url"] == "http://x"
    assert len(read_dsn(during["dsn"]["shop/development"]).verify) == 2
    assert urlsplit(during["dsn"]["shop/development"]).netloc == urlsplit(dsn).netloc
    manage("rotate_key", "snapshots", "--finish", "--yes")
    assert json.loads(path.read_text())["dsn"]["shop/development"] != dsn
    assert len(read_dsn(json.loads(path.read_text())["dsn"]["shop/development"]).verify) == 1


def test_nothing_is_half_rotated_when_a_keyring_cannot_be_signed(
    committed_cast: Cast, own_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions = list(Environment.objects.order_by("pk").values_list("revision", flat=True))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(keys, "sign_keyring", full)
        with pytest.raises(Exception, match="No space left"):
            manage("rotate_key", "snapshots", "--yes")
    assert list(Environment.objects.order_by("pk").values_list("revision", flat=True)) == revisions
    manage("rotate_key", "snapshots", "--yes")
    assert list(Environment.objects.order_by("pk").values_list("revision", flat=True)) == [
        revision + 1 for revision in revisions
    ]


@pytest.mark.parametrize("via", ["ui", "api"])
def test_nobody_rotates_a_key_but_from_the_command_line(shop: Cast, via: str) -> None:
    for verb in (rotation.begin, rotation.finish):
        with pytest.raises(CommandLineOnlyError):
            verb(shop.actor("root", via))


def test_a_flag_changed_while_keys_rotate_is_served(shop: Cast) -> None:
    manage("rotate_key", "snapshots", "--yes")
    shop.approve(shop.propose(ON))
    plane = Plane(shop.production, [host_signers(snapshots_name())[0].vkey])
    keys.issue(shop.actor("administrator"), shop.production, "web", "server")
    assert plane.takes()
