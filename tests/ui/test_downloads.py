"""What compliance staff take away, and who may."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from access import grants
from access.models import User
from access.permissions import user_actor
from audit import tree
from audit.ledger import trusted_log
from audit.models import Event
from audit.proofs import event_proof
from countersign.bundle import Trust, verify_bundle, verify_bundles
from flags.models import Project
from tests.cast import Cast, standing
from tests.replay import Replay
from tests.ui.conftest import Browser

EXPORT = "/admin/audit/export"
pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous:Warning")


def launch() -> None:
    cast = standing()
    cast.flag()
    cast.approve(cast.propose(rationale="the launch"))


_launch = Replay(launch)


@pytest.fixture
def busy(cast: Cast) -> Cast:
    _launch.write()
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
    for method in ("get", "post"):
        assert getattr(browser(name), method)(EXPORT).status_code == 404
    assert Event.objects.count() == before


def test_a_bundle_takes_the_right_to_export_in_every_project(busy: Cast, browser: Browser) -> None:
    page = browser("auditor").get(EXPORT).content.decode()
    assert "in all of them" in page
    assert "Record and download" not in page
    assert "Other" not in page, "nor does it name projects that the auditor does not see"
    before = Event.objects.count()
    assert browser("auditor").post(EXPORT).status_code == 403
    assert Event.objects.count() == before


@pytest.fixture
def everywhere(busy: Cast) -> Cast:
    """The auditor is one in every project."""
    founder = user_actor(User.objects.get(username="root"), "cli")
    grants.grant(founder, Project.objects.get(key="other"), busy.users["auditor"].pseudonym, "auditor")
    return busy


def unpacked(response: Iterable[bytes], directory: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(taken(response))) as archive:
        archive.extractall(directory)
    (bundle,) = (path.parent for path in directory.glob("*/manifest"))
    return bundle


def trust(**members: Any) -> Trust:
    return Trust.parse(json.dumps({**trusted_log(), "accept_log_vouched": True, **members}).encode())


def test_the_bundle_that_is_downloaded_is_accepted(
    everywhere: Cast, browser: Browser, tmp_path: Path
) -> None:
    bundle = unpacked(browser("auditor").post(EXPORT), tmp_path)
    assert verify_bundle(bundle, trust()).size == Event.objects.count()
    assert Event.objects.latest("index").type == "ledger.v1.exported"


def test_the_page_says_in_numbers_what_the_bundle_then_holds(
    everywhere: Cast, browser: Browser, tmp_path: Path
) -> None:
    client, before = browser("auditor"), Event.objects.count()
    choice = {"project": ["shop"], "until": "2026-01-01", "anonymous": "on"}
    page = client.get(EXPORT, choice)
    numbers = page.context["numbers"]
    assert numbers.chosen == numbers.disclosures == 0
    assert numbers.others + numbers.withheld == Event.objects.count() == before
    assert f"{numbers.others} events that were not chosen travel whole" in page.content.decode()
    sent = {name: value for name, value in page.context["chosen"] if value}
    bundle = unpacked(client.post(EXPORT, sent), tmp_path)
    assert verify_bundle(bundle, trust(max_withheld=numbers.withheld)).withheld == numbers.withheld


def test_a_bundle_that_was_taken_can_be_followed(everywhere: Cast, browser: Browser, tmp_path: Path) -> None:
    client = browser("auditor")
    first = unpacked(client.post(EXPORT), tmp_path / "first")
    everywhere.flag("later")
    (choice,) = (
        value for value, _ in client.get(EXPORT).context["form"].fields["start"].choices if "first" in value
    )
    second = unpacked(client.post(EXPORT, {"start": choice}), tmp_path / "second")
    assert verify_bundles([first, second], trust())[1].size == Event.objects.count()


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"start": "first-3"}, "Select a valid choice"),
        ({"project": "nowhere"}, "Select a valid choice"),
        ({"since": "soon"}, "Enter a valid date"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "ends before it begins"),
    ],
)
def test_a_choice_that_cannot_be_had_is_told_and_not_recorded(
    everywhere: Cast, browser: Browser, choice: dict[str, str], told: str
) -> None:
    before = Event.objects.count()
    for answer in (browser("auditor").get(EXPORT, choice), browser("auditor").post(EXPORT, choice)):
        assert told in answer.content.decode()
        assert "Record and download" not in answer.content.decode()
    assert Event.objects.count() == before


def test_a_ledger_that_was_changed_is_told_on_the_page(
    everywhere: Cast, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "leaf_hash", lambda entry: b"x" * 32)
    page = browser("auditor").post(EXPORT, follow=True).content.decode()
    assert "nothing was exported" in page


# --- one event -----------------------------------------------------------------------------------


def test_an_event_and_its_proof_can_be_taken_by_who_sees_it(busy: Cast, browser: Browser) -> None:
    event = Event.objects.filter(project="shop").latest("index")
    address = f"/admin/p/shop/audit/{event.pk}/"
    page = browser("author").get(address).content.decode()
    line, proof = (browser("author").get(f"{address}{name}") for name in ("line", "proof"))
    assert all(f"{address}{name}" in page for name in ("line", "proof"))
    assert line.content == event.line.encode()
    assert proof.content.decode() == event_proof(event)
    assert f'filename="event-{event.index}.tlog-proof"' in proof["Content-Disposition"]
    for name in ("viewer", "outsider"):
        assert browser(name).get(f"{address}proof").status_code == 404
        assert browser(name).get(f"{address}line").status_code == 404
    foreign = Event.objects.filter(project="other").earliest("index")
    assert browser("author").get(f"/admin/p/shop/audit/{foreign.pk}/line").status_code == 404
