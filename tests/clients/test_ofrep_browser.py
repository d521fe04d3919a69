"""The published web provider in a real browser, on a page of another origin than the flags come from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.clients.conftest import HERE
from tests.e2e.browser import Chromium
from tests.e2e.conftest import chromium as chromium
from tests.read_plane.granian import Granian
from tests.read_plane.publisher import CLIENT_KEY, SERVER_KEY

ANN = {"targetingKey": "ann"}
BOB = {"targetingKey": "bob", "plan": "gold"}
ON = {"value": True, "reason": "TARGETING_MATCH", "errorCode": None}


class _Files(SimpleHTTPRequestHandler):
    """This folder, without a word on the console."""

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(node: object) -> Iterator[str]:
    """The origin of a site that serves the page and the modules as they were published."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(HERE))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def open_server(serve: Callable[..., Granian], site: str) -> Granian:
    """A server whose client-side key allows the site."""
    return serve(origins=[site])


@contextmanager
def page_of(chromium: Chromium, site: str) -> Iterator[Page]:
    context = chromium.browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{site}/ofrep_page.html")
        page.wait_for_function("typeof window.resolve === 'function'")
        yield page
    finally:
        context.close()


def resolve(page: Page, server: Granian, **task: Any) -> dict[str, Any]:
    given = {"key": CLIENT_KEY, "context": ANN, "flags": ["default", "secret"], "answers": 0, **task}
    return page.evaluate("task => window.resolve(task)", {"url": server.url, **given})


@pytest.mark.parametrize("field", ["Authorization", "X-API-Key"])
def test_a_page_whose_origin_the_key_allows_gets_and_polls_flags(
    chromium: Chromium, site: str, open_server: Granian, field: str
) -> None:
    with page_of(chromium, site) as page:
        told = resolve(
            page,
            open_server,
            field=field,
            next=BOB,
            answers=3,
            flags=["default", "rule", "string", "missing"],
        )
    assert told["failure"] is None
    assert told["before"]["default"] == ON
    assert told["before"]["rule"]["value"] is False
    assert told["before"]["string"]["errorCode"] == "TYPE_MISMATCH"
    assert told["before"]["missing"]["errorCode"] == "FLAG_NOT_FOUND"
    assert told["after"]["default"]["value"] is False
    assert told["after"]["rule"] == ON
    first, *polled = told["seen"]
    assert (first[0], first[1] is not None) == (200, True), "the page may read the ETag"
    assert polled
    assert {status for status, *_ in polled} == {304}


def test_a_page_of_another_origin_gets_nothing(chromium: Chromium, site: str, server: Granian) -> None:
    with page_of(chromium, site) as page:
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        told = resolve(page, server)
        assert told["failure"] == "OFREPApiFetchError"
        assert told["seen"] == []
        assert told["before"]["default"]["value"] is False
        assert any("blocked by CORS policy" in text for text in refused)


def test_a_server_side_key_is_of_no_use_to_a_page(
    chromium: Chromium, site: str, open_server: Granian
) -> None:
    with page_of(chromium, site) as page:
        told = resolve(page, open_server, key=SERVER_KEY)
    assert told["failure"] == "OFREPApiFetchError", "the preflight passes, the answer may not be read"
    assert told["before"]["default"]["value"] is False


def test_a_page_can_read_that_its_key_is_not_known_and_how_long_to_wait(
    chromium: Chromium, site: str, serve: Callable[..., Granian]
) -> None:
    limited = serve(origins=[site], READ_PLANE_ADDRESS_RATE="1")
    with page_of(chromium, site) as page:
        told = resolve(page, limited, key="unknown")
        assert told["failure"] is not None
        assert told["seen"][0] == [401, None, None]
        told = resolve(page, limited, answers=3)
    assert [status for status, *_ in told["seen"]] == [200, 304, 429]
    assert told["seen"][-1][2] == "1", "the page may read Retry-After, and the provider keeps to it"
