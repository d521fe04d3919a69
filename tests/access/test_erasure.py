"""Erasing a person: who they were goes everywhere, what they did stays provable."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access import erasure, grants, machines
from access.erasure import ErasureError
from access.models import ApiToken, Membership, StoredAnswer, User
from access.permissions import ForbiddenError, service_actor, system_actor, user_actor
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest
from audit.export import export_bundle
from audit.ledger import LedgerError, trusted_log
from audit.models import Disclosure, Event
from audit.recording import recording
from countersign.bundle import Trust, verify_bundle
from tests.cast import OFF, ON, PASSWORD, Cast

NAME = "Zebediah Quartermain"


@pytest.fixture
def author(cast: Cast) -> User:
    """The author under a name that stands nowhere by chance, who did everything that leaves a trace."""
    person = cast.users["author"]
    person.first_name, person.last_name = NAME.split()
    person.username, person.email = "zebediah", "zebediah@quartermain.example"
    person.save()
    machines.issue_token(user_actor(person, "ui"), person, "Zebediah's laptop")
    cast.flag(owner=person.pseudonym)
    cast.approve(cast.propose(ON))
    Client().force_login(person)
    # As Django's own form for accounts wrote it, before there was one of ours.
    LogEntry.objects.create(
        user=cast.users["root"],
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(person.pk),
        object_repr=NAME,
        action_flag=CHANGE,
    )
    StoredAnswer.objects.create(
        actor=person.pseudonym, key="1", method="POST", path="/", digest="", status=200, body="{}"
    )
    StoredAnswer.objects.create(
        actor="user:other",
        key="2",
        method="POST",
        path="/",
        digest="",
        status=201,
        body=f'{{"name":"{NAME}"}}',
    )
    return person


def everything_stored() -> str:
    """Every text of every row of every table."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            found += [str(cell) for row in cursor.fetchall() for cell in row]
    return "\n".join(found).lower()


def test_nothing_that_is_stored_says_any_more_who_it_was(cast: Cast, author: User) -> None:
    assert "zebediah" in everything_stored()
    erasure.erase(cast.actor("root"), author)
    stored = everything_stored()
    assert "zebediah" not in stored
    assert "quartermain" not in stored
    assert author.pseudonym in stored


def test_a_bundle_exported_afterwards_verifies_and_counts_what_was_erased(
    cast: Cast, author: User, tmp_path: Path
) -> None:
    trust = Trust.parse(json.dumps({**trusted_log(), "accept_log_vouched": True}).encode())
    export_bundle(cast.actor("auditor"), tmp_path / "before")
    before = verify_bundle(tmp_path / "before", trust)
    done = erasure.erase(cast.actor("root"), author)
    export_bundle(cast.actor("auditor"), tmp_path / "after")
    after = verify_bundle(tmp_path / "after", trust)
    assert done.disclosures > 0
    assert (before.erased, after.erased) == (0, done.disclosures)
    assert "Zebediah" in (tmp_path / "before/disclosures.ndjson").read_text()
    assert all(
        b"ebediah" not in path.read_bytes() for path in (tmp_path / "after").rglob("*") if path.is_file()
    )


def test_it_is_recorded_without_personal_data_and_keeps_what_they_did(cast: Cast, author: User) -> None:
    request = cast.propose(OFF)
    said = erasure.examine(cast.actor("root"), author)
    assert (said.memberships, said.tokens, said.sessions, said.owned_flags) == (1, 1, 1, 1)
    done = erasure.erase(cast.actor("root"), author)
    assert done == said
    event = Event.objects.get(type="access.v1.person.erased")
    assert event.subject == f"access/{author.pseudonym}"
    assert json.loads(event.line)["data"]["disclosures"] == done.disclosures
    request.refresh_from_db()
    assert (request.proposer, request.is_open) == (author.pseudonym, True)
    author.refresh_from_db()
    assert str(author) == f"erased person {author.pseudonym[5:11]}…"
    assert author.erased_at is not None


def test_they_can_do_nothing_any_more(cast: Cast, author: User) -> None:
    _, secret = machines.issue_token(user_actor(author, "ui"), author, "second")
    browser = Client()
    browser.force_login(author)
    erasure.erase(cast.actor("root"), author)
    assert browser.get("/admin/p/shop/flags/").status_code in (302, 404)
    again = Client()
    again.post("/admin/login/", {"username": "zebediah", "password": PASSWORD})
    assert "_auth_user_id" not in again.session
    assert Client().get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert not Membership.objects.filter(member=author.pseudonym).exists()
    assert not ApiToken.objects.filter(user=author, revoked_at=None).exists()
    assert all(s.get_decoded().get("_auth_user_id") != str(author.pk) for s in Session.objects.all())
    with pytest.raises(ForbiddenError):
        workflow.propose(cast.actor("author"), cast.project, [], title="x")


def test_erasing_again_takes_only_what_was_written_meanwhile(cast: Cast, author: User) -> None:
    under_way = cast.actor("author")
    erasure.erase(cast.actor("root"), author)
    assert erasure.erase(cast.actor("root"), author).disclosures == 0
    assert Event.objects.filter(type="access.v1.person.erased").count() == 1
    Disclosure.objects.create(
        event=Event.objects.filter(actor=under_way.id)[0], name="late", salt="x", value=NAME
    )
    assert erasure.erase(cast.actor("root"), author).disclosures == 1
    assert not Disclosure.objects.filter(value=NAME).exists()


def test_nobody_but_an_organisation_administrator_erases(cast: Cast, author: User) -> None:
    account = machines.create_service_account(cast.actor("root"), "pipeline")
    grants.grant(cast.actor("administrator"), cast.project, account.pseudonym, Role.ADMINISTRATOR)
    actors = [cast.actor(name, via) for name in cast.users if name != "root" for via in ("ui", "api", "cli")]
    for actor in [*actors, service_actor(account), system_actor("scheduler")]:
        with pytest.raises(ForbiddenError, match="Organisation administrator"):
            erasure.erase(actor, author)
        with pytest.raises(ForbiddenError):
            erasure.examine(actor, author)
    assert Disclosure.objects.filter(value=NAME).exists()


def test_nobody_erases_themselves_nor_the_last_who_may(cast: Cast) -> None:
    with pytest.raises(ErasureError, match="yourself"):
        erasure.erase(cast.actor("root"), cast.users["root"])
    with pytest.raises(ErasureError, match="only organisation administrator"):
        erasure.erase(system_actor("command-line", "cli"), cast.users["root"])


def test_a_project_is_never_left_without_an_administrator(cast: Cast) -> None:
    person = cast.users["outsider"]  # with root, who founded it, of the project `other`
    rows = Membership.objects.filter(project__key="other", member=cast.users["root"].pseudonym)
    grants.revoke(cast.actor("outsider"), rows.get())
    with pytest.raises(ErasureError, match="Nobody else is an administrator of other"):
        erasure.erase(system_actor("command-line", "cli"), person)
    erasure.erase(cast.actor("root"), person, successor=cast.users["auditor"])
    left = Membership.objects.get(project__key="other")
    assert (left.member, left.role) == (cast.users["auditor"].pseudonym, Role.ADMINISTRATOR)


def test_nothing_is_erased_when_the_ledger_cannot_record_it(
    cast: Cast, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit import ledger

    def refuses(*_: Any) -> None:
        raise LedgerError("cannot append")

    before = Disclosure.objects.count()
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "append", refuses)
        with pytest.raises(LedgerError):
            erasure.erase(cast.actor("root"), author)
    author.refresh_from_db()
    assert (author.username, author.erased_at, Disclosure.objects.count()) == ("zebediah", None, before)


# --- by which doors ------------------------------------------------------------------------------


def test_the_page_says_in_numbers_what_goes_and_asks_for_the_user_name(cast: Cast, author: User) -> None:
    browser = Client()
    browser.force_login(cast.users["root"])
    address = f"/admin/accounts/{author.pk}/erase/"
    page = browser.get(address).content.decode()
    count = Disclosure.objects.filter(value=NAME).count()
    assert f"{count} disclosures of their name" in page
    for words in ("1 role, 1 API token, 1 session", "0 open requests", "1 flag that they own"):
        assert words in page
    account = browser.get(f"/admin/accounts/{author.pk}/").content.decode()
    assert "Erase this person" in account
    wrong = browser.post(address, {"username": "somebody"})
    assert wrong.status_code == 422
    assert User.objects.filter(username="zebediah").exists()
    assert browser.post(address, {"username": "zebediah"}).status_code == 302
    assert not User.objects.filter(username="zebediah").exists()
    assert "There is nothing left to erase" in browser.get(address).content.decode()
    for name in ("administrator", "auditor"):
        browser.force_login(cast.users[name])
        assert browser.get(address).status_code == 403
        assert browser.post(address, {"username": "x"}).status_code == 403


def test_pages_that_showed_the_person_show_the_pseudonym_kindly(cast: Cast, author: User) -> None:
    cast.propose(OFF)
    erasure.erase(cast.actor("root"), author)
    browser = Client()
    browser.force_login(cast.users["administrator"])
    request = ChangeRequest.objects.latest("pk")
    for address in ("requests/", f"requests/{request.pk}/", "audit/", "flags/banner/"):
        page = browser.get(f"/admin/p/shop/{address}", follow=True)
        assert page.status_code == 200, address
        text = page.content.decode()
        assert "ebediah" not in text, address
        assert f"erased person {author.pseudonym[5:11]}…" in text, address


def test_the_api_erases_for_organisation_administrators(cast: Cast, author: User) -> None:
    def call(name: str, method: str) -> Any:
        user = cast.users[name]
        secret = machines.issue_token(user_actor(user, "ui"), user, "api")[1]
        return Client().generic(
            method,
            f"/api/v1/people/{author.pseudonym}/erasure",
            headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": name},
        )

    assert call("administrator", "GET").status_code == 403
    assert call("administrator", "POST").status_code == 403
    seen = call("root", "GET").json()
    assert (seen["name"], seen["erased_at"], seen["memberships"]) == (NAME, None, 1)
    done = call("root", "POST").json()
    assert done["name"].startswith("erased person")
    assert done["disclosures"] == seen["disclosures"]


def test_the_command_says_first_and_erases_with_yes(cast: Cast, author: User) -> None:
    out = io.StringIO()
    call_command("erase_person", "zebediah", stdout=out)
    assert "Nothing was changed" in out.getvalue()
    assert User.objects.filter(username="zebediah").exists()
    call_command("erase_person", author.pseudonym, "--yes", stdout=out)
    assert not User.objects.filter(username="zebediah").exists()
    with pytest.raises(CommandError, match="Nobody has"):
        call_command("erase_person", "zebediah", "--yes")


def test_who_was_erased_gets_no_other_name(cast: Cast, author: User) -> None:
    erasure.erase(cast.actor("root"), author)
    browser = Client()
    browser.force_login(cast.users["root"])
    answer = browser.post(
        f"/admin/accounts/{author.pk}/",
        {"username": "zebediah", "first_name": "Z", "is_active": "on"},
    )
    assert answer.status_code == 409
    author.refresh_from_db()
    assert not author.is_active


def test_erasing_somebody_who_did_much_takes_no_more_queries(cast: Cast) -> None:
    def queries(name: str, events: int) -> int:
        with recording(cast.actor(name)) as record:
            for _ in range(events):
                record.event("access.v1.noted", "access/noted", {})
        with CaptureQueriesContext(connection) as captured:
            done = erasure.erase(system_actor("command-line", "cli"), cast.users[name])
        assert done.disclosures >= events
        assert not Disclosure.objects.filter(event__actor=cast.users[name].pseudonym).exists()
        return len(captured)

    assert queries("viewer", 1) == queries("second_reviewer", 2_500)
