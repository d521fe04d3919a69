"""Every role at every door, from the one table of verbs: by page and by API, in one's own project and not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from access import grants, machines, teams, workload
from access.limits import Limits
from access.models import Chat, Delivery, Membership, Webhook
from access.notifications import webhooks
from access.permissions import user_actor
from access.roles import VERBS, OrganisationRole, Role
from access.signin.sealing import seal
from approvals import rollout_templates, workflow
from approvals.freezes import save_freeze
from distribution import keys
from tests.access.doors import API, NARROWED, PAGES, PUBLIC, SIGNED_IN, Door
from tests.api.conftest import Api
from tests.api.test_permissions import Stage
from tests.cast import Cast, _user

NEXT_YEAR = timezone.now() + timedelta(days=365)
CUSTOM = {"flag.kill", "change.comment", "policy.change", "project.view"}
NOBODY = ("nobody", "")
# What somebody is: in the shop (their own project), or in the other one, whose roles are alike here: nothing.
HOLDERS = [
    *((role, "shop") for role in (*Role, "custom", "team", "limited")),
    *((role, "other") for role in (Role.ADMINISTRATOR, Role.VIEWER, "custom", "team")),
    *((role, "organisation") for role in OrganisationRole),
    NOBODY,
]
# Who sees the other project, and not its events.
REFUSED_EVENTS = {(Role.VIEWER, "other"), ("custom", "other")}


def verbs_in_the_shop(role: str, where: str) -> set[str]:
    """What the table says, read here without asking the code that is tested."""
    if role == "nobody" or where == "other":
        return set()
    if role == "custom":
        return CUSTOM
    known = {"team": Role.REVIEWER, "limited": Role.ADMINISTRATOR}.get(role, role)
    held = {name for name, verb in VERBS.items() if known in verb.roles}
    return {name for name in held if VERBS[name].limitable} if role == "limited" else held


class Doors:
    """The shop with something behind every door, and somebody in every role, each signed in."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        root = cast.actor("root")
        self.stage = Stage(Api(cast))
        workflow.change(
            cast.actor("author"),
            cast.project,
            [{"subject": "project/shop/segment/beta", "after": {"included": ["customer-1"]}}],
            title="Beta",
            rationale="planned",
        )
        rollout_templates.save_template(
            cast.actor("administrator"),
            cast.project,
            "careful",
            {"name": "Careful", "stages": [{"percent": 5, "hold": 0}]},
        )
        viewer = cast.users["viewer"]
        team = teams.save_team(root, "payments", name="Payments", members=[])
        teams.save_team(root, "unused", name="Unused", members=[])
        teams.save_custom_role(root, "night-watch", name="Night watch", verbs=sorted(CUSTOM))
        teams.save_custom_role(root, "unheld", name="Unheld", verbs=["flag.kill"])
        grants.appoint(root, viewer.pseudonym, OrganisationRole.ORGANISATION_AUDITOR)
        save_freeze(
            cast.actor("administrator"),
            cast.project,
            "holidays",
            {"reason": "Holidays", "starts_at": NEXT_YEAR, "ends_at": NEXT_YEAR + timedelta(days=9)},
        )
        expected = {
            "sentence": "Nobody has it",
            "environment": "production",
            "context": {},
            "variant": None,
        }
        workflow.change(
            cast.actor("author"),
            cast.project,
            [{"subject": "project/shop/expectations/banner", "after": {"expectations": [expected]}}],
            title="Expected",
            rationale="planned",
        )
        program = machines.create_service_account(root, "pipeline")
        token, _ = machines.issue_token(root, program, "deploy")
        trust_rule = workload.trust(
            root,
            program,
            "release",
            issuer="https://token.example.com",
            audience="countersign",
            claims={"repository": {"equals": "acme/shop"}},
        )
        client_key, _ = keys.issue(root, cast.development, "page", "client")
        membership = Membership.objects.get(member=viewer.pseudonym)
        chat = Chat.objects.create(
            project=cast.project, name="talk", masked="slack://…", sealed_url=seal("slack://")
        )
        hook = Webhook.objects.create(
            project=cast.project, name="ours", url="https://example.com/", sealed_secret=seal("whsec_eA==")
        )
        delivery = webhooks.try_out(root, hook)
        Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.State.GIVEN_UP)
        self.team = team
        self.values = {
            "project": "shop",
            "key": "searching",
            "flag": "searching",
            "environment": "development",
            "segment": "beta",
            "policy": "staging",
            "template": "careful",
            "member": viewer.pseudonym,
            "person": viewer.pseudonym,
            "team": "payments",
            "role": "night-watch",
            "event": str(self.stage.kill.event_id),
            "id": str(self.stage.kill.event_id),
            "account": program.pseudonym,
            "provider_id": "company",
        }
        self.marks = {
            "{request}": self.stage.request.number,
            "{digest}": self.stage.request.digest,
            "{plan}": self.stage.plan.number,
            "{kill}": self.stage.kill.pk,
            "{event}": self.stage.kill.event_id,
            "{person}": viewer.pk,
            "{program}": program.pk,
            "{token}": token.pk,
            "{trust_rule}": trust_rule.pk,
            "{sdk_key}": self.stage.key.pk,
            "{webhook}": hook.pk,
            "{chat}": chat.pk,
            "{delivery}": delivery.pk,
            "{client_key}": client_key.pk,
            "{membership}": membership.pk,
            "{member}": viewer.pseudonym,
        }
        self.signed_in = {holder: self._somebody(*holder) for holder in HOLDERS}

    def _somebody(self, role: str, where: str) -> Client:
        user = _user(f"{role}-{where}")
        root = user_actor(self.cast.users["root"], "cli")
        if where == "organisation":
            grants.appoint(root, user.pseudonym, role)
        elif where:
            project = Membership.objects.filter(project__key=where)[:1].get().project
            member, limits = user.pseudonym, None
            if role == "team":
                held = teams.save_team(root, f"in-{where}", name=where, members=[member])
                member = held.pseudonym
            if role == "limited":
                limits = Limits(frozenset({"development", "production"}))
            known = {"custom": "night-watch", "team": Role.REVIEWER, "limited": Role.ADMINISTRATOR}
            grants.grant(root, project, member, known.get(role, role), limits=limits)
        client = Client(headers={"Host": "localhost"})
        client.force_login(user)
        return client

    def _filled(self, text: str) -> str:
        for mark, value in self.marks.items():
            text = text.replace(mark, str(value))
        return text

    def ask(self, client: Client, door: Door) -> Any:
        """The response; what the request did is rolled back."""
        parts = {**self.values, **{name: self._filled(value) for name, value in door.at.items()}}
        route = re.sub(r"<\w+:(\w+)>", lambda found: parts[found[1]], door.route)
        route = re.sub(r"\^?\(\?P<\w+>\.\*\)\$$", "nothing", route)
        query = "" if door.verb == NARROWED else door.query
        address = f"/{route}" + (f"?{self._filled(query)}" if query else "")
        body = door.body
        with undone():
            if not door.route.startswith("admin/") and door.method != "GET":
                if isinstance(body, str):
                    body = self.stage.body(body)
                data = b"" if body is None else json.dumps(body).encode()
                return client.generic(door.method, address, data, content_type="application/json")
            if door.method == "POST":
                form = {
                    name: self._filled(value) if isinstance(value, str) else value
                    for name, value in (body or {}).items()
                }
                return client.post(address, form)
            return client.get(address)


@contextmanager
def undone() -> Iterator[None]:
    """A savepoint that is rolled back. Recordings, which want to be outermost, take it for a test's own."""
    atomic = transaction.atomic()
    atomic._from_testcase = True  # type: ignore[attr-defined]
    with atomic:
        yield
        transaction.set_rollback(True)


@pytest.fixture
def doors(cast: Cast, banner: None) -> Doors:
    return Doors(cast)


def judged(door: Door, held: set[str], answer: Any, *, is_api: bool, sees_another: bool) -> str:
    """What is wrong with an answer; empty for nothing."""
    status = answer.status_code
    if status >= 500:
        return "failed"
    if door.verb == SIGNED_IN:
        return "refused" if status in (401, 403, 404) else ""
    if door.verb in held:
        return "refused" if status in (401, 403, 404, 405) else ""
    if not VERBS[door.verb].is_of_project:
        return "" if status in (403, 404) else "open"
    if "project.view" not in held:
        is_nameless = door.verb == "audit.view" and is_api and sees_another
        # An event names no project: whoever holds this nowhere is told so, whatever there is.
        return "" if status == (403 if is_nameless else 404) else "shown to whom nothing exists"
    return "" if status == 403 or (status == 404 and not is_api) else "open"


@pytest.mark.parametrize(("door", "table"), [("page", PAGES), ("API", API)], ids=["page", "api"])
def test_every_role_passes_the_doors_of_its_verbs_and_no_others(
    doors: Doors, door: str, table: list[Door]
) -> None:
    wrong, asked = [], 0
    for holder, client in doors.signed_in.items():
        held = verbs_in_the_shop(*holder)
        for each in table:
            if (
                each.beside
                or each.verb in (NARROWED, PUBLIC)
                or (each.verb == SIGNED_IN and holder != NOBODY)
            ):
                continue
            answer = doors.ask(client, each)
            asked += 1
            fault = judged(each, held, answer, is_api=door == "API", sees_another=holder in REFUSED_EVENTS)
            if fault:
                wrong.append(
                    (fault, answer.status_code, " in ".join(holder), each.method, each.route, each.verb)
                )
    assert not wrong, "\n".join(map(str, wrong[:40]))
    assert asked > 700


def test_lists_show_what_one_may_see_and_no_more(doors: Doors) -> None:
    for holder, client in doors.signed_in.items():
        held = verbs_in_the_shop(*holder)
        for door in API:
            if door.verb != NARROWED:
                continue
            answer = doors.ask(client, door)
            seen = b'"shop"' in answer.content
            assert seen is (door.query in held), (holder, door.route, answer.content[:300])
            refused = door.query == "audit.view" and (holder in REFUSED_EVENTS or "project.view" in held)
            assert answer.status_code == 200 or refused, (holder, door.route)


def test_whoever_has_not_signed_in_passes_public_doors_alone(doors: Doors) -> None:
    anybody = Client(headers={"Host": "localhost"})
    for door in [*PAGES, *API]:
        answer = doors.ask(anybody, door)
        if door.verb == PUBLIC:
            passes = (200, 302, 400, 404) if door.beside else (200, 302)
            assert answer.status_code in passes, (door.route, answer.status_code)
        elif door.route.startswith("admin/"):
            assert answer.status_code == 302, (door.route, answer.status_code)
            assert answer.headers["Location"].startswith("/admin/login/"), door.route
        else:
            assert answer.status_code == 401, (door.route, answer.status_code)


def _walk(patterns: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            actions = getattr(pattern.callback, "actions", None)
            yield from ((route, method.upper()) for method in actions or ("GET",) if method != "head")


def test_every_address_is_in_the_table_of_doors() -> None:
    declared = {(door.route, door.method) for door in [*PAGES, *API]}
    routes = {route for route, _ in declared}
    rest = "api/^(?P<rest>.*)$"
    missing = [
        (route, method)
        for route, method in _walk(get_resolver().url_patterns)
        if (route not in routes if not route.startswith("api/v1") else (route, method) not in declared)
        and route != rest
    ]
    assert not missing, "say in tests/access/doors.py which verb these take"
    walked = {route for route, _ in _walk(get_resolver().url_patterns)}
    assert routes <= walked, routes - walked


def test_every_verb_has_a_door_by_page_and_by_api() -> None:
    for table in (PAGES, API):
        missing = set(VERBS) - {door.verb for door in table}
        assert missing <= {"change.schedule", "account.manage"}, missing
