"""The examples of docs/api.md, docs/checks.md and docs/gate.md, run as they stand, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.e2e.installation import ROOT, Installation


def test_the_guide_to_the_api_runs_as_it_stands(embedded: Installation, tmp_path: Path) -> None:
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("api.md", "checks.md", "gate.md"))
    blocks = re.findall(r"^```sh\n(.*?)^```$", pages, re.M | re.S)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "URL": embedded.base_url, "DEMO": str(embedded.directory / "demo.json")},
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert printed.count("applied") >= 2
    assert "by rule germany" in printed
    assert "colour: is unknown here" in printed
    assert "Nothing was applied. Development is frozen until" in printed
    assert "would fail: in Development" in printed
    assert "unreachable-rule" in printed
    assert "CR-" in printed.rpartition("rebased as ")[2]
    assert "aborted by hand" in printed
    status, found = embedded.api("viewer", "GET", "configurations/shop/production/guided-tour")
    assert (status, found["on"]) == (200, False)
