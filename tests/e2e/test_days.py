"""A day of each who works at the desk: the product manager, on-call, the auditor, the administrator, the newcomer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.browser import Chromium, sign_in
from tests.e2e.installation import Installation, eventually
from tests.e2e.test_gate import OFF, ask, configured

PASSWORD = "a first passphrase for noor"


def send(page: Page) -> None:
    """The form of the page, by its main button."""
    page.locator("#content form button[type=submit].cs-primary").click()


def to(page: Page, name: str) -> None:
    """By the sidebar, where an icon goes before each name."""
    page.get_by_role("navigation").get_by_role("link", name=re.compile(f"{name}$")).click()


def test_the_product_manager_finds_a_flag_splits_it_and_sees_what_becomes_of_the_request(
    embedded: Installation, chromium: Chromium
) -> None:
    configured(embedded, "picnic", {**OFF, "enabled": True, "default": {"variant": "off"}})
    with chromium.person(embedded, "mara") as page:
        page.goto("/admin/p/shop/flags/")
        page.get_by_role("searchbox").first.fill("picn")
        expect(page.get_by_text("1 flag", exact=True)).to_be_visible()
        page.wait_for_url("**/flags/?q=picn")
        page.get_by_role("row").get_by_role("link", name="picnic").first.click()
        page.wait_for_url("**/flags/picnic/")
        page.get_by_role("link", name="Edit targeting in Production").click()
        page.get_by_label("What everyone else gets").select_option("split")
        share = page.get_by_label("Percent of").first
        share.fill("10")
        share.press("Tab")
        expect(page.locator("[data-effect]")).to_contain_text("90 %")
        page.get_by_role("button", name="Add to draft").click()

        # As a whole, before anybody else sees it.
        page.get_by_role("link", name="Review and propose").click()
        expect(page.get_by_text("1 flag, in 1 environment")).to_be_visible()
        expect(page.get_by_role("heading", name="Checks")).to_be_visible()
        page.get_by_label("Title").fill("Picnic for nine in ten")
        page.get_by_label("Why").fill("The weather is good enough.")
        page.get_by_label("Ticket").fill("SHOP-81")
        page.get_by_role("button", name="Ask for review").click()
        page.wait_for_url("**/requests/*/")

        to(page, "Change requests")
        page.get_by_role("link", name=re.compile("^(Mine|My requests|Yours)")).click()
        mine = page.get_by_role("link", name=re.compile("Picnic for nine in ten"))
        expect(mine).to_contain_text("0 of 1 approvals")
        expect(mine).to_contain_text("SHOP-81")


def test_on_call_kills_in_a_few_keys_is_told_what_that_ended_and_asks_for_it_again(
    embedded: Installation, chromium: Chromium
) -> None:
    split = {"by": "targetingKey", "seed": "geyser", "hash": "murmur3", "weights": [["on", 25], ["off", 75]]}
    configured(embedded, "geyser", {**OFF, "enabled": True, "default": {"split": split}})
    with chromium.person(embedded, "priya") as page:
        page.goto("/admin/p/shop/home/")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("combobox", name="Search or go to")).to_be_focused()
        page.keyboard.type("kill geys")
        option = page.get_by_role("option", name="Kill geyser in Production")
        expect(option).to_have_attribute("aria-selected", "true")
        expect(option).to_contain_text("25 %")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Kill geyser in Production?")).to_be_visible()
        page.get_by_role("button", name="Kill geyser in Production").press("Enter")
        expect(
            page.get_by_text(re.compile(r"off for everyone in Production\. Before that: .*25 %"))
        ).to_be_visible()
        eventually(lambda: embedded.evaluate("geyser")["value"] is False, "it is served no more")

        # What was killed stands in the audit, as the version before.
        page.wait_for_url("**/flags/geyser/")
        page.goto("/admin/p/shop/audit/?subject=geyser&type=flags.v1.configuration.updated")
        page.locator("summary", has_text="Flag changed in an environment").first.click()
        page.get_by_role("link", name="Restore this version").first.click()
        expect(page.get_by_text("Undoing a kill is an ordinary change; ask for it.")).to_be_visible()
        page.get_by_label("Why").fill("The pump is mended.")
        page.get_by_label("Ticket").fill("SHOP-82")
        page.get_by_role("button", name="Ask for this version").click()
        page.wait_for_url("**/requests/*/")
        address = page.url
    with chromium.person(embedded, "jonas") as page:
        page.goto(address)
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_text("Applied").first).to_be_visible()
    served = [f"customer-{number}" for number in range(40)]
    eventually(
        lambda: any(embedded.evaluate("geyser", targetingKey=each)["value"] for each in served), "it is back"
    )


def test_the_auditor_follows_an_event_to_its_approval_and_proves_it_offline(
    embedded: Installation, chromium: Chromium, tmp_path: Path
) -> None:
    subject = configured(embedded, "turnstile")
    made = ask(
        embedded, [{"subject": subject, "after": {**OFF, "enabled": True}}], 1, title="Open", ticket="SHOP-83"
    )
    embedded.api("reviewer", "POST", f"change-requests/{made['number']}/approve", {"digest": made["digest"]})
    with chromium.person(embedded, "tom") as page:
        page.goto("/admin/p/shop/audit/")
        page.get_by_role("searchbox", name="Flag or segment").fill("turnstile")
        page.get_by_role("combobox", name=re.compile("^Environment")).select_option(label="Production")
        page.wait_for_url("**environment=production**")
        page.locator("summary", has_text="Flag changed in an environment").first.click()
        page.get_by_role("link", name=re.compile("permanent link")).first.click()
        page.wait_for_url("**/audit/*/")
        facts = page.locator("dl").first
        for told in ("Jonas Weber", "SHOP-83"):
            expect(facts).to_contain_text(told)
        files = []
        for name in ("Download proof", "Download line"):
            with page.expect_download() as download:
                page.get_by_role("link", name=name).click()
            files.append(tmp_path / download.value.suggested_filename)
            download.value.save_as(files[-1])
        page.get_by_role("link", name=re.compile("^CR-.* Open")).click()
        expect(page.get_by_text("SHOP-83").first).to_be_visible()
        expect(page.get_by_text("Jonas Weber").first).to_be_visible()

        # The bundle is recorded once, however often one clicks.
        to(page, "Audit")
        page.get_by_role("link", name="Export evidence").click()
        posted = []
        page.on("request", lambda request: request.method == "POST" and posted.append(request.url))
        with page.expect_download():
            page.get_by_role("button", name="Record and download").dblclick()
        assert len(posted) == 1
    trust = tmp_path / "trust.json"
    trust.write_text(embedded.manage("ledger_trust"))
    proof, line = files
    command = [str(Path(sys.executable).with_name("countersign")), "verify-proof", str(proof), str(line)]
    proved = subprocess.run(
        [*command, "--trust", str(trust)], capture_output=True, text=True, check=False, env={}, cwd="/"
    )
    assert proved.returncode == 0, proved.stderr


def test_an_administrator_sets_up_a_project_and_a_newcomer_finds_the_way_in(
    embedded: Installation, chromium: Chromium
) -> None:
    with chromium.person(embedded, "admin") as page:
        page.goto("/admin/accounts/")
        page.get_by_role("link", name="New account").click()
        page.get_by_label("Username").fill("noor")
        page.get_by_label("First name").fill("Noor")
        page.get_by_label("Last name").fill("Berg")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("The same again").fill(PASSWORD)
        send(page)
        expect(page.get_by_text("Account Noor Berg made. Next: a role")).to_be_visible()

        page.goto("/admin/projects/new/")
        page.get_by_label("Name").fill("Garden")
        page.get_by_role("textbox", name="Key required").fill("garden")
        send(page)
        to(page, "Home")
        expect(page.get_by_text("0 of 4 done")).to_be_visible()
        page.get_by_role("link", name="New environment").click()
        page.get_by_label("Key").fill("live")
        page.get_by_label("Name").fill("Live")
        page.get_by_label("Kind").select_option(label="Production")
        send(page)
        page.get_by_role("link", name="Add policy for Live").click()
        page.get_by_label("Key").fill("live")
        page.get_by_label("Name").fill("Live")
        page.get_by_label("Approvals").fill("1")
        page.get_by_label("Why", exact=True).fill("Nothing goes live alone.")
        send(page)
        to(page, "Environments")
        expect(page.get_by_text("1 approval").first).to_be_visible()

        page.get_by_role("link", name="New SDK key for Live").click()
        page.get_by_label("Used by").fill("greenhouse")
        page.get_by_role("button", name="Make key").click()
        expect(page.get_by_text("Copy this now. It is shown once.")).to_be_visible()
        secret = page.get_by_label("SDK key", exact=True).input_value()
        page.get_by_role("link", name="Back to the environments").click()
        expect(page.get_by_role("link", name="Revoke greenhouse")).to_be_visible()
        assert secret not in page.content()

        with chromium.stranger(embedded) as noor:
            noor.goto("/admin/")
            sign_in(noor, "noor", PASSWORD)
            expect(noor.get_by_role("heading", name="You are in no project yet")).to_be_visible()
            expect(noor.get_by_text("Alex Admin")).to_be_visible()
            expect(noor.get_by_role("code").filter(has_text="noor")).to_be_visible()

            to(page, "People")
            page.get_by_label("Person, team or service account").fill("noor")
            page.get_by_role("combobox", name=re.compile("^Role")).select_option(label="Editor")
            page.get_by_role("button", name="Give role").click()
            expect(page.get_by_role("link", name="Noor Berg", exact=True)).to_be_visible()

            # Who takes the whole evidence out is an auditor of every project.
            page.get_by_label("Person, team or service account").fill("tom")
            page.get_by_role("combobox", name=re.compile("^Role")).select_option(label="Auditor")
            page.get_by_role("button", name="Give role").click()
            expect(page.get_by_role("link", name="Tom Ellison", exact=True)).to_be_visible()

            noor.reload()
            expect(noor.get_by_text("2 of 4 done")).to_be_visible()
            noor.get_by_role("link", name="New flag").click()
            noor.get_by_label("Key").fill("sprinkler")
            noor.get_by_role("textbox", name="Name required").fill("Sprinkler")
            send(noor)
            to(noor, "Home")
            expect(noor.get_by_text("3 of 4 done")).to_be_visible()
            expect(noor.get_by_role("textbox", name="curl")).to_have_value(re.compile("sprinkler"))
