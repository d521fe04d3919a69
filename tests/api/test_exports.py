"""Exports over HTTP: recorded once, taken as a bundle that the verifier accepts; and one event's proof."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from access import grants
from audit import tree
from audit.checkpoints import sign_current
from audit.ledger import trusted_log
from audit.models import Event
from countersign.bundle import Trust, verify_bundle
from flags.models import Project
from tests.api.conftest import Api

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous:Warning")


@pytest.fixture
def everywhere(api: Api) -> Api:
    """The auditor is one in every project."""
    root, auditor = api.cast.actor("root"), api.cast.users["auditor"]
    grants.grant(root, Project.objects.get(key="other"), auditor.pseudonym, "auditor")
    api.cast.approve(api.cast.propose())
    return api


def taken(api: Api, answer: Any, directory: Path) -> Path:
    """The bundle of an export, unpacked."""
    headers = {"Authorization": f"Bearer {api.token('auditor')}", "Accept": "application/zip"}
    response = Client(headers=headers).get(answer.body["bundle"])
    assert response.status_code == 200
    with zipfile.ZipFile(io.BytesIO(b"".join(response))) as archive:
        archive.extractall(directory)
    (bundle,) = (path.parent for path in directory.glob("*/manifest"))
    return bundle


def trust(**members: Any) -> Trust:
    return Trust.parse(json.dumps({**trusted_log(), "accept_log_vouched": True, **members}).encode())


def test_an_export_is_recorded_and_its_bundle_is_accepted(everywhere: Api, tmp_path: Path) -> None:
    answer = everywhere.post("auditor", "exports", {})
    assert answer.status == 201
    event = Event.objects.get(pk=answer.body["id"])
    assert (event.type, event.actor) == ("ledger.v1.exported", everywhere.cast.users["auditor"].pseudonym)
    everywhere.cast.propose(environment="development")
    report = verify_bundle(taken(everywhere, answer, tmp_path), trust())
    assert report.size == answer.body["size"] == event.index + 1


def test_a_download_that_broke_off_can_be_had_again(everywhere: Api, tmp_path: Path) -> None:
    answer = everywhere.post("auditor", "exports", {})
    events = Event.objects.count()
    bundles = [taken(everywhere, answer, tmp_path / name) for name in ("one", "two")]
    assert Event.objects.count() == events
    first, second = ((bundle / "entries.ndjson").read_bytes() for bundle in bundles)
    assert first == second


def test_one_idempotency_key_records_one_export(everywhere: Api) -> None:
    answers = [everywhere.post("auditor", "exports", {}, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert Event.objects.filter(type="ledger.v1.exported").count() == 1


def test_an_export_follows_an_earlier_one(everywhere: Api, tmp_path: Path) -> None:
    before = everywhere.post("auditor", "exports", {})
    everywhere.cast.flag("later")
    after = everywhere.post("auditor", "exports", {"first": before.body["size"]})
    assert after.body["first"] == before.body["size"]
    earlier = taken(everywhere, before, tmp_path / "before")
    assert after.status == 201
    assert (taken(everywhere, after, tmp_path / "after") / "prefix").exists()
    assert (earlier / "checkpoint").read_text() == before.body["checkpoint"]


def test_an_export_of_a_project_withholds_what_is_of_others(everywhere: Api, tmp_path: Path) -> None:
    answer = everywhere.post("auditor", "exports", {"projects": ["other"], "disclosures": False})
    assert answer.body["filter"] == {"projects": ["other"]}
    bundle = taken(everywhere, answer, tmp_path)
    assert not (bundle / "disclosures.ndjson").exists()
    assert verify_bundle(bundle, trust(max_withheld=1_000)).withheld > 5


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"first": 3}, 422, "no checkpoint at 3"),
        ({"first": 0}, 400, "first"),
        ({"first": 3, "previous": 3}, 422, "not both"),
        ({"projects": ["nowhere"]}, 422, "nowhere"),
        ({"projects": []}, 400, "projects"),
        ({"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, 422, "ends before it begins"),
        ({"whole": True}, 400, "whole"),
    ],
)
def test_what_cannot_be_exported_is_told_and_not_recorded(
    everywhere: Api, body: Any, status: int, told: str
) -> None:
    everywhere.token("auditor")  # issuing one is an event as well
    events = Event.objects.count()
    answer = everywhere.post("auditor", "exports", body)
    assert answer.status == status
    assert told in answer.body["detail"]
    assert Event.objects.count() == events


@pytest.mark.parametrize("name", ["auditor", "administrator", "viewer", "author", "outsider"])
def test_it_takes_the_right_to_export_in_every_project(api: Api, name: str) -> None:
    answer = api.post(name, "exports", {})
    assert answer.status == 403
    assert "in all of them" in answer.body["detail"]
    assert api.get(name, "exports").status == 403
    assert not Event.objects.filter(type="ledger.v1.exported").exists()


def test_an_export_is_its_makers_alone(everywhere: Api) -> None:
    root = everywhere.cast.actor("root")
    for project in Project.objects.all():
        grants.grant(root, project, everywhere.cast.users["viewer"].pseudonym, "auditor")
    made = everywhere.post("auditor", "exports", {}).body
    assert [each["id"] for each in everywhere.get("auditor", "exports").results] == [made["id"]]
    assert everywhere.get("auditor", f"exports/{made['id']}").body == made
    assert everywhere.get("viewer", "exports").results == []
    assert everywhere.get("viewer", f"exports/{made['id']}/bundle").status == 404


# --- one event -----------------------------------------------------------------------------------


def test_an_event_has_a_proof_that_leads_to_the_newest_checkpoint(api: Api) -> None:
    event = Event.objects.filter(project="shop").earliest("index")
    checkpoint = sign_current()
    answer = api.get("author", f"events/{event.pk}/proof")
    assert answer.status == 200
    head, _, note = answer.body["proof"].partition("\n\n")
    assert note == checkpoint.note
    first, index, *path = head.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", f"index {event.index}")
    root = tree.root_over(
        tree.leaf_hash(answer.body["line"].encode()),
        [base64.b64decode(each) for each in path],
        event.index,
        checkpoint.size,
    )
    assert note.split("\n")[2] == base64.b64encode(root).decode()


def test_an_event_that_is_not_signed_yet_is_signed_for_its_proof(api: Api) -> None:
    api.token("author")
    sign_current()
    api.cast.flag("later")
    event = Event.objects.filter(project="shop").latest("index")
    proof = api.get("author", f"events/{event.pk}/proof").body["proof"]
    assert f"\n{event.index + 1}\n" in proof


def test_no_proof_of_what_one_does_not_see(api: Api) -> None:
    event = Event.objects.filter(project="other").earliest("index")
    assert api.get("author", f"events/{event.pk}/proof").status == 404
    assert api.get("viewer", f"events/{event.pk}/proof").status in (403, 404)
