"""Bundles that follow an earlier one, are compared with one, or are filtered: accepted; what they may not hold."""

from __future__ import annotations

import json
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from access.permissions import user_actor
from approvals import workflow
from audit import bundle, bundle_directory, bundle_zip
from audit.checkpoints import sign_current
from audit.export import export_bundle, record_export, recorded
from audit.ledger import LedgerError, trusted_log
from audit.models import Blob, Checkpoint, Disclosure, Event, Log, b64
from audit.selection import Selection, SelectionError, contents
from countersign.bundle import BundleError, Trust, verify_bundle, verify_bundles
from flags import catalogue
from flags.models import Project
from flags.subjects import Subject
from tests.cast import BANNER, OFF, ON, Cast, split
from tests.ledger.busy_log import many

KILLED = Subject("configuration", "shop", "banner", "production")


def trust(**members: Any) -> Trust:
    policy = {
        "review_required": ["project/shop/environment/production/"],
        "accept_log_vouched": True,
        "max_withheld": 1_000,
        **members,
    }
    return Trust.parse(json.dumps({**trusted_log(), **policy}).encode())


def exported(cast: Cast, directory: Path, **selection: Any) -> Checkpoint:
    return export_bundle(cast.actor("auditor"), directory, Selection(**selection))


def entries(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "entries.ndjson").read_text().splitlines()]


def everything(directory: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def refused_once_changed(directory: Path, name: str, *bundles: Path, **members: Any) -> None:
    path = directory / name
    raw = path.read_bytes()
    for at in (0, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(BundleError):
            verify_bundles(bundles or [directory], trust(**members))
    path.write_bytes(raw)


# --- after an earlier bundle ---------------------------------------------------------------------


def test_bundles_that_follow_each_other_are_accepted_in_their_order_alone(cast: Cast, tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    cast.flag()
    waiting = cast.propose(many(2_000))
    first = exported(cast, one)
    cast.approve(waiting)
    workflow.kill(cast.actor("on_call"), KILLED, cast.project)
    second = exported(cast, two, first=first.size)
    cast.approve(cast.propose(OFF))
    third = exported(cast, three, first=second.size, disclosures=False)
    assert len(entries(two)) == second.size - first.size
    assert len((two / "prefix").read_text().splitlines()) == first.size.bit_count()
    assert (two / "previous.checkpoint").read_text() == first.note

    reports = verify_bundles([one, two, three], trust())
    assert [report.size for report in reports] == [first.size, second.size, third.size]
    assert len(reports[1].log_vouched) == 1, "approved in the second bundle, proposed in the first"
    assert verify_bundle(two, trust(), integrity_only=True).first == first.size
    for wrong in ([two], [one, three], [two, one, three], [one, two, two]):
        with pytest.raises(BundleError):
            verify_bundles(wrong, trust())
    for name in ("prefix", "previous.checkpoint", "consistency", "entries.ndjson", "manifest"):
        refused_once_changed(three, name, one, two, three)
    verify_bundles([one, two, three], trust())


def test_a_whole_bundle_shows_that_it_goes_on_from_the_checkpoint_that_was_kept(
    cast: Cast, tmp_path: Path
) -> None:
    kept = sign_current()
    cast.flag()
    exported(cast, tmp_path / "bundle", previous=kept.size)
    seen = {"size": kept.size, "root": b64(Log(frontier=kept.frontier).root)}
    verify_bundle(tmp_path / "bundle", trust(seen=seen))
    with pytest.raises(BundleError, match="seen"):
        verify_bundle(tmp_path / "bundle", trust(seen={**seen, "size": kept.size - 1}))
    refused_once_changed(tmp_path / "bundle", "consistency", seen=seen)
    exported(cast, tmp_path / "plain")
    with pytest.raises(BundleError, match="seen"):
        verify_bundle(tmp_path / "plain", trust(seen=seen))


def test_a_size_that_was_never_signed_is_refused_and_the_nearest_are_named(
    cast: Cast, tmp_path: Path
) -> None:
    size = sign_current().size
    events = Event.objects.count()
    for wrong in ({"first": size - 1}, {"previous": size + 1}):
        with pytest.raises(SelectionError, match=f"the nearest are at {size}"):
            exported(cast, tmp_path / "bundle", **wrong)
    assert Event.objects.count() == events
    assert list(tmp_path.iterdir()) == []


# --- filtered ------------------------------------------------------------------------------------


@pytest.fixture
def neighbours(cast: Cast, banner: None) -> Cast:
    """Beside the shop, a project with documents, people and a large kill of its own."""
    cast.approve(cast.propose(many(2_000)))
    other = Project.objects.get(key="other")
    outsider = user_actor(cast.users["outsider"], "ui")
    catalogue.create_environment(outsider, other, "live", {"name": "Live of the others"})
    flag, configuration = "project/other/flag/hidden", "project/other/environment/live/flag/hidden"
    document = {**BANNER, "name": "Their own words"}
    workflow.change(outsider, other, [{"subject": flag, "after": document}], title="Theirs")
    large = {**ON, "targets": {"on": [f"theirs-{number:06d}" for number in range(2_000)]}}
    workflow.change(outsider, other, [{"subject": configuration, "after": large}], title="Large")
    workflow.kill(outsider, Subject("configuration", "other", "hidden", "live"), other)
    workflow.change(outsider, other, [{"subject": configuration, "after": split(5)}], title="Again")
    return cast


def test_a_bundle_of_a_project_holds_of_others_what_reviews_rest_on_and_no_more(
    neighbours: Cast, tmp_path: Path
) -> None:
    told = contents(Selection(projects=("shop",)))
    checkpoint = exported(neighbours, tmp_path / "shop", projects=("shop",))
    report = verify_bundle(tmp_path / "shop", trust())
    found = entries(tmp_path / "shop")
    withheld = [entry for entry in found if "leaf_hash" in entry]
    assert report.withheld == len(withheld) == told.withheld > 0
    assert told.chosen + told.others + told.withheld == told.size == checkpoint.size - 1
    assert {entry["reason"] for entry in withheld} == {"filtered"}

    carried = [entry for entry in found if "leaf_hash" not in entry]
    foreign = [
        entry for entry in carried if not entry.get("subject", "").startswith(("project/shop", "access/"))
    ]
    forced = ("ledger.", "approvals.", "flags.v1.configuration.killed")
    assert all(entry["type"].startswith(forced) for entry in foreign)
    assert sum(entry["type"].endswith(".killed") for entry in foreign) == 1
    # A large document of theirs travels with the kill, which it is checked by, and no other one does.
    blobs = {path.name for path in (tmp_path / "shop/extra/blobs").iterdir()}
    theirs = {b.digest[7:] for b in Blob.objects.filter(content__contains="theirs-")}
    assert len(theirs & blobs) == 2
    assert b"Live of the others" not in everything(tmp_path / "shop")
    assert b"Outsider" not in everything(tmp_path / "shop"), "nor the name of anybody who acts there alone"

    disclosed = [json.loads(line) for line in (tmp_path / "shop/disclosures.ndjson").read_text().splitlines()]
    shop = Event.objects.filter(project="shop")
    assert {each["index"] for each in disclosed} == set(
        Disclosure.objects.filter(event__in=shop).values_list("event__index", flat=True)
    )
    assert len(disclosed) == told.disclosures

    with pytest.raises(BundleError):
        verify_bundle(tmp_path / "shop", trust(max_withheld=report.withheld - 1))
    for name in ("entries.ndjson", "disclosures.ndjson", "manifest"):
        refused_once_changed(tmp_path / "shop", name)


def test_a_bundle_of_a_span_of_time_leaves_out_the_rest(cast: Cast, tmp_path: Path) -> None:
    cast.flag()
    since = Event.objects.latest("index").time + timedelta(microseconds=1)
    cast.approve(cast.propose())
    until = Event.objects.latest("index").time + timedelta(microseconds=1)
    cast.flag("later")
    checkpoint = exported(cast, tmp_path / "bundle", since=since, until=until)
    report = verify_bundle(tmp_path / "bundle", trust())
    chosen = checkpoint.log.events.filter(time__gte=since, time__lt=until)
    types = [entry.get("type") for entry in entries(tmp_path / "bundle")]
    assert types.count("flags.v1.configuration.updated") == 1
    assert types.count("flags.v1.flag.created") == 0
    assert report.disclosed == Disclosure.objects.filter(event__in=chosen).count() > 0


def test_a_filtered_bundle_follows_an_earlier_one(neighbours: Cast, tmp_path: Path) -> None:
    first = exported(neighbours, tmp_path / "one", projects=("shop",))
    neighbours.approve(neighbours.propose(OFF))
    exported(neighbours, tmp_path / "two", projects=("shop",), first=first.size)
    reports = verify_bundles([tmp_path / "one", tmp_path / "two"], trust())
    assert len(reports[1].log_vouched) == 1


def test_names_of_people_can_stay_at_home(neighbours: Cast, tmp_path: Path) -> None:
    exported(neighbours, tmp_path / "bundle", disclosures=False)
    report = verify_bundle(tmp_path / "bundle", trust())
    assert (report.disclosed, report.withheld) == (0, 0)
    assert b"Author" not in everything(tmp_path / "bundle")


def test_the_event_of_an_export_says_who_took_what(cast: Cast) -> None:
    size = sign_current().size
    selection = Selection(
        first=size, projects=("shop",), since=datetime(2026, 1, 1, tzinfo=UTC), disclosures=False
    )
    event = record_export(cast.actor("auditor"), selection).event
    data = json.loads(event.line)["data"]
    assert data["actor"]["id"] == cast.users["auditor"].pseudonym
    assert data["filter"] == {"projects": ["shop"], "since": "2026-01-01T00:00:00.000000Z"}
    assert (data["first"], data["disclosures"]) == (size, False)
    assert recorded(event).selection == selection


# --- whole or not at all -------------------------------------------------------------------------


def test_of_two_exports_to_one_directory_one_wins_and_nothing_of_the_other_stays(
    committed_cast: Cast, tmp_path: Path
) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def export() -> None:
        try:
            barrier.wait()
            exported(committed_cast, tmp_path / "out/bundle")
            outcomes.append("made")
        except FileExistsError:
            outcomes.append("refused")
        finally:
            connections.close_all()

    running = [threading.Thread(target=export) for _ in range(2)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert sorted(outcomes) == ["made", "refused"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bundle"]
    verify_bundle(tmp_path / "out/bundle", trust())


def test_what_a_killed_export_left_is_removed_by_the_next_and_a_running_one_is_not(tmp_path: Path) -> None:
    def endless() -> Iterator[tuple[str, Iterator[bytes]]]:
        yield "checkpoint", iter([b"begun"])
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        bundle_directory.write(tmp_path / "bundle", endless())
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".partial")

    def while_another_runs() -> Iterator[tuple[str, Iterator[bytes]]]:
        running = set(tmp_path.iterdir())
        assert left not in running
        yield "checkpoint", iter([b"one"])
        bundle_directory.write(tmp_path / "bundle", iter([("checkpoint", iter([b"two"]))]))
        assert running < set(tmp_path.iterdir())

    with pytest.raises(FileExistsError, match="meanwhile"):
        bundle_directory.write(tmp_path / "bundle", while_another_runs())
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (tmp_path / "bundle/checkpoint").read_text() == "two"


def test_a_download_that_breaks_off_is_no_bundle(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    cast.flag()
    export = record_export(cast.actor("auditor"), Selection())
    whole = b"".join(bundle_zip.stream("evidence", export.members()))
    with zipfile.ZipFile(BytesIO(whole)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[-1] == "evidence/manifest"
    monkeypatch.setattr(bundle_zip, "PIECE", 1)
    monkeypatch.setattr(bundle.tree, "leaf_hash", lambda entry: b"x" * 32)
    arrived: list[bytes] = []
    with pytest.raises(LedgerError, match="nothing was exported"):
        arrived.extend(bundle_zip.stream("evidence", export.members()))
    assert arrived
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(BytesIO(b"".join(arrived)))


def test_the_command_takes_the_same_choices(neighbours: Cast, tmp_path: Path) -> None:
    size = sign_current().size
    call_command(
        "export_bundle", str(tmp_path / "a"), "--first", str(size), "--without-disclosures", verbosity=0
    )
    assert verify_bundle(tmp_path / "a", trust(), integrity_only=True).first == size
    options = ["--previous", str(size), "--project", "shop", "--since", "2026-01-01T00:00:00Z"]
    call_command("export_bundle", str(tmp_path / "b"), *options)
    assert verify_bundle(tmp_path / "b", trust()).withheld > 0
    for wrong in (["--project", "nowhere"], ["--first", "1"], ["--since", "2026-01-01"]):
        with pytest.raises(CommandError):
            call_command("export_bundle", str(tmp_path / "c"), *wrong)
    assert not (tmp_path / "c").exists()
