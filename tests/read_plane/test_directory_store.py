"""The last-known-good directory survives what disks do."""

import errno
import os

import pytest

from distribution.read_plane.directory_store import DirectoryStore

from .publisher import PRODUCTION, STAGING


@pytest.fixture
def root(tmp_path):
    return tmp_path / "kept"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(root, publisher, monkeypatch):
    store = DirectoryStore(root)
    old = publisher.snapshot(1)
    store.put_snapshot(PRODUCTION, old)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.put_snapshot(PRODUCTION, publisher.snapshot(2))
    assert store.get_snapshot(PRODUCTION) == old
    assert [path.name for path in (root / "shop").iterdir()] == ["production.snapshot"]


def test_files_that_cannot_be_read_are_left_out_of_the_versions(root, publisher):
    store = DirectoryStore(root)
    store.put_snapshot(STAGING, publisher.snapshot(7, environment=STAGING))
    (root / "shop" / "production.snapshot").mkdir()
    for name, content in {
        "a": b"",
        "b": b"\n\n\n\n",
        "c": b"x\ny\nz\nversion many\n",
        "d": b"\xff" * 5000,
    }.items():
        (root / "shop" / f"{name}.keyring").write_bytes(content)
    (root / "not a project").mkdir()
    (root / "not a project" / "x.snapshot").write_bytes(publisher.snapshot(7))
    assert store.versions() == {STAGING: (7, 0)}


def test_a_damaged_file_that_claims_a_great_version_is_replaced(root, publisher):
    store = DirectoryStore(root)
    store.put_snapshot(PRODUCTION, publisher.snapshot(999_999))
    store.put_snapshot(PRODUCTION, publisher.snapshot(3))
    assert store.versions() == {PRODUCTION: (3, 0)}


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../b", "shop", "/a/b", "a/b/c", "", "a/.b"])
def test_only_environments_have_files(root, name):
    with pytest.raises(ValueError, match="environment"):
        DirectoryStore(root).put_snapshot(name, b"x")
    assert not root.exists()


def test_others_on_the_machine_cannot_read_it(root, publisher):
    DirectoryStore(root).put_keyring(PRODUCTION, publisher.keyring())
    assert (root / "shop" / "production.keyring").stat().st_mode & 0o077 == 0
