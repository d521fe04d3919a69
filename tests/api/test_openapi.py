"""The OpenAPI document and its page."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.test import Client

from config.problems import KINDS
from tests.api.conftest import Api


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict:
    path = tmp_path_factory.mktemp("openapi") / "schema.json"
    call_command("spectacular", "--fail-on-warn", "--validate", "--format=openapi-json", f"--file={path}")
    return json.loads(path.read_text())


def operations(document: dict) -> list[tuple[str, str, dict]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def test_the_document_is_openapi_3_1_and_has_no_warnings(document: dict) -> None:
    assert document["openapi"].startswith("3.1")
    assert len(operations(document)) > 40


def test_every_operation_says_what_it_does_and_how_it_fails(document: dict) -> None:
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["description"], where
        expected = {"400", "401", "403", "404", "406", "503"}
        if method != "get":
            expected |= {"409", "413", "415", "422"}
        assert expected <= set(operation["responses"]), where
        for status in expected:
            content = operation["responses"][status]["content"]
            reference = content["application/problem+json"]["schema"]["$ref"]
            assert reference == "#/components/schemas/Problem", where


def test_every_list_is_paged_and_every_post_takes_an_idempotency_key(document: dict) -> None:
    for method, path, operation in operations(document):
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        if method == "post":
            assert "Idempotency-Key" in names, path
        if operation["operationId"].endswith("_list"):
            assert {"cursor", "limit"} <= names, path


def test_what_stands_in_a_path_has_the_type_that_the_address_takes(document: dict) -> None:
    told = {
        (path, each["name"]): each["schema"].get("format", each["schema"]["type"])
        for _, path, operation in operations(document)
        for each in operation.get("parameters", ())
        if each["in"] == "path" and each["name"] in ("id", "event", "number")
    }
    uuids = {path.split("/")[3] for (path, _), kind in told.items() if kind == "uuid"}
    assert uuids == {"events", "emergencies", "exports"}
    numbers = {path.split("/")[3] for (path, _), kind in told.items() if kind == "integer"}
    ours = {"chats", "deliveries", "sessions", "webhooks"}
    assert numbers == {"change-requests", "rollout-plans", "sdk-keys", "tokens", "trust-rules", *ours}


def test_a_manifest_tells_that_a_default_value_may_be_null(document: dict) -> None:
    value = document["components"]["schemas"]["ManifestFlag"]["properties"]["defaultValue"]
    assert not set(value) & {"oneOf", "type"}, "any JSON value; one of anything and null would rule null out"


@pytest.mark.django_db
def test_the_page_runs_under_the_content_security_policy() -> None:
    page = Client().get("/api/docs/")
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    html = page.content.decode()
    scripts = html.split("<script")[1:]
    assert scripts
    assert all(" src=" in script.split(">")[0] for script in scripts)
    assert all(script.split(">")[1].startswith("</script") for script in scripts)
    initial = next(part for part in html.split('"') if "script=" in part).replace("&amp;", "&")
    script = Client().get(initial)
    assert script.status_code == 200
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert "/api/schema/" in script.content.decode()
    assert Client().get("/api/schema/").status_code == 200


def test_the_address_of_a_problem_tells_what_it_is(api: Api) -> None:
    for slug, kind in KINDS.items():
        found = api.get(None, kind.type)
        assert found.status == 200
        assert found.body == {"type": f"/api/problems/{slug}", "title": kind.title, "status": kind.status}
    assert api.get(None, "/api/problems/nothing").status == 404
