"""Two ledgers side by side: exports, proofs, tiles and keys of the earlier one go on working beside the open one's."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from access import erasure, machines
from access.permissions import system_actor
from approvals import workflow
from audit import checkpoints, tiles
from audit.checkpoints import sign_current
from audit.export import export_bundle, record_export
from audit.ledger import current_log
from audit.models import Checkpoint, Disclosure, Event, Log, Tile
from audit.proofs import event_proof
from audit.recording import recording
from audit.selection import Selection, SelectionError, contents
from countersign.bundle import Trust, verify_bundle, verify_bundles
from countersign.cli import main as countersign
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split

KILLED = Subject("configuration", "shop", "banner", "production")


def manage(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def trust() -> Trust:
    return Trust.parse(json.dumps({**json.loads(manage("ledger_trust")), "max_withheld": 1_000}).encode())


def rotate(*finish: str) -> None:
    manage("rotate_key", "ledger", *finish, "--yes")


@pytest.fixture
def earlier(cast: Cast, banner: None, own_keys: Path) -> Log:
    """The ledger that was left by a recovery, after which production was changed again."""
    cast.approve(cast.propose(ON))
    sign_current()
    cast.approve(cast.propose(OFF))
    manage("recover", "--anyway", "--yes")
    cast.approve(cast.propose(split(5)))
    return Log.objects.earliest("pk")


def exported(cast: Cast, directory: Path, **selection: Any) -> Path:
    export_bundle(cast.actor("auditor"), directory, Selection(**selection))
    return directory


def test_the_earlier_ledger_is_exported_after_the_key_was_rotated_and_verifies_before_the_open_one(
    cast: Cast, earlier: Log, tmp_path: Path
) -> None:
    rotate()
    during = exported(cast, tmp_path / "during", log=earlier.origin)
    rotate("--finish")
    after = exported(cast, tmp_path / "after", log=earlier.origin)
    rotate()
    rotate("--finish")
    new = exported(cast, tmp_path / "new")
    for old in (during, after):
        assert [report.origin for report in verify_bundles([old, new], trust())] == [
            earlier.origin,
            current_log().origin,
        ]


def test_the_earlier_ledger_is_exported_after_its_key_was_lost(
    cast: Cast, earlier: Log, own_keys: Path, tmp_path: Path
) -> None:
    (own_keys / "ledger").write_text("")
    (own_keys / "ledger").unlink()
    manage("rotate_key", "ledger", "--lost", "--yes")
    old = exported(cast, tmp_path / "old", log=earlier.origin)
    verify_bundles([old, exported(cast, tmp_path / "new")], trust())


def test_a_recovery_in_the_middle_of_a_rotation_leaves_both_ledgers_exportable(
    cast: Cast, own_keys: Path, tmp_path: Path
) -> None:
    cast.flag()
    rotate()
    manage("recover", "--anyway", "--yes")
    rotate("--finish")
    old = exported(cast, tmp_path / "old", log=Log.objects.earliest("pk").origin)
    verify_bundles([old, exported(cast, tmp_path / "new")], trust())


def test_exports_that_follow_each_other_across_a_rotation_verify_in_their_order(
    cast: Cast, own_keys: Path, tmp_path: Path
) -> None:
    cast.flag()
    bundles = [exported(cast, tmp_path / "0")]
    for number, step in enumerate(((), ("--finish",)), 1):
        rotate(*step)
        cast.approve(cast.propose(split(number)))
        size = int((bundles[-1] / "checkpoint").read_text().split("\n")[1])
        bundles.append(exported(cast, tmp_path / str(number), first=size))
    assert len(verify_bundles(bundles, trust())) == 3


def test_the_earlier_ledger_is_exported_in_parts_and_filtered(
    cast: Cast, earlier: Log, tmp_path: Path
) -> None:
    sizes = list(earlier.checkpoints.order_by("size").values_list("size", flat=True))
    assert len(sizes) == 2, "one before the recovery, and one at its end"
    part = exported(cast, tmp_path / "part", log=earlier.origin, first=sizes[0])
    verify_bundle(part, trust(), integrity_only=True)
    none = exported(cast, tmp_path / "none", log=earlier.origin, first=sizes[1])
    verify_bundle(none, trust(), integrity_only=True)
    only = exported(cast, tmp_path / "only", log=earlier.origin, projects=("other",))
    assert verify_bundle(only, trust()).withheld
    with pytest.raises(SelectionError, match="no checkpoint at 3"):
        exported(cast, tmp_path / "no", log=earlier.origin, first=3)
    with pytest.raises(CommandError, match="no log nothing"):
        manage("export_bundle", str(tmp_path / "no"), "--log", "nothing")


def test_the_open_ledger_named_is_the_open_ledger(cast: Cast, earlier: Log, tmp_path: Path) -> None:
    manage("export_bundle", str(tmp_path / "named"), "--log", current_log().origin)
    lines = (tmp_path / "named/entries.ndjson").read_text().splitlines()
    assert json.loads(lines[-1])["type"] == "ledger.v1.exported", "the export is in its own bundle"
    verify_bundle(tmp_path / "named", trust())


def test_what_an_export_of_the_earlier_ledger_holds_is_counted_there(cast: Cast, earlier: Log) -> None:
    newest = earlier.checkpoints.latest("size")
    numbers = contents(Selection(log=earlier.origin))
    assert (numbers.size, numbers.chosen) == (newest.size, newest.size)
    assert numbers.disclosures == Disclosure.objects.filter(event__log=earlier).count()


def test_an_export_of_the_earlier_ledger_is_not_offered_as_a_start_in_the_open_one(
    cast: Cast, earlier: Log, tmp_path: Path
) -> None:
    exported(cast, tmp_path / "old", log=earlier.origin)
    sign_current()
    browser = Browser(headers={"Host": "localhost"})
    browser.force_login(cast.users["root"])
    assert b"first-" not in browser.get("/admin/audit/export").content
    exported(cast, tmp_path / "new")
    assert b"first-" in browser.get("/admin/audit/export").content


def test_events_of_both_ledgers_have_proofs(cast: Cast, earlier: Log, tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_text(manage("ledger_trust"))
    for log in (earlier, current_log()):
        event = log.events.order_by("index")[3]
        (tmp_path / "proof").write_text(event_proof(event))
        (tmp_path / "line").write_text(event.line)
        arguments = ["verify-proof", str(tmp_path / "proof"), str(tmp_path / "line")]
        assert countersign([*arguments, "--trust", str(tmp_path / "trust.json")]) == 0


def test_each_ledger_has_tiles_of_its_own(cast: Cast, earlier: Log, tmp_path: Path) -> None:
    first = sign_current().size
    with recording(cast.actor("administrator")) as record:
        for _ in range(2 * tiles.WIDTH):
            record.event("access.v1.noted", "access/noted", {})
    assert sign_current().log != earlier
    assert Tile.objects.filter(log=current_log(), level=1).count() == 2
    assert not Tile.objects.filter(log=earlier).exists(), "it has fewer events than a tile"
    whole = exported(cast, tmp_path / "whole", previous=first)
    old = exported(cast, tmp_path / "old", log=earlier.origin)
    verify_bundles([old, whole], trust())
    event_proof(current_log().events.get(index=300))


def test_a_person_who_was_erased_is_in_no_bundle_of_either_ledger(
    cast: Cast, earlier: Log, tmp_path: Path
) -> None:
    name = b"author@example.com"
    person = cast.users["author"]
    before = exported(cast, tmp_path / "before", log=earlier.origin, projects=("shop",))
    assert b"Author" in (before / "disclosures.ndjson").read_bytes()
    erasure.erase(system_actor("command-line", "cli"), person)
    old = exported(cast, tmp_path / "old", log=earlier.origin, projects=("shop",))
    new = exported(cast, tmp_path / "new", projects=("shop",))
    for directory in (old, new):
        disclosed = (directory / "disclosures.ndjson").read_bytes()
        assert b"Author" not in disclosed
        assert name not in disclosed
    assert verify_bundles([old, new], trust())


def test_a_kill_that_still_owes_its_review_stays_listed_and_says_that_nobody_can_give_it(
    cast: Cast, own_keys: Path
) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    workflow.kill(cast.actor("on_call"), KILLED, cast.project)
    browser = Browser(headers={"Host": "localhost"})
    browser.force_login(cast.users["reviewer"])
    assert "Mark as reviewed" in browser.get("/admin/p/shop/requests/").content.decode()
    manage("recover", "--anyway", "--yes")
    page = browser.get("/admin/p/shop/requests/").content.decode()
    assert "1 review is owed" in page
    assert "earlier ledger" in page
    assert "Mark as reviewed" not in page


def test_an_export_that_was_never_signed_before_its_ledger_was_left_is_none(
    cast: Cast, own_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor = cast.actor("root", "api")
    token = machines.issue_token(auditor, cast.users["root"], "api")[1]
    api = Browser(headers={"Host": "localhost", "Authorization": f"Bearer {token}"})
    record_export(auditor, Selection())
    kept = sign_current().note
    with monkeypatch.context() as patch:  # the process ends between the event and the checkpoint

        def killed() -> None:
            raise KeyboardInterrupt

        patch.setattr("audit.export.sign_current", killed)
        with pytest.raises(KeyboardInterrupt):
            record_export(auditor, Selection())
    unsigned = Event.objects.filter(type="ledger.v1.exported").latest("index")
    with recording(system_actor("command-line", "cli")):  # as a recovery does whose loss was larger
        from audit.continuing import next_origin, verified
        from audit.ledger import open_next

        open_next(next_origin([]), verified(kept, "a copy").continues)
    listed = api.get("/api/v1/exports")
    assert listed.status_code == 200
    assert [each["id"] for each in listed.json()["results"]] != [str(unsigned.pk)]
    assert str(unsigned.pk) not in listed.content.decode()
    assert api.get(f"/api/v1/exports/{unsigned.pk}/bundle").status_code == 404


def test_a_process_that_signed_earlier_and_comes_late_does_not_put_its_checkpoint_over_a_newer_one(
    cast: Cast, own_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Checkpoint] = []
    keep = checkpoints._keep
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_keep", late.append)
        sign_current()
    cast.flag()
    newer = sign_current()
    keep(late[0])
    assert checkpoints.kept_checkpoint() == newer.note
    manage("recover", "--anyway", "--yes")
    keep(newer)
    head = checkpoints.head_of(checkpoints.kept_checkpoint() or "")
    assert head is not None
    assert head.origin == current_log().origin
