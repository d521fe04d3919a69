"""Published flagd clients decide from our document as our evaluator does: 10,000 contexts for each flag."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.flagd_agreement import CLIENTS, differences, random_snapshot


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("seed", range(2))
def test_no_decision_differs(client: str, seed: int, tmp_path: Path) -> None:
    source, snapshot = random_snapshot(seed, 15, CLIENTS[client][1])
    for _ in range(10):
        contexts = source.contexts(1000, ascii_units=client == "Node")
        assert differences(client, snapshot, contexts, tmp_path) == []
