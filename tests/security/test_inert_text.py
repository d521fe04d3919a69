"""What people and strangers type is text in log lines too: it begins none."""

from __future__ import annotations

import io
import logging
import logging.config
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from config.log_lines import Lines, inert
from tests.api.conftest import Api
from tests.cast import ON, Cast

FORGED = "2026-11-25 12:00:00 INFO audit.recording flags.v1.flag.created by root"


@pytest.fixture
def api(cast: Cast, banner: None) -> Api:
    return Api(cast)


@pytest.fixture
def log() -> Any:
    """What the server's own formatter writes, of everything."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    configured = settings.LOGGING["formatters"]["line"]
    assert configured["()"] == "config.log_lines.Lines"
    handler.setFormatter(Lines(configured["format"]))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield out
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_nothing_that_a_request_carries_begins_a_log_line(api: Api, log: io.StringIO, end: str) -> None:
    user = api.cast.users["author"]
    user.first_name = f"Mara{end}{FORGED}"
    user.save()
    api.post("author", "change-requests", api.change(ON, rationale=f"why{end}{FORGED}"))
    client = Client(headers={"X-Request-Id": f"1{end}{FORGED}".encode("ascii", "ignore").decode()})
    client.get(f"/api/v1/nothing{end}{FORGED}")
    client.post("/admin/login/", {"username": f"x{end}{FORGED}", "password": "x"})
    logging.getLogger("anything").error("%s failed", f"name{end}{FORGED}")
    lines = log.getvalue().splitlines()
    assert any(FORGED in line for line in lines), "it is written, as text"
    assert not [line for line in lines if line.startswith("2026-11-25 12:00:00 INFO")]


def test_a_trace_cannot_pass_for_a_line(log: io.StringIO) -> None:
    try:
        raise ValueError(f"no such flag\n{FORGED}")
    except ValueError:
        logging.getLogger("anything").exception("It failed")
    assert not [line for line in log.getvalue().splitlines() if line.startswith(FORGED)]


def test_control_characters_are_written_out() -> None:
    assert inert("a\nb\x1b[2Jc\x00d\u202ee") == "a\\nb\\x1b[2Jc\\x00d\\u202ee"
    assert inert("Åsa Öst, 東京 🙂") == "Åsa Öst, 東京 🙂"
