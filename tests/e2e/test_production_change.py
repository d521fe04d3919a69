"""One production change, from the browser to a running service and into evidence that checks offline."""

from __future__ import annotations

import csv
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation, eventually

CUSTOMER = EvaluationContext("customer-4711", {"country": "DE"})


@pytest.fixture(scope="module", params=["embedded", "with_servers"])
def installation(request: pytest.FixtureRequest) -> Installation:
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, Installation) else found[0]


def decide(provider: OFREPProvider) -> FlagEvaluationDetails[bool]:
    return provider.resolve_boolean_details("dark-mode", False, CUSTOMER)  # type: ignore[return-value]


def test_a_change_is_asked_for_reviewed_served_explained_and_proved(
    installation: Installation, chromium: Chromium, tmp_path: Path
) -> None:
    # A service runs, with a client that nobody here wrote.
    key = installation.sdk_key("shop/production")
    service = OFREPProvider(installation.base_url, headers_factory=lambda: {"Authorization": f"Bearer {key}"})
    assert decide(service).value is False

    # The product manager asks for the flag to be turned on in production.
    with chromium.person(installation, "mara") as page:
        page.goto("/admin/p/shop/flags/?q=dark-mode")
        page.get_by_role("switch", name="dark-mode in Production").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Why").fill("bob@example.com asked for it.")
        dialog.get_by_text("1 value looks like an e-mail address.").wait_for()
        dialog.get_by_label("Why").fill("Contrast on the cart page is mended.")
        dialog.get_by_label("Ticket").fill("SHOP-420")
        dialog.get_by_role("button", name="Ask for review").click()
        page.wait_for_url("**/requests/**")
        address = page.url
        assert page.get_by_text("Contrast on the cart page is mended.").first.is_visible()
        assert page.get_by_role("button", name="Approve").count() == 0, "nobody approves their own change"
    assert decide(service).value is False

    # A reviewer sees who, why and what it does, and approves.
    with chromium.person(installation, "jonas") as page:
        page.goto(address)
        assert page.get_by_text("Mara Lindqvist").first.is_visible()
        assert page.get_by_text("SHOP-420").first.is_visible()
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Applied").first.wait_for()

    # The running service sees it, and can say why.
    details = eventually(lambda: (found := decide(service)).value and found, "the service sees the change")
    assert details.variant == "on"
    assert details.reason == "DEFAULT", "not by the rule for the staff, but as everyone else"
    assert details.flag_metadata["cause"] == "default"
    number = address.rstrip("/").rsplit("/", 1)[-1]
    assert details.flag_metadata["change"] == f"CR-{number}"

    # The compliance officer takes the report and the evidence, and checks the evidence offline.
    with chromium.person(installation, "tom") as page:
        page.goto("/admin/p/shop/audit/")
        with page.expect_download() as report:
            page.get_by_role("link", name="Download report").click()
        page.get_by_role("link", name="Export evidence").click()
        with page.expect_download() as evidence:
            page.get_by_role("button", name="Record and download").click()
        report.value.save_as(tmp_path / "report.csv")
        evidence.value.save_as(tmp_path / "evidence.zip")
    with (tmp_path / "report.csv").open(newline="", encoding="utf-8-sig") as lines:
        rows = [row for row in csv.DictReader(lines) if row["change request"] == f"CR-{number}"]
    assert [(row["who"], row["proposed by"], row["approved by"]) for row in rows] == [
        ("Jonas Weber", "Mara Lindqvist", "Jonas Weber")
    ]
    assert rows[0]["why"] == "Contrast on the cart page is mended."
    assert rows[0]["ticket"] == "SHOP-420"
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        archive.extractall(tmp_path)
    (bundle,) = (path.parent for path in tmp_path.glob("*/manifest"))
    (tmp_path / "trust.json").write_text(installation.manage("ledger_trust"))
    verified = verify(bundle, tmp_path / "trust.json")
    assert verified.returncode == 0, verified.stderr
    entries = bundle / "entries.ndjson"
    entries.write_bytes(entries.read_bytes().replace(b"SHOP-420", b"SHOP-421", 1))
    refused = verify(bundle, tmp_path / "trust.json")
    assert refused.returncode == 1
    assert refused.stderr.startswith("refused: ")


def verify(bundle: Path, trust: Path) -> subprocess.CompletedProcess[str]:
    """`countersign verify`, as an auditor runs it: with the SDK package alone."""
    command = [
        str(Path(sys.executable).with_name("countersign")),
        "verify",
        str(bundle),
        "--trust",
        str(trust),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")
