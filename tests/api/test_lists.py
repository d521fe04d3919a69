"""What all lists share: the queries that they take do not grow with their rows."""

from __future__ import annotations

from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access import grants, machines
from access.roles import Role
from approvals import rollouts, workflow
from distribution import keys
from flags import catalogue
from flags.models import Flag, FlagConfiguration
from flags.subjects import Subject
from tests.api.conftest import Api
from tests.cast import OFF


def test_a_list_takes_the_same_number_of_queries_for_many_rows(api: Api) -> None:
    addresses = (
        "projects",
        "environments",
        "flags",
        "configurations",
        "change-requests",
        "policies",
        "memberships",
        "events",
        "sdk-keys",
        "rollout-plans",
        "emergencies",
        "tokens",
        "service-accounts",
    )

    def counted() -> dict[str, int]:
        counts = {}
        for address in addresses:
            with CaptureQueriesContext(connection) as queries:
                assert api.get("administrator", address).status == 200
            counts[address] = len(queries)
        return counts

    fill(api, "a")
    api.get("administrator", "me")  # so that the token's first use is behind it
    before = counted()
    for name in ("b", "c", "d"):
        fill(api, name)
    assert counted() == before
    assert max(before.values()) <= 10, before


def test_ten_thousand_flags_cost_no_more_queries_than_one(api: Api) -> None:
    api.cast.propose(OFF, environment="development")
    addresses = ("flags", "flags?q=Flag&kind=release", "flags?lifecycle=stale", "flags/shop/banner/history")
    addresses += ("configurations?project=shop", "environments", "policies", "change-requests?waiting=true")
    api.get("administrator", "me")

    def counted() -> list[int]:
        counts = []
        for address in addresses:
            with CaptureQueriesContext(connection) as queries:
                assert api.get("administrator", address).status == 200
            counts.append(len(queries))
        with CaptureQueriesContext(connection) as queries:
            body = {"project": "shop", "environment": "development", "flag": "banner", "context": {}}
            assert api.post("administrator", "explain", body).status == 200
        return [*counts, len(queries)]

    before = counted()
    many(api, 10_000)
    assert counted() == before
    assert max(before) <= 12, before
    assert len(api.get("administrator", "flags?limit=200").results) == 200


def many(api: Api, number: int) -> None:
    """Rows alone, past the gate: how many there are is all that counts."""
    flags: QuerySet[Flag] = QuerySet(Flag)
    project = api.cast.project
    flags.bulk_create(
        Flag(project=project, key=f"flag-{n:05}", name=f"Flag {n}", variants={"on": True, "off": False})
        for n in range(number)
    )
    now = timezone.now()
    configurations: QuerySet[FlagConfiguration] = QuerySet(FlagConfiguration)
    configurations.bulk_create(
        FlagConfiguration(
            flag=flag, environment=api.cast.development, document=OFF, version=1, changed_at=now
        )
        for flag in Flag.objects.filter(key__startswith="flag-")
    )


def fill(api: Api, name: str) -> None:
    """One more row in every list."""
    cast = api.cast
    root = cast.actor("root")
    administrator = cast.actor("administrator")
    project = catalogue.create_project(root, f"p-{name}", name)
    grants.grant(root, project, administrator.id, Role.ADMINISTRATOR)
    environment = catalogue.create_environment(administrator, project, "test", {"name": name})
    cast.flag(f"flag-{name}", owner=cast.users["author"].pseudonym)
    cast.propose(OFF, key=f"flag-{name}", environment="development")
    keys.issue(administrator, environment, name, "server")
    account = machines.create_service_account(root, name)
    grants.grant(root, cast.project, account.pseudonym, Role.VIEWER)
    machines.issue_token(administrator, cast.users["administrator"], name)
    flag = Flag.objects.get(key=f"flag-{name}")
    stages = [{"weights": [["on", 1], ["off", 1]], "hold": 0}]
    rollouts.propose_plan(administrator, flag, cast.development, stages, title="Roll")
    workflow.kill(administrator, Subject.parse(cast.subject(f"flag-{name}", "development")), cast.project)
