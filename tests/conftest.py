"""Shared fixtures. `cast` rolls back; `committed_cast` works on a database of its own that really commits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import setup_databases, teardown_databases

from flags.admin import flag_search
from tests.cast import Cast, assemble, standing
from tests.replay import Replay

_copies = count(1)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """The migrated test database, also where a run has only tests that work on copies of it."""
    with django_db_blocker.unblock():
        configured = setup_databases(verbosity=0, interactive=False)
    yield
    with django_db_blocker.unblock():
        teardown_databases(configured, verbosity=0)


@pytest.fixture(autouse=True)
def no_checkpoint_of_another_test(settings: Any) -> None:
    """What a host keeps outside the database belongs to one database, and each test has its own."""
    (settings.DATA_DIR / "last-known-good" / "checkpoint").unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]


@pytest.fixture(autouse=True)
def nothing_remembered_of_another_test() -> None:
    """What is kept by an environment's revision would be wrong where a test rolled that back."""
    flag_search.served.cache_clear()


@pytest.fixture
def own_keys(settings: Any, tmp_path: Path) -> Path:
    """A directory of the test's own with the present keys, which it may rotate; returns that of the keys."""
    data = tmp_path / "data"
    shutil.copytree(settings.DATA_DIR / "keys", data / "keys")
    settings.DATA_DIR = data
    return data / "keys"


_cast = Replay(assemble)


@pytest.fixture
def cast(db: None) -> Cast:
    _cast.write()
    return standing()


_banner = Replay(lambda: standing().flag())


@pytest.fixture
def banner(cast: Cast) -> None:
    """The flag `banner` of the shop, as `Cast.flag` makes it."""
    _banner.write()


@pytest.fixture(scope="session")
def cast_database(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A copy of the migrated test database in which the cast stands: made once, to be copied."""
    template = connections.settings["default"]["NAME"]
    with django_db_blocker.unblock():
        made = _copy(template, tmp_path_factory.mktemp("cast"))
        _use(made)
        try:
            assemble()
        finally:
            connections.close_all()
            _use(template)
        yield made
        _remove(made)


@pytest.fixture
def committed_database(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any, tmp_path: Path
) -> Iterator[None]:
    """A copy of the migrated test database, with the cast where it is asked for; thrown away afterwards.

    Append-only triggers make emptying tables fail, as they should, and no test switches a trigger off.
    """
    template = connections.settings["default"]["NAME"]
    wants_cast = "committed_cast" in request.fixturenames
    source = request.getfixturevalue("cast_database") if wants_cast else template
    with django_db_blocker.unblock():
        copy = _copy(source, tmp_path)
        _use(copy)
        try:
            yield
        finally:
            connections.close_all()
            _use(template)
            _remove(copy)


def _copy(source: str, directory: Path) -> str:
    connections.close_all()
    if connection.vendor == "sqlite":
        copy = str(directory / "committed.sqlite3")
        shutil.copy(source, copy)
    else:
        copy = f"{connections.settings['default']['NAME']}_{next(_copies)}"
        _administer(f'CREATE DATABASE "{copy}" TEMPLATE "{source}"')
    return copy


def _remove(copy: str) -> None:
    if connection.vendor != "sqlite":
        _administer(f'DROP DATABASE "{copy}" WITH (FORCE)')


class Backups:
    """Backups of the committed database: taken, and put back in place of what stands there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: list[str] = []

    def take(self) -> str:
        connections.close_all()
        name = connections.settings["default"]["NAME"]
        if connection.vendor == "sqlite":
            copy = str(self._directory / f"backup-{len(self._made)}.sqlite3")
            shutil.copy(name, copy)
        else:
            copy = f"{name}_backup_{len(self._made)}"
            _administer(f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')
        self._made.append(copy)
        return copy

    def restore(self, backup: str) -> None:
        """The backup itself is used from now on; each can be restored once."""
        connections.close_all()
        _use(backup)

    def remove(self) -> None:
        connections.close_all()
        if connection.vendor != "sqlite":
            if hasattr(connection, "close_pool"):
                connection.close_pool()
            for copy in self._made:
                _administer(f'DROP DATABASE "{copy}" WITH (FORCE)')


@pytest.fixture
def backups(committed_database: None, tmp_path: Path) -> Iterator[Backups]:
    made = Backups(tmp_path)
    yield made
    made.remove()


@pytest.fixture
def committed_cast(committed_database: None) -> Cast:
    return standing()


def _use(name: str) -> None:
    connections.settings["default"]["NAME"] = name
    connection.settings_dict["NAME"] = name
    if hasattr(connection, "close_pool"):
        connection.close_pool()


def _administer(statement: str) -> None:
    import psycopg

    if hasattr(connection, "close_pool"):
        connection.close_pool()
    host = connections.settings["default"]["OPTIONS"]["host"]
    with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as server:
        server.execute(statement)
