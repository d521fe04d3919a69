"""The cast, each with a token, and a client that speaks JSON as they do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client

from access import grants, machines
from access.models import ServiceAccount
from access.permissions import user_actor
from access.roles import Role
from tests.cast import Cast

V1 = "/api/v1/"


@dataclass
class Answer:
    """A response, read."""

    status: int
    body: Any
    headers: Any

    @property
    def results(self) -> list[Any]:
        return self.body["results"]


@dataclass
class Api:
    """Calls `/api/v1/` as somebody of the cast, with their token."""

    cast: Cast
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, name: str) -> str:
        if name not in self.tokens:
            user = self.cast.users[name]
            self.tokens[name] = machines.issue_token(user_actor(user, "cli"), user, "test")[1]
        return self.tokens[name]

    def __call__(
        self,
        name: str | None,
        method: str,
        address: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> Answer:
        if name is not None:
            headers.setdefault("Authorization", f"Bearer {self.token(name)}")
        data = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        response = Client(headers=headers).generic(
            method, address if address.startswith("/") else V1 + address, data, content_type=content_type
        )
        text = response.content.decode()
        return Answer(response.status_code, json.loads(text) if text else None, response.headers)

    def get(self, name: str | None, address: str, **headers: str) -> Answer:
        return self(name, "GET", address, **headers)

    def post(self, name: str | None, address: str, body: Any = None, **headers: str) -> Answer:
        return self(name, "POST", address, body, **headers)

    def signed_in(self, name: str, address: str, body: Any, **headers: str) -> Answer:
        """POST as somebody in a browser: what a token of theirs may not do."""
        client = Client(headers=headers)
        client.force_login(self.cast.users[name])
        answer = client.post(V1 + address, body, "application/json")
        return Answer(answer.status_code, answer.json(), answer.headers)

    def put(self, name: str | None, address: str, body: Any = None, **headers: str) -> Answer:
        return self(name, "PUT", address, body, **headers)

    def change(
        self,
        after: Any,
        *,
        environment: str = "production",
        base: int = 0,
        flag: str = "banner",
        **members: Any,
    ) -> dict[str, Any]:
        """The body that proposes a configuration of a flag."""
        subject = self.cast.subject(flag, environment)
        return {
            "project": "shop",
            "title": f"Change {flag} in {environment}",
            "rationale": "planned",
            "operations": [{"subject": subject, "after": after}],
            "base": {subject: base},
            **members,
        }


@pytest.fixture
def api(cast: Cast, banner: None) -> Api:
    return Api(cast)


@pytest.fixture
def pipeline(api: Api) -> ServiceAccount:
    """A service account that holds every role in the shop, with a token under the name `pipeline`."""
    root = api.cast.actor("root")
    account = machines.create_service_account(root, "pipeline")
    for role in Role:
        grants.grant(root, api.cast.project, account.pseudonym, role)
    api.tokens["pipeline"] = machines.issue_token(root, account, "test")[1]
    return account
