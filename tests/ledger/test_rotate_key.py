"""Rotating the ledger's key: both sign in between, auditors know all of them, and hosts cannot disagree."""

from __future__ import annotations

import base64
import io
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from audit import keys, rotation
from audit.actor import CommandLineOnlyError
from audit.checkpoints import sign_current
from audit.export import export_bundle
from audit.ledger import LedgerError, current_log
from audit.models import Event, SigningKey
from countersign.bundle import BundleError, Trust, verify_bundle
from tests.cast import Cast
from tests.read_plane.publisher import Publisher

CHANGED = "ledger.v1.log_key.changed"


def manage(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def signatures(note: str) -> int:
    return note.count("\n— ")


def trust(**members: Any) -> Trust:
    return Trust.parse(json.dumps({**json.loads(manage("ledger_trust")), **members}).encode())


def test_bundles_before_during_and_after_are_accepted_with_all_keys_in_the_trust_file(
    cast: Cast, own_keys: Path, tmp_path: Path
) -> None:
    auditor = cast.actor("auditor")
    old = Trust.parse(manage("ledger_trust").encode())
    before = export_bundle(auditor, tmp_path / "before")
    manage("rotate_key", "ledger", "--yes")
    during = export_bundle(auditor, tmp_path / "during")
    manage("rotate_key", "ledger", "--finish", "--yes")
    after = export_bundle(auditor, tmp_path / "after")
    assert [signatures(each.note) for each in (before, during, after)] == [1, 2, 1]
    assert (tmp_path / "during/manifest").read_text().count("\n— ") == 2
    assert before.note.rpartition("— ")[2] != after.note.rpartition("— ")[2]
    for name in ("before", "during", "after"):
        verify_bundle(tmp_path / name, trust())
    verify_bundle(tmp_path / "during", old)  # the auditor who has not been told yet
    with pytest.raises(BundleError, match="not signed by a known key"):
        verify_bundle(tmp_path / "after", old)
    assert len(json.loads(manage("ledger_trust"))["log"]) == 2


def test_each_step_is_an_event_with_the_keys_that_sign_from_then_on(cast: Cast, own_keys: Path) -> None:
    first = keys.signing_now(current_log().origin)
    manage("rotate_key", "ledger", "--yes")
    both = keys.signing_now(current_log().origin)
    manage("rotate_key", "ledger", "--finish", "--yes")
    told = [
        json.loads(line)["data"]["keys"]
        for line in Event.objects.filter(type=CHANGED).order_by("index").values_list("line", flat=True)
    ]
    assert told == [both, both[:1]]
    assert both[1:] == first


def test_without_yes_nothing_happens_and_a_step_that_was_taken_is_not_taken_again(
    cast: Cast, own_keys: Path
) -> None:
    seeds = (own_keys / "ledger").read_text()
    assert "Nothing was changed" in manage("rotate_key", "ledger")
    assert "nothing to finish" in manage("rotate_key", "ledger", "--finish", "--yes")
    assert (own_keys / "ledger").read_text() == seeds
    manage("rotate_key", "ledger", "--yes")
    during = (own_keys / "ledger").read_text()
    assert "is under way" in manage("rotate_key", "ledger", "--yes")
    assert (own_keys / "ledger").read_text() == during
    manage("rotate_key", "ledger", "--finish", "--yes")
    assert "nothing to finish" in manage("rotate_key", "ledger", "--finish", "--yes")
    assert Event.objects.filter(type=CHANGED).count() == 2


def test_an_interruption_after_the_key_was_made_makes_no_third_key(
    cast: Cast, own_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "begin", interrupted)
        with pytest.raises(KeyboardInterrupt):
            manage("rotate_key", "ledger", "--yes")
    made = (own_keys / "ledger").read_text()
    assert signatures(sign_current().note) == 1  # a key that nobody introduced does not sign
    manage("rotate_key", "ledger", "--yes")
    assert (own_keys / "ledger").read_text() == made
    assert signatures(sign_current().note) == 2


def test_after_the_end_the_old_private_key_is_gone_and_not_needed(cast: Cast, own_keys: Path) -> None:
    old = (own_keys / "ledger").read_text().strip()
    manage("rotate_key", "ledger", "--yes")
    assert old in (own_keys / "ledger").read_text()
    manage("rotate_key", "ledger", "--finish", "--yes")
    assert old not in (own_keys / "ledger").read_text()
    cast.flag()
    assert signatures(sign_current().note) == 1


def test_keys_from_the_environment_are_rotated_by_setting_both(
    cast: Cast, own_keys: Path, settings: Any
) -> None:
    present = (own_keys / "ledger").read_text().strip()
    new = base64.b64encode(secrets.token_bytes(32)).decode()
    settings.LEDGER_KEY = present
    with pytest.raises(CommandError, match=r"COUNTERSIGN_LEDGER_KEY.*<new seed>,<present seed>"):
        manage("rotate_key", "ledger", "--yes")
    settings.LEDGER_KEY = f"{new},{present}"
    assert (
        signatures(sign_current().note) == 1
    )  # hosts are restarted one after the other; nothing changes yet
    manage("rotate_key", "ledger", "--yes")
    cast.flag()
    assert signatures(sign_current().note) == 2
    manage("rotate_key", "ledger", "--finish", "--yes")
    settings.LEDGER_KEY = new
    cast.flag("second")
    assert signatures(sign_current().note) == 1
    assert (own_keys / "ledger").read_text().strip() == present  # not ours to change


def test_a_host_without_the_keys_of_the_others_signs_nothing_and_its_checks_say_so(
    cast: Cast, own_keys: Path
) -> None:
    alone = (own_keys / "ledger").read_text()
    manage("rotate_key", "ledger", "--yes")
    (own_keys / "ledger").write_text(alone)
    cast.flag()
    with pytest.raises(LedgerError, match=r"no private key for .*nothing was signed"):
        sign_current()
    found = {message.id for message in run_checks(databases=["default"])}
    assert "audit.E002" in found


def test_a_lost_key_is_replaced_at_once(cast: Cast, own_keys: Path) -> None:
    (own_keys / "ledger").write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    with pytest.raises(CommandError, match="no private key"):
        manage("rotate_key", "ledger", "--yes")
    assert not Event.objects.filter(type=CHANGED).exists()
    manage("rotate_key", "ledger", "--lost", "--yes")
    cast.flag()
    assert signatures(sign_current().note) == 1
    assert SigningKey.objects.filter(name=current_log().origin).count() == 2


@pytest.mark.parametrize("via", ["ui", "api"])
def test_nobody_rotates_a_key_but_from_the_command_line(cast: Cast, own_keys: Path, via: str) -> None:
    for verb in (rotation.begin, rotation.finish):
        with pytest.raises(CommandLineOnlyError, match=r"manage\.py"):
            verb(cast.actor("root", via))


def test_a_key_slipped_into_the_database_does_not_reach_auditors_and_stops_signing(
    cast: Cast, own_keys: Path
) -> None:
    name = current_log().origin
    other = Publisher(key=Ed25519PrivateKey.generate(), origin=name.removesuffix("/ledger"))
    forged = other.vkey.replace("/snapshots+", "/ledger+")
    known = json.loads(manage("ledger_trust"))["log"]
    SigningKey.objects.create(name=name, vkey=forged)
    assert json.loads(manage("ledger_trust"))["log"] == known
    cast.flag()
    with pytest.raises(LedgerError, match="no private key"):
        sign_current()
