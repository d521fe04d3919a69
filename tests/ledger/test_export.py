"""The bundle: accepted by a verifier that shares no code with the exporter, and by nobody once changed."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from access.permissions import system_actor
from audit import bundle, bundle_directory, export, tree
from audit.export import export_bundle
from audit.ledger import LedgerError, trusted_log
from audit.models import Blob, Disclosure, Event
from countersign.bundle import BundleError, Report, Trust, verify_bundle
from tests.cast import Cast, standing
from tests.ledger.busy_log import fill
from tests.replay import Replay


def trust(**members: Any) -> Trust:
    required = ["project/shop/environment/production/"]
    policy = {"review_required": required, "accept_log_vouched": True, **members}
    return Trust.parse(json.dumps({**trusted_log(), **policy}).encode())


_filled = Replay(lambda: fill(standing()))


@pytest.fixture
def busy(cast: Cast) -> Cast:
    _filled.write()
    return cast


def exported(cast: Cast, directory: Path) -> Report:
    export_bundle(cast.actor("auditor"), directory)
    return verify_bundle(directory, trust())


def test_the_bundle_of_a_busy_log_is_accepted(busy: Cast, tmp_path: Path) -> None:
    report = exported(busy, tmp_path / "bundle")
    assert report.size == Event.objects.count()
    assert len(report.emergency) == 1
    assert report.emergency_unreviewed == ()
    assert len(report.log_vouched) >= 7
    assert report.disclosed == Disclosure.objects.count()
    last = Event.objects.get(index=report.size - 1)
    assert last.type == "ledger.v1.exported"


def test_the_trust_file_that_the_server_prints_accepts_it(busy: Cast, tmp_path: Path) -> None:
    export_bundle(busy.actor("auditor"), tmp_path / "bundle")
    out = io.StringIO()
    call_command("ledger_trust", stdout=out)
    report = verify_bundle(tmp_path / "bundle", Trust.parse(out.getvalue().encode()))
    assert report.size == Event.objects.count()


def test_a_bundle_of_an_empty_installation_is_accepted(db: None, tmp_path: Path) -> None:
    export_bundle(system_actor("command-line"), tmp_path / "bundle")
    assert verify_bundle(tmp_path / "bundle", trust()).size == 2


def test_without_a_review_where_one_is_required_the_bundle_is_refused(busy: Cast, tmp_path: Path) -> None:
    export_bundle(busy.actor("auditor"), tmp_path / "bundle")
    development = ["project/shop/environment/development/"]
    with pytest.raises(BundleError):
        verify_bundle(tmp_path / "bundle", trust(review_required=development))
    with pytest.raises(BundleError):
        verify_bundle(tmp_path / "bundle", trust(max_emergency=0))


def test_large_values_travel_as_blobs(busy: Cast, tmp_path: Path) -> None:
    exported(busy, tmp_path / "bundle")
    named = {
        value["blob"].removeprefix("sha256:")
        for event in Event.objects.filter(type__startswith="flags.v1.configuration.")
        for value in (json.loads(event.line)["data"][name] for name in ("before", "after"))
        if value and "blob" in value
    }
    assert len(named) >= 3
    assert named <= {path.name for path in (tmp_path / "bundle/extra/blobs").iterdir()}


def test_an_erased_person_is_missing_from_the_disclosures_only(busy: Cast, tmp_path: Path) -> None:
    Disclosure.objects.filter(value="Author").delete()
    report = exported(busy, tmp_path / "bundle")
    assert report.erased > 0
    assert "Author" not in (tmp_path / "bundle/disclosures.ndjson").read_text()


def test_any_changed_byte_of_any_file_is_refused(busy: Cast, tmp_path: Path) -> None:
    bundle, copy = tmp_path / "bundle", tmp_path / "copy"
    exported(busy, bundle)
    shutil.copytree(bundle, copy)
    asked = trust()
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        for at in {0, len(raw) - 1, *range(7, len(raw), max(1, len(raw) // 12))}:
            path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
            with pytest.raises(BundleError):
                verify_bundle(copy, asked)
        path.write_bytes(raw[:-1])
        with pytest.raises(BundleError):
            verify_bundle(copy, asked)
        path.unlink()
        with pytest.raises(BundleError):
            verify_bundle(copy, asked)
        path.write_bytes(raw)
    (copy / "extra").mkdir(exist_ok=True)
    (copy / "extra" / "note").write_text("added")
    with pytest.raises(BundleError):
        verify_bundle(copy, asked)
    (copy / "extra" / "note").unlink()
    verify_bundle(copy, asked)


def test_a_directory_that_exists_is_left_alone(cast: Cast, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    events = Event.objects.count()
    with pytest.raises(FileExistsError, match="exists already"):
        export_bundle(cast.actor("auditor"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert Event.objects.count() == events


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_full_disk_leaves_nothing_behind(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole, left = bundle_directory._put, [after]

    def put(*arguments: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(bundle_directory, "_put", put)
        with pytest.raises(OSError, match="No space left"):
            export_bundle(cast.actor("auditor"), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
    exported(cast, tmp_path / "bundle")


def test_stored_events_that_were_changed_are_not_exported(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, seen = tree.leaf_hash, [0]

    def changed(entry: bytes) -> bytes:
        seen[0] += 1
        return whole(entry.replace(b"shop", b"spoh") if seen[0] == 5 else entry)

    with pytest.raises(LedgerError, match="nothing was exported"):
        _export_with(changed, cast, tmp_path, monkeypatch)
    assert list(tmp_path.iterdir()) == []


def _export_with(changed: Any, cast: Cast, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Export with what the database gives changed on its way, after the export itself was recorded."""
    signed = export.sign_current

    def sign() -> Any:
        checkpoint = signed()
        monkeypatch.setattr(tree, "leaf_hash", changed)
        return checkpoint

    monkeypatch.setattr(export, "sign_current", sign)
    export_bundle(cast.actor("auditor"), directory / "bundle")


@pytest.mark.parametrize("stored", [None, "{}"], ids=["missing", "changed"])
def test_a_large_value_that_is_not_what_the_event_names_is_not_exported(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: str | None
) -> None:
    digest = f"sha256:{'0' * 64}"
    if stored is not None:
        Blob.objects.create(digest=digest, content=stored)
    monkeypatch.setattr(bundle, "_blobs_named", lambda line: {digest})
    with pytest.raises(LedgerError, match="nothing was exported"):
        export_bundle(cast.actor("auditor"), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
