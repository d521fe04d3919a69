"""A system that is restored from an older backup: stuck, honestly, until `manage.py recover`."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from access.permissions import system_actor
from approvals import rollouts, workflow
from approvals.models import ChangeRequest
from approvals.workflow import StateError
from audit.actor import CommandLineOnlyError
from audit.checkpoints import sign_current
from audit.export import export_bundle
from audit.ledger import LedgerError, current_log
from audit.models import Checkpoint, Event, Log
from audit.signing import host_signers, snapshots_name
from config import recovery
from countersign import Client
from countersign.cli import main as countersign
from distribution import keys, publish
from distribution.database_store import DatabaseStore
from distribution.models import Keyring, SdkKey
from distribution.read_plane import ReadPlane, RedisStore, build
from flags.models import Environment, Flag, RolloutPlan
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split
from tests.conftest import Backups
from tests.distribution.serving import newest, served, version
from tests.e2e.installation import eventually
from tests.read_plane.conftest import _one_redis as _one_redis
from tests.read_plane.conftest import redis_server as redis_server

USER = {"targetingKey": "user-1"}


def manage(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def recover(*options: str) -> str:
    return manage("recover", *options, "--yes")


@dataclass
class Shop:
    """An installation that publishes, with a backup from before its last changes."""

    cast: Cast
    backups: Backups
    data: Path
    plane: ReadPlane
    backup: str = ""

    def publish(self, document: Any) -> None:
        """Change the flag in production and let the read plane have it."""
        self.cast.approve(self.cast.propose(document))
        publish.publish_due()
        self.plane.announce("shop/production")
        eventually(self.holds_what_is_published, "the read plane has it", 10)

    def holds_what_is_published(self) -> bool:
        kept = self.data / "last-known-good/shop/production.snapshot"
        environment = Environment.objects.get(pk=self.cast.production.pk)
        held = self.plane.holder.version("shop/production", "snapshot")
        return held == environment.revision and kept.exists() and b"version %d\n" % held in kept.read_bytes()

    def restore(self) -> None:
        self.backups.restore(self.backup)

    @property
    def revision(self) -> int:
        return Environment.objects.get(pk=self.cast.production.pk).revision


@pytest.fixture
def shop(committed_cast: Cast, backups: Backups, own_keys: Path, settings: Any) -> Any:
    plane = build(
        None,  # type: ignore[arg-type]
        origin=settings.ORIGIN,
        verify=lambda: [signer.vkey for signer in host_signers(snapshots_name())],
        redis_url=None,
        database=DatabaseStore(),
        directory=settings.DATA_DIR / "last-known-good",
    )
    made = Shop(committed_cast, backups, settings.DATA_DIR, plane)
    committed_cast.flag()
    keys.issue(committed_cast.actor("administrator"), committed_cast.production, "checkout-api", "server")
    plane.start()
    made.publish(ON)
    sign_current()
    made.backup = backups.take()
    yield made
    plane.stop()


@pytest.fixture
def calm(cast: Cast, banner: None, own_keys: Path) -> Cast:
    """An installation whose loss left no trace: enough where only recovering itself is looked at."""
    cast.approve(cast.propose(ON))
    sign_current()
    return cast


def test_a_restored_installation_is_stuck_and_goes_on_after_recover(
    shop: Shop, tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cast = shop.cast
    with served() as raw:
        raw.append(newest(cast.production))
        with Client(keys.dsn(cast.production, "k"), poll_interval=0.05) as client:
            assert client.wait_until_ready(5)
            shop.publish(OFF)
            shop.publish(split(50))
            shop.publish(OFF)
            raw.append(newest(cast.production))
            published = shop.revision
            eventually(lambda: client.status().snapshot_version == published, "the client has it", 5)
            manage("export_bundle", str(tmp_path / "old"))

            shop.restore()
            assert shop.revision < published
            # Stuck: nothing newer can be published, and the signer refuses.
            cast.approve(cast.propose(split(10)))
            raw.append(newest(cast.production))
            shop.plane.announce("shop/production")
            eventually(lambda: client.status().last_error, "the client refuses it", 5)
            assert client.status().snapshot_version == published
            assert shop.plane.holder.version("shop/production", "snapshot") == published
            with pytest.raises(LedgerError, match=r"nothing was signed.*manage\.py recover"):
                sign_current()

            said = recover()
            assert f"published {published} (last-known-good)" in said
            raw.append(newest(cast.production))
            assert version(raw) == shop.revision > published
            eventually(lambda: client.status().snapshot_version == shop.revision, "the client goes on", 5)
            eventually(shop.holds_what_is_published, "the read plane goes on", 10)
            cast.approve(cast.propose(ON))
            raw.append(newest(cast.production))
            eventually(lambda: client.get_boolean_value("banner", False, USER), "changes arrive", 5)
    assert sign_current().log.origin.endswith("/ledger/2")
    manage("export_bundle", str(tmp_path / "new"))
    (tmp_path / "trust.json").write_text(manage("ledger_trust"))
    assert len(json.loads((tmp_path / "trust.json").read_text())["logs"]) == 2
    arguments = [str(tmp_path / "old"), str(tmp_path / "new"), "--trust", str(tmp_path / "trust.json")]
    assert countersign(["verify", *arguments]) == 0, capsys.readouterr().err
    created = json.loads(current_log().events.get(index=0).line)["data"]["continues"]
    assert created["origin"].endswith("/ledger")
    note = (tmp_path / "old/checkpoint").read_text()
    assert (created["size"], created["checkpoint"]) == (int(note.split("\n")[1]), note)


def test_it_says_in_numbers_what_it_would_do_does_it_with_yes_and_does_nothing_without_need(
    shop: Shop,
) -> None:
    assert "Nothing to do" in recover()
    shop.publish(OFF)
    sign_current()
    published, ahead = shop.revision, current_log().size
    shop.restore()
    open_request = shop.cast.propose(OFF)
    before = (shop.revision, Event.objects.count(), Log.objects.count())
    said = manage("recover")
    assert f"the largest checkpoint known is of {current_log().origin} at {ahead} events" in said.lower()
    assert "/ledger/2 will be opened" in said
    assert f"published {published} (last-known-good), becomes {published + recovery.MARGIN}" in said
    assert "1 open change request and 0 rollout plans lapse" in said
    assert "Nothing was changed" in said
    assert (shop.revision, Event.objects.count(), Log.objects.count()) == before
    open_request.refresh_from_db()
    assert open_request.is_open
    recover()
    after = (shop.revision, Event.objects.count())
    assert after[0] == published + recovery.MARGIN
    assert "Nothing to do" in recover()
    assert (shop.revision, Event.objects.count(), Log.objects.count()) == (*after, 2)


def test_an_interrupted_run_leaves_everything_as_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.publish(OFF)
    shop.restore()
    before = (shop.revision, Event.objects.count(), Log.objects.count(), Keyring.objects.count())

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keys, "sign_keyring", interrupted)
        with pytest.raises(KeyboardInterrupt):
            recover()
    assert (shop.revision, Event.objects.count(), Log.objects.count(), Keyring.objects.count()) == before
    recover()
    assert Log.objects.count() == 2


def test_a_loss_that_only_the_operator_knows_of_is_named_in_numbers(shop: Shop, tmp_path: Path) -> None:
    shop.publish(OFF)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(shop.data / "last-known-good", elsewhere)
    published = shop.revision
    shop.restore()
    shutil.rmtree(shop.data / "last-known-good")
    assert "Nothing to do" in recover()
    assert "/ledger/2 will be opened" in manage("recover", "--published", str(elsewhere))
    assert "becomes 7001" in manage("recover", "--published", "shop/production=7000", "--margin", "1")
    assert "/ledger/2 will be opened" in manage("recover", "--anyway")
    with pytest.raises(CommandError, match="neither"):
        recover("--published", str(tmp_path / "nowhere"))
    recover("--published", str(elsewhere / "shop/production.snapshot"))
    assert shop.revision == published + recovery.MARGIN


def test_what_nobody_of_ours_signed_counts_for_nothing(calm: Cast, tmp_path: Path) -> None:
    forged = newest(calm.production)
    (tmp_path / "forged").write_bytes(forged.replace(b"\nversion ", b"\nversion 9"))
    said = recover("--published", str(tmp_path / "forged"))
    assert "counts for nothing" in said
    assert "Nothing to do" in said
    note = sign_current().note
    (tmp_path / "checkpoint").write_text(note.replace("/ledger\n", "/ledger\n9", 1))
    with pytest.raises(CommandError, match="no checkpoint that a key of ours signed"):
        recover("--checkpoint", str(tmp_path / "checkpoint"))


def test_a_later_checkpoint_or_bundle_that_somebody_kept_is_what_the_new_log_continues(
    shop: Shop, tmp_path: Path
) -> None:
    shop.publish(OFF)
    export_bundle(shop.cast.actor("auditor"), tmp_path / "kept")
    size = int((tmp_path / "kept/checkpoint").read_text().split("\n")[1])
    shop.restore()
    (shop.data / "last-known-good/checkpoint").unlink()
    entries = (tmp_path / "kept/entries.ndjson").read_bytes()
    (tmp_path / "kept/entries.ndjson").write_bytes(entries.replace(b"shop", b"spoh", 1))
    with pytest.raises(CommandError, match="digest"):
        recover("--checkpoint", str(tmp_path / "kept"))
    (tmp_path / "kept/entries.ndjson").write_bytes(entries)
    recover("--checkpoint", str(tmp_path / "kept"))
    created = json.loads(current_log().events.get(index=0).line)["data"]
    assert created["continues"]["size"] == size


def test_what_was_open_lapses_and_what_was_approved_before_is_not_carried_out(calm: Cast) -> None:
    cast = calm
    cast.flag("search")
    cast.approve(cast.propose(OFF, key="search"))
    plan_request = rollouts.propose_plan(
        cast.actor("author"),
        Flag.objects.get(key="search"),
        cast.production,
        [{"weights": [["on", each], ["off", 100 - each]], "hold": 3600} for each in (10, 50)],
        title="Roll out",
        rationale="r",
    )
    cast.approve(plan_request)
    waiting = cast.propose(OFF)
    approved = cast.approve(cast.propose(split(5), scheduled_at=None))
    killed = workflow.kill(
        cast.actor("on_call"), Subject("configuration", "shop", "banner", "production"), cast.project
    )
    said = recover("--anyway")
    assert "2 open change requests and 1 rollout plan lapse" in said
    for request in (waiting, approved):
        request.refresh_from_db()
        assert request.state == ChangeRequest.State.LAPSED
        with pytest.raises(StateError, match="closed"):
            workflow.apply(cast.actor("author"), request)
    plan = RolloutPlan.objects.get()
    assert plan.state == RolloutPlan.State.ABORTED
    assert "propose it again" in plan.problem
    plan_request.refresh_from_db()
    with pytest.raises(StateError, match="earlier ledger"):
        workflow.carry_out(system_actor("scheduler"), plan_request, 1)
    with pytest.raises(StateError, match="earlier ledger"):
        workflow.review_emergency(cast.actor("reviewer"), killed)


def test_what_lapsed_is_proposed_again_by_whoever_asked(calm: Cast) -> None:
    cast = calm
    lapsed = cast.propose(split(30))
    recover("--anyway")
    browser = Browser(headers={"Host": "localhost"})
    browser.force_login(cast.users["author"])
    address = f"/admin/p/shop/requests/{lapsed.pk}/"
    assert "Propose it again" in browser.get(address).content.decode()
    browser.post(address, {"verb": "again"})
    again = ChangeRequest.objects.latest("pk")
    assert (again.state, again.title) == (ChangeRequest.State.IN_REVIEW, lapsed.title)
    workflow.apply(cast.actor("author"), cast.approve(again))
    browser.force_login(cast.users["reviewer"])
    page = browser.get(address).content.decode()
    assert "It lapsed." in page
    assert "Propose it again" not in page
    assert browser.post(address, {"verb": "again"}).status_code == 403, "a reviewer asks for nothing"


def test_redis_tells_what_was_published(shop: Shop, redis_server: Any, settings: Any) -> None:
    settings.REDIS_URL = redis_server.url
    shop.publish(OFF)
    published = shop.revision
    shop.restore()
    shutil.rmtree(shop.data / "last-known-good")
    said = recover()
    assert f"published {published} (redis)" in said
    store = RedisStore(redis_server.url)
    assert store.versions()["shop/production"][0] == shop.revision == published + recovery.MARGIN
    store.close()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert "redis could not be asked" in manage("recover")


def test_the_new_ledger_alone_and_after_the_old_one_is_accepted_by_an_auditor(
    calm: Cast, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cast = calm
    cast.propose(OFF)
    recover("--anyway")
    workflow.kill(
        cast.actor("on_call"), Subject("configuration", "shop", "banner", "production"), cast.project
    )
    cast.approve(cast.propose(split(7)))
    manage("export_bundle", str(tmp_path / "new"))
    manage("export_bundle", str(tmp_path / "old"), "--log", Log.objects.earliest("pk").origin)
    (tmp_path / "trust.json").write_text(manage("ledger_trust"))
    trust = ["--trust", str(tmp_path / "trust.json")]
    assert countersign(["verify", str(tmp_path / "new"), *trust]) == 0, capsys.readouterr().err
    both = [str(tmp_path / "old"), str(tmp_path / "new")]
    assert countersign(["verify", *both, *trust]) == 0, capsys.readouterr().err
    manage("rotate_key", "ledger", "--yes")
    manage("rotate_key", "ledger", "--finish", "--yes")
    manage("export_bundle", str(tmp_path / "later"))
    (tmp_path / "trust.json").write_text(manage("ledger_trust"))
    assert countersign(["verify", str(tmp_path / "later"), *trust]) == 0, capsys.readouterr().err


def test_recovering_twice_in_a_life_continues_the_second_log(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manage("export_bundle", str(tmp_path / "1"))
    recover("--anyway")
    manage("export_bundle", str(tmp_path / "2"))
    second = int((tmp_path / "2/checkpoint").read_text().split("\n")[1])
    shop.restore()  # from before both
    recover()
    assert current_log().origin.endswith("/ledger/3")
    created = json.loads(current_log().events.get(index=0).line)["data"]["continues"]
    assert (created["origin"][-2:], created["size"]) == ("/2", second)


def test_keys_revoked_since_the_backup_do_not_come_back(shop: Shop) -> None:
    cast = shop.cast
    key = SdkKey.objects.get()
    keys.revoke(cast.actor("administrator"), key)
    keys.issue(cast.actor("administrator"), cast.production, "made later", "server")
    shop.publish(OFF)
    version = Keyring.objects.filter(environment=cast.production).count()
    eventually(
        lambda: (
            b"version %d\n" % version in (shop.data / "last-known-good/shop/production.keyring").read_bytes()
        ),
        "the keyring is kept",
        10,
    )
    shop.restore()
    assert SdkKey.objects.get().revoked_at is None
    said = recover()
    assert "1 SDK key revoked since the backup will be revoked again; 1 SDK key made since then" in said
    assert SdkKey.objects.get().revoked_at is not None


def test_a_backup_from_before_a_rotation_goes_on_with_the_keys_that_this_host_has(shop: Shop) -> None:
    for key in ("ledger", "snapshots"):
        manage("rotate_key", key, "--yes")
        manage("rotate_key", key, "--finish", "--yes")
    shop.publish(OFF)
    shop.restore()
    recover()
    eventually(shop.holds_what_is_published, "the read plane goes on", 10)
    assert sign_current().log.origin.endswith("/ledger/2")


def test_nobody_recovers_but_from_the_command_line(calm: Cast) -> None:
    found = recovery.examine()
    for via in ("ui", "api"):
        with pytest.raises(CommandLineOnlyError):
            recovery.recover(calm.actor("root", via), found)
    with pytest.raises(CommandLineOnlyError):
        recovery.recover(system_actor("scheduler"), found)
    assert Log.objects.count() == 1


def test_a_run_that_somebody_else_was_faster_than_does_nothing(calm: Cast) -> None:
    found = recovery.examine()
    recover("--anyway")
    with pytest.raises(LedgerError, match="meanwhile"):
        recovery.recover(system_actor("command-line", "cli"), found)
    assert Log.objects.count() == 2
    assert Checkpoint.objects.filter(log=current_log()).count() == 1
