"""The people and places that tests speak of: an author, a reviewer, an auditor, an outsider and others."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.contrib.auth.hashers import make_password

from access import grants
from access.models import User
from access.permissions import user_actor
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest
from audit.actor import Actor
from flags import catalogue
from flags.models import Environment, Project

PASSWORD = "correct horse battery"
ON = {"enabled": True, "off": "off", "default": {"variant": "on"}}
OFF = {"enabled": False, "off": "off", "default": {"variant": "on"}}
BANNER = {
    "name": "Banner",
    "type": "boolean",
    "variants": {"on": True, "off": False},
    "kind": "release",
    "fail_safe": "off",
    "permanent_reason": "It stays: this is a test.",
}


def split(on: int, seed: str = "banner") -> dict[str, Any]:
    """A configuration in which `on` of 100 get the variant on."""
    weights = [["on", on], ["off", 100 - on]]
    return {
        "enabled": True,
        "off": "off",
        "default": {"split": {"by": "targetingKey", "seed": seed, "hash": "murmur3", "weights": weights}},
    }


@dataclass
class Cast:
    """A project `shop` with an open development and a protected production, and somebody in each role."""

    project: Project
    development: Environment
    production: Environment
    users: dict[str, User] = field(default_factory=dict)

    def actor(self, name: str, via: Any = "ui") -> Actor:
        return user_actor(self.users[name], via)

    def subject(self, key: str = "banner", environment: str = "production") -> str:
        return f"project/shop/environment/{environment}/flag/{key}"

    def flag(self, key: str = "banner", **members: Any) -> None:
        """Create a flag through the gate."""
        document = {**BANNER, **members}
        workflow.change(
            self.actor("author"),
            self.project,
            [{"subject": f"project/shop/flag/{key}", "after": document}],
            title=f"New flag {key}",
            rationale="planned",
        )

    def propose(
        self, after: Any = None, *, key: str = "banner", environment: str = "production", **options: Any
    ) -> ChangeRequest:
        """The author proposes a configuration, with the usual texts, to be applied when approved."""
        options.setdefault("title", f"Change {key} in {environment}")
        options.setdefault("rationale", "planned")
        return workflow.change(
            self.actor("author"),
            self.project,
            [{"subject": self.subject(key, environment), "after": after or ON}],
            **options,
        )

    def policy(self, key: str = "production", **members: Any) -> ChangeRequest:
        """The administrator asks for a policy of the environment, and as many as it takes approve."""
        document = {"name": key.title(), "environments": [key], **members}
        return self.govern(f"project/shop/policy/{key}", document)

    def govern(self, subject: str, after: Any) -> ChangeRequest:
        """The administrator asks for what governs to be changed, and as many as it takes approve."""
        request = workflow.change(
            self.actor("administrator"),
            self.project,
            [{"subject": subject, "after": after}],
            title="Govern",
            rationale="agreed",
            ticket="SHOP-1",
        )
        for name in ("reviewer", "second_reviewer"):
            if request.is_open:
                request = self.approve(request, name)
        return request

    def settings(self, key: str, **members: Any) -> ChangeRequest:
        """The administrator asks for other settings of an environment."""
        environment = Environment.objects.select_related("project").get(project=self.project, key=key)
        return self.govern(environment.ledger_subject, {**environment.document, **members})

    def approve(self, request: ChangeRequest, by: str = "reviewer") -> ChangeRequest:
        return workflow.approve(self.actor(by), request, digest=request.digest)


@cache
def _password() -> str:
    """Hashed once: a strong hash for every user of every test would be most of the tests' time."""
    return make_password(PASSWORD)


def _user(name: str, **members: Any) -> User:
    return User.objects.create(
        username=name,
        email=f"{name}@example.com",
        first_name=name.replace("_", " ").title(),
        password=_password(),
        **members,
    )


def assemble() -> Cast:
    """Make the cast. Every row is written by a verb, as in the product."""
    root = _user("root", is_staff=True, is_superuser=True)
    founder = user_actor(root, "cli")
    project = catalogue.create_project(founder, "shop", "Shop")
    development = catalogue.create_environment(founder, project, "development", {"name": "Development"})
    production = catalogue.create_environment(
        founder,
        project,
        "production",
        {
            "name": "Production",
            "kind": "production",
            "protected": True,
            "position": 2,
            "regions": ["eu", "us"],
        },
    )
    cast = Cast(project, development, production, {"root": root})
    roles = {
        "author": Role.EDITOR,
        "reviewer": Role.REVIEWER,
        "second_reviewer": Role.REVIEWER,
        "on_call": Role.ON_CALL,
        "auditor": Role.AUDITOR,
        "viewer": Role.VIEWER,
        "administrator": Role.ADMINISTRATOR,
    }
    for name in [*roles, "outsider"]:
        cast.users[name] = _user(name)
    for name, role in roles.items():
        grants.grant(founder, project, cast.users[name].pseudonym, role)
    other = catalogue.create_project(founder, "other", "Other")
    grants.grant(founder, other, cast.users["outsider"].pseudonym, Role.ADMINISTRATOR)
    return cast


def standing() -> Cast:
    """The cast that `assemble` made."""
    project = Project.objects.get(key="shop")
    development, production = (
        Environment.objects.select_related("project").get(project=project, key=key)
        for key in ("development", "production")
    )
    return Cast(project, development, production, {user.username: user for user in User.objects.all()})
