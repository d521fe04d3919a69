"""The addresses of `/api/`. A resource is addressed by keys, as a change's subject names it."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from access.api.accounts import Accounts
from access.api.endpoint import Endpoint
from access.api.erasure import Erasures
from access.api.factors import FactorPolicies, FactorResets
from access.api.notifications import Chats, Notifications, NotificationSettings
from access.api.people import Me, Memberships, People, ServiceAccounts
from access.api.providers import IdentityProviders
from access.api.roles import Roles, Standings, WhoMay
from access.api.sessions import Lockouts, Sessions
from access.api.teams import OrganisationMemberships, Teams
from access.api.tokens import Tokens
from access.api.trust import TrustRules
from access.api.webhooks import Deliveries, Webhooks
from approvals.api.change_requests import ChangeRequests
from approvals.api.change_reverts import ChangeReverts
from approvals.api.change_steps import ChangeSteps
from approvals.api.change_verdicts import ChangeVerdicts
from approvals.api.expectations import Expectations
from approvals.api.explain import Explain
from approvals.api.freezes import Freezes
from approvals.api.history import FlagHistory, SegmentHistory
from approvals.api.kills import Emergencies, Kills
from approvals.api.policies import Policies
from approvals.api.report import Report
from approvals.api.rollout_plans import RolloutPlans
from approvals.api.rollout_templates import RolloutTemplates
from approvals.api.ways import FlagWays
from audit.api.events import Checkpoints, Events
from audit.api.exports import ExportBundles, Exports
from config.problems import problem_kind
from distribution.api import SdkKeys
from flags.api.configurations import Configurations
from flags.api.environments import Environments
from flags.api.flags import Flags
from flags.api.projects import Projects
from flags.api.segments import Segments


class Elsewhere(Endpoint):
    """Every other address: a problem in JSON, not Django's page."""

    schema = None  # type: ignore[assignment]

    def nothing(self, request: Request, rest: str) -> Any:
        """Raises NotFound."""
        hint = " Addresses here have no slash at the end." if rest.endswith("/") else ""
        raise NotFound(f"There is nothing at {request.path!r}; /api/docs/ lists what there is.{hint}")


def _v1(address: str, view: type[Endpoint], **methods: str) -> URLPattern:
    return path(f"v1/{address}", view.as_view({**methods}))


urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    # The split view: the page's script is a file of ours, which the content security policy asks for.
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("problems/<slug:slug>", problem_kind),
    _v1("me", Me, get="retrieve"),
    _v1("projects", Projects, get="list", post="create"),
    _v1("projects/<str:project>", Projects, get="retrieve", patch="partial_update"),
    _v1("environments", Environments, get="list", post="create"),
    _v1(
        "environments/<str:project>/<str:environment>",
        Environments,
        get="retrieve",
        patch="partial_update",
    ),
    _v1("flags", Flags, get="list"),
    _v1("flags/<str:project>/<str:flag>", Flags, get="retrieve"),
    _v1("flags/<str:project>/<str:flag>/history", FlagHistory, get="list"),
    _v1("flags/<str:project>/<str:flag>/kill", Kills, post="kill_everywhere"),
    _v1("flags/<str:project>/<str:flag>/promote", FlagWays, get="promotion", post="promote"),
    _v1("flags/<str:project>/<str:flag>/archive", FlagWays, get="obstacles", post="archive"),
    *(
        _v1(f"flags/<str:project>/<str:flag>/{verb}", FlagWays, post=verb)
        for verb in ("unarchive", "hibernate", "wake")
    ),
    _v1("configurations", Configurations, get="list"),
    _v1(
        "configurations/<str:project>/<str:environment>/<str:flag>",
        Configurations,
        get="retrieve",
    ),
    _v1("configurations/<str:project>/<str:environment>/<str:flag>/kill", Kills, post="kill"),
    _v1("segments", Segments, get="list"),
    _v1("segments/<str:project>/<str:segment>", Segments, get="retrieve"),
    _v1("segments/<str:project>/<str:segment>/history", SegmentHistory, get="list"),
    _v1("explain", Explain, post="answer"),
    _v1("change-requests", ChangeRequests, get="list", post="create"),
    _v1("change-requests/preview", ChangeRequests, post="preview"),
    _v1("change-requests/restore", ChangeReverts, post="restore"),
    _v1("change-requests/restore-at-once", ChangeReverts, post="restore_at_once"),
    _v1("change-requests/<int:number>/revert-at-once", ChangeReverts, post="revert_at_once"),
    _v1("change-requests/<int:number>", ChangeRequests, get="retrieve", put="update"),
    *(
        _v1(f"change-requests/<int:number>/{verb}", view, post=verb)
        for view, verbs in (
            (ChangeVerdicts, ("approve", "reject", "withdraw", "comment", "resolve")),
            (ChangeSteps, ("rebase", "schedule", "apply", "confirm")),
            (ChangeReverts, ("revert",)),
        )
        for verb in verbs
    ),
    _v1("emergencies", Emergencies, get="list"),
    _v1("emergencies/<uuid:event>/review", Emergencies, post="review"),
    _v1("rollout-plans", RolloutPlans, get="list", post="create"),
    _v1("rollout-plans/<int:number>", RolloutPlans, get="retrieve"),
    *(
        _v1(f"rollout-plans/<int:number>/{verb.replace('_', '-')}", RolloutPlans, post=verb)
        for verb in ("pause", "resume", "go_ahead", "jump", "abort")
    ),
    _v1("rollout-templates", RolloutTemplates, get="list"),
    _v1(
        "rollout-templates/<str:project>/<str:template>",
        RolloutTemplates,
        get="retrieve",
        put="update",
        delete="destroy",
    ),
    _v1("policies", Policies, get="list"),
    _v1("policies/<str:project>/<str:policy>", Policies, get="retrieve", put="update", delete="destroy"),
    _v1("freezes", Freezes, get="list"),
    _v1("freezes/<str:project>/<str:freeze>", Freezes, get="retrieve", put="update", delete="destroy"),
    _v1("expectations", Expectations, get="list"),
    _v1("expectations/<str:project>/<str:flag>", Expectations, get="retrieve"),
    _v1("events", Events, get="list"),
    _v1("events/<uuid:id>", Events, get="retrieve"),
    _v1("events/<uuid:id>/proof", Events, get="proof"),
    _v1("exports", Exports, get="list", post="create"),
    _v1("exports/<uuid:id>", Exports, get="retrieve"),
    _v1("exports/<uuid:id>/bundle", ExportBundles, get="retrieve"),
    _v1("report.csv", Report, get="retrieve"),
    _v1("checkpoints", Checkpoints, get="list"),
    _v1("checkpoints/latest", Checkpoints, get="latest"),
    _v1("sdk-keys", SdkKeys, get="list", post="create"),
    _v1("sdk-keys/<int:id>", SdkKeys, patch="update"),
    _v1("sdk-keys/<int:id>/revoke", SdkKeys, post="revoke"),
    _v1("sdk-keys/<int:id>/rotate", SdkKeys, post="rotate"),
    _v1("people", People, get="list"),
    _v1("memberships", Memberships, get="list", post="create"),
    _v1("memberships/<str:project>/<str:member>/<str:role>", Memberships, delete="destroy"),
    _v1("organisation-memberships", OrganisationMemberships, get="list", post="create"),
    _v1("organisation-memberships/<str:member>/<str:role>", OrganisationMemberships, delete="destroy"),
    _v1("teams", Teams, get="list"),
    _v1("teams/<str:team>", Teams, get="retrieve", put="update", delete="destroy"),
    _v1("roles", Roles, get="table"),
    _v1("roles/<str:role>", Roles, put="update", delete="destroy"),
    _v1("who-may", WhoMay, get="retrieve"),
    _v1("standing", Standings, get="retrieve"),
    _v1("factor-policy", FactorPolicies, get="retrieve", put="update"),
    _v1("accounts", Accounts, get="list", post="create"),
    _v1("accounts/<str:person>", Accounts, get="retrieve", patch="partial_update"),
    _v1("accounts/<str:person>/password", Accounts, post="password"),
    _v1("accounts/<str:person>/identities/<str:provider>", Accounts, put="link", delete="unlink"),
    _v1("sessions", Sessions, get="list"),
    _v1("sessions/end", Sessions, post="end_all"),
    _v1("sessions/<int:id>/end", Sessions, post="end"),
    _v1("lockouts", Lockouts, get="listed"),
    _v1("lockouts/unlock", Lockouts, post="unlock"),
    _v1("people/<str:person>/reset-factors", FactorResets, post="reset"),
    _v1("people/<str:person>/erasure", Erasures, get="retrieve", post="erase"),
    _v1("tokens", Tokens, get="list", post="create"),
    _v1("tokens/<int:id>/revoke", Tokens, post="revoke"),
    _v1("tokens/<int:id>/rotate", Tokens, post="rotate"),
    _v1("trust-rules", TrustRules, get="list", post="create"),
    _v1("trust-rules/<int:id>/revoke", TrustRules, post="revoke"),
    _v1("service-accounts/<str:account>", ServiceAccounts, patch="partial_update"),
    _v1("identity-providers", IdentityProviders, get="list"),
    _v1("identity-providers/<str:key>", IdentityProviders, get="retrieve", put="update", delete="destroy"),
    _v1("identity-providers/<str:key>/given", IdentityProviders, get="given"),
    _v1("notifications", Notifications, get="list"),
    _v1("notifications/read", Notifications, post="read"),
    _v1("notification-settings", NotificationSettings, get="retrieve", patch="update"),
    _v1("chats", Chats, get="list", post="create"),
    _v1("chats/<int:id>", Chats, delete="destroy"),
    _v1("chats/<int:id>/test", Chats, post="test"),
    _v1("webhooks", Webhooks, get="list", post="create"),
    _v1("webhooks/<int:id>", Webhooks, get="retrieve", patch="partial_update", delete="destroy"),
    _v1("webhooks/<int:id>/rotate", Webhooks, post="rotate"),
    _v1("webhooks/<int:id>/test", Webhooks, post="test"),
    _v1("deliveries", Deliveries, get="list"),
    _v1("deliveries/<int:id>/redeliver", Deliveries, post="redeliver"),
    _v1("service-accounts", ServiceAccounts, get="list", post="create"),
    re_path(
        r"^(?P<rest>.*)$",
        Elsewhere.as_view(dict.fromkeys(("get", "post", "put", "patch", "delete"), "nothing")),
    ),
]
