"""`/openfeature/v0/manifest`: what the OpenFeature CLI generates code from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access import grants
from access.permissions import user_actor
from access.roles import Role
from tests.api.conftest import Answer, Api

MANIFEST = "/openfeature/v0/manifest"
PUBLISHED = json.loads((Path(__file__).parent / "openfeature_schemas.json").read_text())
VALUES: dict[str, dict[str, Any]] = {
    "boolean": {"on": True, "off": False},
    "string": {"on": "red", "off": ""},
    "integer": {"on": 3, "off": 0},
    "float": {"on": 0.5, "off": 3},
    "object": {"on": {"depth": 3}, "off": {}},
}


@pytest.fixture
def flags(api: Api) -> None:
    """A flag of each type, on in production, beside the banner that is configured nowhere."""
    for kind, variants in VALUES.items():
        api.cast.flag(kind, type=kind, variants=variants, description=f"A {kind}.")
        api.cast.approve(api.cast.propose(key=kind))


def defaults(answer: Answer) -> dict[str, Any]:
    return {flag["key"]: flag["defaultValue"] for flag in answer.body["flags"] if flag["key"] != "banner"}


def test_it_tells_key_type_description_and_the_off_variants_value(api: Api, flags: None) -> None:
    answer = api.get("viewer", MANIFEST)
    assert answer.status == 200
    assert answer.headers["X-Manifest-Capabilities"] == "read"
    assert [flag["key"] for flag in answer.body["flags"]] == ["banner", *sorted(VALUES)]
    assert answer.body["flags"][1] == {
        "key": "boolean", "name": "Banner", "type": "boolean", "description": "A boolean.", "defaultValue": False,
    }  # fmt: skip
    assert defaults(answer) == {kind: variants["off"] for kind, variants in VALUES.items()}


def test_it_is_what_the_cli_reads_and_writes(api: Api, flags: None) -> None:
    flags_ = api.get("viewer", MANIFEST).body["flags"][1:]
    # The published description of this address knows no floats yet; the CLI and its files do.
    jsonschema.validate(
        {"flags": [flag for flag in flags_ if flag["type"] != "float"]}, PUBLISHED["envelope"]
    )
    written = {
        flag["key"]: {
            "flagType": flag["type"],
            "description": flag["description"],
            "defaultValue": flag["defaultValue"],
        }
        for flag in flags_
    }
    jsonschema.validate({"flags": written}, PUBLISHED["manifest"])


def test_without_an_off_variant_there_is_no_default_value_and_the_cli_asks(api: Api) -> None:
    api.cast.flag("bare")
    api.cast.approve(api.cast.propose({"enabled": True, "default": {"variant": "on"}}, key="bare"))
    api.cast.flag("unconfigured")
    assert defaults(api.get("viewer", MANIFEST)) == {"bare": None, "unconfigured": None}


def test_the_environment_is_the_last_in_order_of_promotion_unless_named(api: Api) -> None:
    api.cast.flag("theme")
    api.cast.propose(key="theme", environment="development")
    assert defaults(api.get("viewer", MANIFEST)) == {"theme": None}
    assert defaults(api.get("viewer", f"{MANIFEST}?environment=development")) == {"theme": False}
    below = "/openfeature/shop/development/openfeature/v0/manifest"
    assert defaults(api.get("viewer", below)) == {"theme": False}


def test_a_token_that_sees_several_projects_names_one(api: Api) -> None:
    outsider = api.cast.users["outsider"]
    founder = user_actor(api.cast.users["root"], "cli")
    grants.grant(founder, api.cast.project, outsider.pseudonym, Role.VIEWER)
    answer = api.get("outsider", MANIFEST)
    assert answer.status == 422
    assert answer.body["member"] == "project"
    assert api.get("outsider", f"{MANIFEST}?project=shop").status == 200


def test_a_project_that_one_may_not_see_does_not_exist(api: Api) -> None:
    for address in (f"{MANIFEST}?project=shop", "/openfeature/shop/production/openfeature/v0/manifest"):
        assert api.get("outsider", address).status == 404
    assert api.get("viewer", f"{MANIFEST}?environment=nowhere").status == 404


def test_refusals_are_problems_that_the_cli_can_show(api: Api) -> None:
    answer = api.get(None, MANIFEST)
    assert answer.status == 401
    assert answer.body["type"] == "/api/problems/unauthenticated"
    assert answer.body["error"] == {"message": answer.body["detail"], "status": 401}
    assert api.get("viewer", f"{MANIFEST}?projects=shop").status == 400
    assert api.post("viewer", MANIFEST, {}).status == 405


def test_it_takes_the_same_number_of_queries_for_many_flags(api: Api) -> None:
    def counted() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert api.get("viewer", MANIFEST).status == 200
        return len(queries)

    few = counted(), counted()  # the first notes when the token was used
    for number in range(5):
        api.cast.flag(f"flag-{number}")
    assert counted() == few[1]
