"""Demo data, made through the real verbs, with a history that reaches back three months."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from access import grants, machines
from access.models import Delivery, User
from access.permissions import user_actor
from access.roles import Role
from approvals import rollouts, workflow
from approvals.models import ChangeRequest
from audit.actor import Actor
from audit.ledger import timestamp
from config.demo_catalogue import PEOPLE, PROJECTS, SEGMENTS, Demo, on, split
from config.demo_clock import HISTORY, Clock, clock_from
from distribution import keys, publish
from flags import catalogue
from flags.lifecycle import EXPECTED_LIFETIME
from flags.models import Environment, Flag, FlagConfiguration, Project
from flags.subjects import Subject

PASSWORD = "countersign-demo"  # noqa: S105  (of the demo's invented people; it is printed)


class Command(BaseCommand):
    """Does nothing where there is a project already, so that a second start is quick and safe."""

    help = "Fill an empty installation with two projects to look around in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--base-url", default=settings.BASE_URL)

    def handle(self, *args: Any, base_url: str, **options: Any) -> None:
        unfinished = settings.DATA_DIR / "demo.unfinished"
        if unfinished.exists():
            raise CommandError(
                f"The demo was interrupted while it was made. Remove {settings.DATA_DIR}"
                f"{'' if settings.ON_SQLITE else ' and empty the database'}, then start again."
            )
        if Project.objects.exists():
            self.stdout.write("There is data already; nothing was added.")
            return
        unfinished.touch()
        # Hundreds of lines about invented changes would hide how to sign in.
        logging.getLogger("audit.recording").setLevel(logging.WARNING)
        now = timezone.now()
        self.cast = self._people()
        self.root = self.cast["admin"]
        with clock_from(now - HISTORY) as clock:
            self.projects = {key: self._project(key, spec) for key, spec in PROJECTS.items()}
            for key, segments in SEGMENTS.items():
                for segment, document in segments.items():
                    clock.forward(hours=3)
                    self._change(
                        "mara", key, f"project/{key}/segment/{segment}", document, f"New segment {segment}"
                    )
            flags = [(key, flag) for key, spec in PROJECTS.items() for flag in spec["flags"]]
            for key, flag in sorted(flags, key=lambda pair: -pair[1]["age"]):
                clock.to(now - timedelta(days=flag["age"]))
                self._flag(key, flag, now)
            clock.to(now - timedelta(days=6))
            self._requests(clock, now)
        # Nobody is written to about what happened in an invented past.
        Delivery.objects.filter(state=Delivery.State.WAITING).delete()
        for environment in publish.due():
            publish.publish(environment.pk)
        self._write_file(base_url)
        unfinished.unlink()
        self.stdout.write(
            "Two projects, with people, flags, requests and a rollout, are there to look around in."
        )

    # --- people -------------------------------------------------------------------------------

    def _people(self) -> dict[str, User]:
        people = {}
        for username, (first, last, _) in PEOPLE.items():
            people[username] = User.objects.create_user(
                username,
                f"{username}@example.com",
                PASSWORD,
                first_name=first,
                last_name=last,
                is_staff=True,
                is_superuser=username == "admin",
            )
        return people

    def _actor(self, username: str) -> Actor:
        return user_actor(self.cast[username], "ui")

    # --- catalogue ----------------------------------------------------------------------------

    def _project(self, key: str, spec: Mapping[str, Any]) -> Project:
        admin = self._actor("admin")
        project = catalogue.create_project(admin, key, spec["name"], spec["pattern"])
        for position, (environment_key, members) in enumerate(spec["environments"].items()):
            catalogue.create_environment(admin, project, environment_key, {**members, "position": position})
        for username, (_, _, roles) in PEOPLE.items():
            for role in roles.get(key, ()):
                grants.grant(admin, project, self.cast[username].pseudonym, role)
        for policy, document in spec["policies"].items():
            self._change(
                "admin", key, f"project/{key}/policy/{policy}", document, f"Policy {document['name']}"
            )
        return project

    def _flag(self, project_key: str, flag: Demo, now: datetime) -> None:
        definition = dict(flag["definition"])
        owner = flag.get("owner")
        if owner:
            definition["owner"] = self.cast[owner].pseudonym
        if "expires_in" in flag:
            definition["expires_at"] = timestamp(now + timedelta(days=flag["expires_in"]))
        elif definition["temporary"] and (lifetime := EXPECTED_LIFETIME[definition["kind"]]):
            definition["expires_at"] = timestamp(timezone.now() + lifetime)
        key = flag["key"]
        self._change(
            flag.get("author", "mara"),
            project_key,
            f"project/{project_key}/flag/{key}",
            definition,
            f"New flag {key}",
        )
        for environment, document in flag["configurations"].items():
            self._change(
                flag.get("author", "mara"),
                project_key,
                f"project/{project_key}/environment/{environment}/flag/{key}",
                document,
                f"{key}: first configuration in {environment}",
                rationale=flag.get("why", "Planned for this quarter."),
                ticket=flag.get("ticket", ""),
            )
        if "expectations" in flag:
            self._change(
                flag.get("author", "mara"),
                project_key,
                str(Subject("expectations", project_key, key)),
                {"expectations": flag["expectations"]},
                f"{key}: what is expected of it",
            )

    def _change(
        self, author: str, project: str, subject: str, after: Any, title: str, **texts: str
    ) -> ChangeRequest:
        """Propose, and have it approved by as many as it needs."""
        texts.setdefault("rationale", "Part of the setup.")
        request = workflow.change(
            self._actor(author),
            self.projects[project] if hasattr(self, "projects") else Project.objects.get(key=project),
            [{"subject": subject, "after": after}],
            title=title,
            **texts,
        )
        for reviewer in ("jonas", "ada")[: request.required_approvals]:
            if request.state == ChangeRequest.State.IN_REVIEW:
                request = workflow.approve(self._actor(reviewer), request, digest=request.digest)
        return request

    # --- requests in each state ---------------------------------------------------------------

    def _requests(self, clock: Clock, now: datetime) -> None:
        shop = self.projects["shop"]
        production = Environment.objects.select_related("project").get(project=shop, key="production")

        def propose(
            flag: str, document: Mapping[str, Any], title: str, why: str, **options: Any
        ) -> ChangeRequest:
            clock.forward(hours=1, minutes=7)
            subject = str(Subject("configuration", "shop", flag, "production"))
            return workflow.propose(
                self._actor("mara"),
                shop,
                [{"subject": subject, "after": dict(document)}],
                title=title,
                rationale=why,
                **options,
            )

        def standing(flag: str) -> dict[str, Any]:
            return dict(FlagConfiguration.objects.get(flag__key=flag, environment=production).document)

        rejected = propose(
            "dark-mode", on("on"), "Dark mode for everyone", "People ask for it.", ticket="SHOP-388"
        )
        workflow.reject(
            self._actor("jonas"),
            rejected,
            digest=rejected.digest,
            comment="Contrast on the cart page first, please.",
        )
        withdrawn = propose(
            "free-shipping-banner",
            on("off"),
            "Hide the banner",
            "The campaign ended early.",
            ticket="SHOP-402",
        )
        workflow.withdraw(self._actor("mara"), withdrawn)
        clock.forward(hours=2)
        emergency = workflow.kill(
            self._actor("priya"), Subject("configuration", "shop", "one-click-reorder", "production"), shop
        )
        clock.forward(minutes=50)
        workflow.review_emergency(self._actor("jonas"), emergency)
        clock.to(now - timedelta(days=1))
        workflow.kill(self._actor("priya"), Subject("configuration", "shop", "live-chat", "production"), shop)
        plan = rollouts.propose_plan(
            self._actor("mara"),
            Flag.objects.get(project=shop, key="new-search"),
            production,
            [
                {"weights": [["on", 5_000], ["off", 95_000]], "hold": 2 * 86_400},
                {"weights": [["on", 25_000], ["off", 75_000]], "hold": 3 * 86_400},
                {"weights": [["on", 100_000], ["off", 0]], "hold": 0},
            ],
            title="New search: 5 %, 25 %, everyone",
            rationale="Conversion rose by 3 % in the beta group.",
            ticket="SHOP-377",
        )
        workflow.approve(self._actor("jonas"), plan, digest=plan.digest)
        clock.to(now - timedelta(hours=7))
        propose(
            "checkout-revamp",
            {**standing("checkout-revamp"), "default": split("checkout-revamp", 25)["default"]},
            "Checkout revamp: 5 % → 25 %",
            "A week at 5 % without a rise in errors or support tickets.",
            ticket="SHOP-351",
            scheduled_at=now,
        )
        scheduled = propose(
            "free-shipping-banner",
            split("free-shipping-banner", 50, "text-b", "text-a", "off"),
            "Test the second banner text",
            "The campaign starts on Monday morning.",
            ticket="SHOP-409",
            scheduled_at=now + timedelta(days=2),
        )
        workflow.approve(self._actor("jonas"), scheduled, digest=scheduled.digest, comment="Good luck!")
        approved = propose(
            "gift-cards",
            on("on"),
            "Gift cards for everyone",
            "Legal signed off.",
            ticket="SHOP-365",
            scheduled_at=None,
        )
        workflow.approve(self._actor("jonas"), approved, digest=approved.digest)

    # --- for scripts --------------------------------------------------------------------------

    def _write_file(self, base_url: str) -> None:
        admin = self._actor("admin")
        tokens = {}
        for username, (_, _, roles) in PEOPLE.items():
            _, secret = machines.issue_token(self._actor(username), self.cast[username], "demo")
            tokens[roles["shop"][0] if roles.get("shop") else username] = secret
        pipeline = machines.create_service_account(admin, "release-pipeline")
        grants.grant(admin, self.projects["shop"], pipeline.pseudonym, Role.EDITOR)
        _, tokens["service-account"] = machines.issue_token(admin, pipeline, "demo")
        dsns, client_dsns = {}, {}
        for environment in Environment.objects.select_related("project"):
            _, secret = keys.issue(admin, environment, "demo service", "server")
            dsns[environment.path] = keys.dsn(environment, secret).replace(settings.BASE_URL, base_url)
            _, secret = keys.issue(admin, environment, "demo web app", "client")
            client_dsns[environment.path] = keys.dsn(environment, secret).replace(settings.BASE_URL, base_url)
        path = settings.DATA_DIR / "demo.json"
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(
                {
                    "base_url": base_url,
                    "users": {
                        username: {
                            "name": f"{first} {last}",
                            "password": PASSWORD,
                            "roles": {key: list(held) for key, held in roles.items()},
                        }
                        for username, (first, last, roles) in PEOPLE.items()
                    },
                    "tokens": tokens,
                    "dsn": dsns,
                    "client_dsn": client_dsns,
                },
                indent=1,
            )
            + "\n",
            encoding="utf-8",
        )
