"""`events` and `checkpoints`: the ledger, as it is hashed."""

from __future__ import annotations

import json

from access import grants
from access.roles import OrganisationRole
from audit import tree
from audit.checkpoints import sign_current
from audit.models import Event
from tests.api.conftest import Api
from tests.cast import ON


def test_an_event_carries_its_line_index_and_decoded_data(api: Api) -> None:
    request = api.cast.propose(ON, environment="development")
    found = api.get("auditor", f"events?change_id={request.change_id}").results
    assert [each["type"] for each in found] == [
        "approvals.v1.change_request.applied",
        "flags.v1.configuration.updated",
        "approvals.v1.change_request.proposed",
    ]
    for each in found:
        line = json.loads(each["line"])
        assert each["data"] == line["data"]
        assert int(line["sequence"]) == each["index"]
        assert (line["id"], line["subject"]) == (each["id"], each["subject"])
    detail = api.get("auditor", f"events/{found[0]['id']}").body
    assert detail["leaf_hash"] == tree.leaf_hash(found[0]["line"].encode()).hex()


def test_events_are_filtered(api: Api) -> None:
    request = api.cast.propose(ON, environment="development")
    author = api.cast.users["author"].pseudonym
    time = Event.objects.get(type="flags.v1.configuration.updated").time.isoformat().replace("+00:00", "Z")

    def types(query: str) -> list[str]:
        answer = api.get("auditor", f"events?{query}")
        assert answer.status == 200, answer.body
        return [each["type"] for each in answer.results]

    below = "subject=project/shop/environment/development/"
    assert types(below) == ["flags.v1.configuration.updated"]
    assert types("subject=PROJECT/shop") == []
    assert types("subject=project/shop/environment_") == []
    assert types(f"type=flags.v1.configuration.updated&project=shop&actor={author}") != []
    assert types("actor=user:nobody") == []
    assert types(f"since={time}&until=2199-01-01T00:00:00Z&{below}") == ["flags.v1.configuration.updated"]
    assert types(f"until={time}&{below}") == []
    assert types(f"change_id={request.change_id}.2") == []


def test_events_are_newest_first_and_paged(api: Api) -> None:
    seen: list[int] = []
    address = "events?limit=3"
    while address:
        page = api.get("auditor", address)
        seen += [each["index"] for each in page.results]
        address = (page.body["next"] or "").removeprefix("http://testserver")
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == Event.objects.filter(project="shop").count()


def test_what_belongs_to_no_project_is_for_the_organisations_auditors(api: Api) -> None:
    kind = "type=access.v1.token.issued"
    api.token("author")
    assert api.get("auditor", f"events?{kind}").results == []
    assert api.get("administrator", f"events?{kind}").results == []
    assert api.get("root", f"events?{kind}").results == [], "the table says who reads events"
    auditor = api.cast.users["auditor"].pseudonym
    grants.appoint(api.cast.actor("root"), auditor, OrganisationRole.ORGANISATION_AUDITOR)
    assert api.get("auditor", f"events?{kind}").results != []


def test_the_latest_checkpoint_is_the_signed_note(api: Api) -> None:
    assert api.get("auditor", "checkpoints/latest").status == 404
    first = sign_current()
    api.cast.propose(ON, environment="development")
    second = sign_current()
    found = api.get("auditor", "checkpoints/latest").body
    assert (found["size"], found["note"]) == (second.size, second.note)
    assert [each["size"] for each in api.get("auditor", "checkpoints").results] == [second.size, first.size]
    assert api.get("viewer", "checkpoints/latest").status == 403
