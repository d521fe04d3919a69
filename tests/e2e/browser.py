"""People at browsers: each with a context of their own in one headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.installation import Installation

# Without these, Chromium calls home, which a closed network refuses many times a second.
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def sign_in(page: Page, username: str, password: str) -> None:
    """From the sign-in page to the one that follows it."""
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    # Not before the answer: going elsewhere while the form is on its way would cancel the sign-in.
    page.wait_for_url(lambda url: "/admin/login" not in url)


class Chromium:
    """One headless Chromium for the tests of a module, as a context manager."""

    def __enter__(self) -> Chromium:
        self._playwright = sync_playwright().start()
        self.browser: Browser = self._playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(_QUIET)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.browser.close()
        self._playwright.stop()

    @contextmanager
    def person(
        self, installation: Installation, username: str, forgive: str = "", **options: object
    ) -> Iterator[Page]:
        """Somebody of the demo, signed in, on the page that follows the sign-in. The rest as `stranger`."""
        with self.stranger(installation, forgive, **options) as page:
            page.goto("/admin/login/")
            sign_in(page, username, installation.demo["users"][username]["password"])
            yield page

    @contextmanager
    def stranger(self, installation: Installation, forgive: str = "", **options: object) -> Iterator[Page]:
        """Somebody who is not signed in.

        `forgive`: a part of those complaints of the browser that the test brings about.
        """
        context = self.browser.new_context(
            base_url=installation.base_url,
            accept_downloads=True,
            viewport={"width": 1440, "height": 900},
            **options,  # type: ignore[arg-type]
        )
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "response",
            lambda answer: answer.status >= 400 and problems.append(f"{answer.status} {answer.url}"),
        )
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        try:
            yield page
            left = [each for each in problems if not forgive or forgive not in each]
            assert not left, f"the browser's console: {left}"
        finally:
            context.close()
