"""What the tests of bundles share: a check that a ledger's export is accepted, or refused and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_writer import Ledger, trust, write

from countersign.bundle import BundleError, Report, verify_bundle


@pytest.fixture
def accept(tmp_path: Path) -> Callable[..., Report]:
    """Export a ledger and verify it; keyword ``policy`` holds members of the trust file."""

    def check(ledger: Ledger, *, policy: dict[str, Any] | None = None, **options: Any) -> Report:
        bundle = write(tmp_path / f"bundle-{len(list(tmp_path.iterdir()))}", ledger, **options)
        return verify_bundle(bundle, trust(ledger, **(policy or {})))

    return check


@pytest.fixture
def refuse(accept: Callable[..., Report]) -> Callable[..., str]:
    """Export a ledger that must be refused, for a reason that holds ``reason``; returns the line."""

    def check(ledger: Ledger, reason: str, **options: Any) -> str:
        with pytest.raises(BundleError) as refusal:
            accept(ledger, **options)
        line = str(refusal.value)
        assert reason in line
        assert line.isprintable()
        return line

    return check
