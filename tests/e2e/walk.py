"""Every page of a running installation, found by following its links: one address for each route."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from django.urls import Resolver404, resolve
from playwright.sync_api import Error, Page

# Ends the session.
_NOT = ("/admin/logout/",)
_LINKS = "links => links.map(link => link.href)"


def walk(page: Page, *starts: str) -> Iterator[str]:
    """Go from page to page; yields the path of each while it is open in `page`, the first found of its route."""
    waiting, seen = deque(starts or ["/admin/"]), set()
    while waiting:
        path = waiting.popleft()
        route = _route(path)
        if route is None or route in seen:
            continue
        seen.add(route)
        try:
            page.goto(path)
        except Error as error:
            if "Download is starting" in str(error):
                continue
            raise
        shown = _route(urlsplit(page.url).path)
        if shown != route and shown in seen:
            continue
        seen.add(shown)
        waiting.extend(
            urlsplit(link).path
            for link in page.locator("a[href]").evaluate_all(_LINKS)
            if link.startswith(urljoin(page.url, "/admin/"))
        )
        yield urlsplit(page.url).path


def _route(path: str) -> str | None:
    if path in _NOT:
        return None
    try:
        return resolve(path).route
    except Resolver404:
        return None
