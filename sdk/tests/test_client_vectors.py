"""The vectors that are stories of a client and its server; a step is one poll, or one question."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack

import pytest
from flag_server import FlagServer, flag_server
from test_vectors import REFUSALS, answer, bytes_of, cases, document, expected

from countersign import Client

STORIES = document("clients")


class Clock:
    """The time as the client sees it; a step moves it on."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def polling(server: FlagServer, max_staleness: float | None) -> Client:
    """A client whose polls a story tells, one by one: its own came too early, and the next is a day away."""
    server.status = 503
    client = Client(server.dsn(*STORIES["verify"]), poll_interval=86_400, max_staleness=max_staleness)
    deadline = time.monotonic() + 10
    while not client.status().failures:
        assert time.monotonic() < deadline, "the first poll did not come"
        time.sleep(0.001)
    return client


def answers(server: FlagServer, client: Client, what: object) -> None:
    """One poll, which the server answers so."""
    server.status = 200 if isinstance(what, str) or what == 304 else what
    if isinstance(what, str):
        server.raw, server.etag = bytes_of(STORIES["files"][what]), f'"{what}"'
    elif what == 304:
        server.etag = client.status().etag
    client._poll_once()


@pytest.mark.parametrize("case", cases("clients"))
def test_a_client_does_what_the_story_says(case, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("countersign.client.time", clock)
    with ExitStack() as stack:
        if "file" in case:
            (tmp_path / "snapshot").write_bytes(bytes_of(STORIES["files"][case["file"]]))
            client = Client.from_file(tmp_path / "snapshot", verify=STORIES["verify"])
        else:
            server = stack.enter_context(flag_server())
            client = stack.enter_context(polling(server, case.get("max_staleness")))
        for step in case["steps"]:
            if "server" in step:
                answers(server, client, step["server"])
                error = client.status().last_error
                if "refused" in step:
                    assert re.search(REFUSALS[step["refused"]], error)
                else:
                    assert (error is None) == (step["server"] != 503)
            elif "wait" in step:
                clock.ahead += step["wait"]
            elif "stale" in step:
                assert client.status().stale is step["stale"]
            elif "all" in step:
                assert client.get_all() == step["all"]
            else:
                result = client.evaluate(step["ask"], {}, step.get("type"))
                assert answer(result) == expected(step["expect"])
