"""`make run`: the second start goes on where the first one ended."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.installation import ROOT, Installation


def test_a_second_start_keeps_the_data_and_says_so(embedded: Installation) -> None:
    before = embedded.demo
    embedded.stop()
    embedded.start()
    assert embedded.demo == before
    assert "There is data already" in embedded.log()


@pytest.mark.parametrize("command", ["serve", "start_demo"])
def test_a_port_that_somebody_listens_on_is_refused_even_if_they_would_share_it(
    command: str, tmp_path: Path
) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        newcomer = Installation(tmp_path / "data", port=listener.getsockname()[1])
        refused = subprocess.run(
            [sys.executable, "manage.py", command],
            cwd=ROOT,
            env=newcomer.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert refused.returncode == 1
    assert f"Something listens on 127.0.0.1:{newcomer.port} already" in refused.stderr
    assert "COUNTERSIGN_PORT" in refused.stderr
    assert not (newcomer.directory / "countersign.sqlite3").exists(), "nothing was made"


def test_the_demo_s_evidence_is_accepted_and_refused_once_a_byte_differs(
    embedded: Installation, tmp_path_factory: object
) -> None:
    import random
    import shutil

    from countersign.bundle import BundleError, Trust, verify_bundle

    base: Path = tmp_path_factory.mktemp("evidence")  # type: ignore[attr-defined]
    bundle = base / "bundle"
    embedded.manage("export_bundle", str(bundle))
    trust = Trust.parse(embedded.manage("ledger_trust").encode())
    report = verify_bundle(bundle, trust)
    assert report.size > 300
    draw = random.Random(7)  # noqa: S311  (which bytes to change, the same in every run)
    for file in sorted(path for path in bundle.rglob("*") if path.is_file()):
        original = file.read_bytes()
        for position in {0, len(original) - 1, *(draw.randrange(len(original)) for _ in range(15))}:
            changed = bytearray(original)
            changed[position] ^= 1 << draw.randrange(8)
            file.write_bytes(changed)
            try:
                verify_bundle(bundle, trust)
            except BundleError:
                continue
            finally:
                file.write_bytes(original)
            raise AssertionError(f"{file.name}: byte {position} was changed and the bundle accepted")
    shutil.rmtree(base)
