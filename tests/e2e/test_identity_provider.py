"""Three people sign in through a real OpenID provider; their groups change there, and their rights here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.clients.conftest import HERE
from tests.clients.conftest import node as node
from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation, eventually, free_port

REVIEWERS, AUDITORS = "shop-reviewers", "shop-auditors"


@dataclass
class Company:
    """The provider of a company, and who is in which group there."""

    issuer: str
    file: Path
    process: subprocess.Popen[str]

    def puts(self, **groups: list[str]) -> None:
        people = {
            name: {"name": f"{name.title()} Acme", "email": f"{name}@acme.example", "groups": each}
            for name, each in groups.items()
        }
        self.file.write_text(json.dumps(people))

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=10)


@pytest.fixture(scope="module")
def company(
    node: object, embedded: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    port, file = free_port(), tmp_path_factory.mktemp("company") / "people.json"
    callback = f"{embedded.base_url}/sign-in/acme/callback/"
    process = subprocess.Popen(
        [str(shutil.which("node")), str(HERE / "openid_provider.mjs"), str(port), callback, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    made = Company(f"http://127.0.0.1:{port}", file, process)
    assert process.stdout is not None
    eventually(lambda: "listening" in str(process.stdout.readline()), "the provider listens")  # type: ignore[union-attr]
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def somebody(chromium: Chromium, embedded: Installation) -> Iterator[Page]:
    context = chromium.browser.new_context(base_url=embedded.base_url)
    try:
        yield context.new_page()
    finally:
        context.close()


def enter(page: Page, company: Company, name: str) -> None:
    """Choose Acme on the sign-in page, sign in there, agree, and come back."""
    page.goto("/admin/login/?next=/admin/home/")
    page.get_by_role("button", name="Sign in with Acme").click()
    page.wait_for_url(f"{company.issuer}/interaction/**")
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("x")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/admin/**")


def test_three_people_sign_in_and_their_groups_at_the_provider_are_their_rights(
    embedded: Installation, chromium: Chromium, company: Company
) -> None:
    with chromium.person(embedded, "admin") as admin:
        connect(admin, company)
    company.puts(ida=[REVIEWERS], omar=[AUDITORS], pia=[])
    with (
        somebody(chromium, embedded) as ida,
        somebody(chromium, embedded) as omar,
        somebody(chromium, embedded) as pia,
    ):
        for page, name in ((ida, "ida"), (omar, "omar"), (pia, "pia")):
            enter(page, company, name)
        assert holds(ida, "reviewer")
        assert holds(omar, "auditor")
        assert not sees_the_project(pia)

        company.puts(ida=[], omar=[AUDITORS], pia=[REVIEWERS])
        assert holds(ida, "reviewer"), "groups are read when somebody signs in"
        with somebody(chromium, embedded) as ida_again:
            enter(ida_again, company, "ida")
            assert not sees_the_project(ida_again)
        assert not sees_the_project(ida), "the session that was open lost them at once"
        with somebody(chromium, embedded) as pia_again:
            enter(pia_again, company, "pia")
            assert holds(pia_again, "reviewer")
        assert holds(pia, "reviewer"), "and so has the session that was open"
        assert holds(omar, "auditor")

        company.stop()
        assert holds(omar, "auditor"), "open sessions go on without the provider"
        with somebody(chromium, embedded) as late:
            late.goto("/admin/login/")
            late.get_by_role("button", name="Sign in with Acme").click()
            expect(late.get_by_text("Acme does not answer as it should")).to_be_visible()
            expect(late.get_by_label("Password")).to_be_visible()


def connect(admin: Page, company: Company) -> None:
    """An organisation administrator connects the provider on its pages, and says what groups give."""
    admin.goto("/admin/sign-in/new/")
    given = {
        "Name": "Acme",
        "Key": "acme",
        "Issuer": company.issuer,
        "Client id": "countersign",
        "Client secret": "a-secret-of-the-tests",
        "Scopes": "openid profile email groups",
    }
    for label, value in given.items():
        admin.get_by_label(label).first.fill(value)
    admin.get_by_role("button", name="Connect").click()
    admin.wait_for_url("**/admin/sign-in/acme/")
    for group, role in ((REVIEWERS, "reviewer"), (AUDITORS, "auditor")):
        admin.locator("#id_group").fill(group)
        admin.get_by_label("Gives").select_option(f"project/shop/{role}")
        admin.get_by_role("button", name="Add rule").click()
        expect(admin.get_by_text("Saved. It counts from")).to_be_visible()


def holds(page: Page, role: str) -> bool:
    """Whether the person in this browser has the role in the shop, as the API tells them."""
    answer = page.request.get("/api/v1/me")
    assert answer.status == 200, answer.text()
    return any(role in each["roles"] for each in answer.json()["projects"] if each["project"] == "shop")


def sees_the_project(page: Page) -> bool:
    return page.request.get("/admin/p/shop/flags/").status == 200
