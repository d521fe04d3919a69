"""What compliance staff take away, and who may."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from access import grants
from access.models import User
from access.permissions import user_actor
from audit.ledger import trusted_log
from audit.models import Event
from countersign.bundle import Trust, verify_bundle
from flags.models import Project
from tests.cast import Cast
from tests.ui.conftest import Browser

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous:Warning")


@pytest.fixture
def busy(cast: Cast) -> Cast:
    cast.flag()
    cast.approve(cast.propose(rationale="the launch"))
    return cast


def taken(response: Iterable[bytes]) -> bytes:
    """The whole download; the warning is about this way of reading it, which only tests have."""
    return b"".join(response)


def test_an_auditor_takes_the_report_of_their_projects_alone(busy: Cast, browser: Browser) -> None:
    response = browser("auditor").get("/admin/audit/report.csv")
    assert response.status_code == 200
    text = taken(response).decode("utf-8-sig")
    assert "the launch" in text
    assert text.startswith("number,")
    outsider = taken(browser("outsider").get("/admin/audit/report.csv")).decode("utf-8-sig")
    assert outsider.count("\n") == 1, "the columns, and no change of the shop's"


@pytest.mark.parametrize("name", ["viewer", "author", "reviewer", "on_call"])
def test_others_are_refused_the_report_and_the_bundle(busy: Cast, browser: Browser, name: str) -> None:
    assert browser(name).get("/admin/audit/report.csv").status_code == 403
    before = Event.objects.count()
    assert browser(name).post("/admin/audit/export").status_code == 302
    assert Event.objects.count() == before


def test_a_bundle_takes_the_right_to_export_in_every_project(busy: Cast, browser: Browser) -> None:
    assert browser("auditor").post("/admin/audit/export").status_code == 302
    assert browser("auditor").get("/admin/audit/export").status_code == 405


def test_the_bundle_that_is_downloaded_is_accepted(busy: Cast, browser: Browser, tmp_path: Path) -> None:
    auditor = busy.users["auditor"]
    founder = user_actor(User.objects.get(username="root"), "cli")
    grants.grant(founder, Project.objects.get(key="other"), auditor.pseudonym, "auditor")
    response = browser("auditor").post("/admin/audit/export")
    with zipfile.ZipFile(io.BytesIO(taken(response))) as archive:
        archive.extractall(tmp_path)
    (bundle,) = (path.parent for path in tmp_path.glob("*/manifest"))

    trust = Trust.parse(json.dumps({**trusted_log(), "accept_log_vouched": True}).encode())
    assert verify_bundle(bundle, trust).size == Event.objects.count()
    assert Event.objects.latest("index").type == "ledger.v1.exported"
