"""Every address of the application with the verb that it takes: the table of doors.

A test walks the URL patterns and fails on one that is not here, so that nothing is opened unseen. Another asks
every door as every role. `{…}` in a body stands for something of the stage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Not a verb: what else decides.
PUBLIC = "public"  # anybody, without signing in
SIGNED_IN = "signed in"  # whoever signed in, about themselves or what is no secret here
NARROWED = "narrowed"  # whoever signed in gets 200, and in it only what they may see


@dataclass(frozen=True, slots=True)
class Door:
    """A method of an address."""

    route: str
    method: str
    verb: str
    body: Any = None
    # What the parts of the route stand for; see `Stage` for the ones that are not given.
    at: dict[str, str] = field(default_factory=dict)
    query: str = ""
    # Something else than the verb decides, and tests of their own are about it; says what.
    beside: str = ""


def _pages(prefix: str, verb: str, *names: str, **at: str) -> list[Door]:
    return [Door(f"{prefix}{name}", "GET", verb, at=at) for name in names]


_P = "admin/p/<str:project>/"
_FLAG = f"{_P}flags/<str:key>/"
_IN = f"{_FLAG}in/<str:environment>/"
_REQUEST = f"{_P}requests/<int:number>/"
_V1 = "api/v1/"
_CR = f"{_V1}change-requests/<int:number>"
REQUEST, PLAN, TEAM, ROLE = (
    {"number": "{request}"},
    {"number": "{plan}"},
    {"key": "payments"},
    {"key": "night-watch"},
)
PERSON, PROGRAM, KEY = {"number": "{person}"}, {"number": "{program}"}, {"number": "{sdk_key}"}
ENVIRONMENT = {"key": "development"}
POLICY = {"key": "staging"}
FREEZE = {"key": "holidays", "freeze": "holidays"}
EXPECTED = {
    "base": "0",
    "e-TOTAL_FORMS": "1",
    "e-INITIAL_FORMS": "0",
    "e-0-sentence": "Somebody has it",
    "e-0-environment": "development",
    "e-0-context": "{}",
    "e-0-variant": "on",
}


PAGES = [
    *_pages(
        _P,
        "project.view",
        "home/",
        "calendar/",
        "find/",
        "flags/",
        "flag-names/",
        "segments/",
        "environments/",
        "requests/",
        "plans/",
        "plan-templates/",
        "freezes/",
        "playground/",
        "people/",
        "who-may/",
        "flags/<str:key>/",
        "flags/<str:key>/explain/",
        "flags/<str:key>/expectations/",
        "flags/<str:key>/variants/",
        "flags/<str:key>/history/",
        "flags/<str:key>/usage/",
        "flags/<str:key>/settings/",
        "flags/<str:key>/in/<str:environment>/",
        "flags/<str:key>/in/<str:environment>/overview/",
        "flags/<str:key>/in/<str:environment>/rules/",
    ),
    Door(f"{_P}segments/<str:key>/", "GET", "project.view", at={"key": "beta"}),
    Door(f"{_P}environments/<str:key>/flagd/", "GET", "project.view", at=ENVIRONMENT),
    Door(_REQUEST, "GET", "project.view", at=REQUEST),
    Door(f"{_REQUEST}state/", "GET", "project.view", at=REQUEST),
    Door(f"{_P}plans/<int:number>/", "GET", "project.view", at=PLAN),
    Door(f"{_P}freezes/<str:key>/", "GET", "project.view", at=FREEZE),
    Door(f"{_FLAG}expectations/", "POST", "change.propose", EXPECTED),
    *_pages(_P, "freeze.manage", "new-freeze/"),
    Door(f"{_P}new-freeze/", "POST", "freeze.manage", {}),
    Door(f"{_P}freezes/<str:key>/", "POST", "freeze.manage", {"lift": "1"}, FREEZE),
    Door(
        f"{_P}views/<str:page>/", "POST", "project.view", {"name": "On", "query": "q=on"}, {"page": "flags"}
    ),
    Door(f"{_P}standing/<str:member>/", "GET", "project.view"),
    Door(f"{_P}draft/", "POST", "change.propose", {"verb": "discard"}),
    *_pages(_P, "change.propose", "draft/", "new-flag/", "new-segment/", "flags/<str:key>/edit/"),
    Door(f"{_P}segments/<str:key>/edit/", "GET", "change.propose", at={"key": "beta"}),
    Door(f"{_IN}rollout/", "GET", "change.propose"),
    Door(f"{_P}new-flag/", "POST", "change.propose", {}),
    Door(f"{_FLAG}edit/", "POST", "change.propose", {}),
    Door(f"{_P}new-segment/", "POST", "change.propose", {}),
    Door(f"{_P}segments/<str:key>/edit/", "POST", "change.propose", {}, {"key": "beta"}),
    Door(f"{_IN}rollout/", "POST", "change.propose", {}),
    Door(_IN, "POST", "change.propose", {}),
    Door(f"{_IN}rules/", "POST", "change.propose", {}),
    Door(f"{_REQUEST}edit/", "GET", "change.propose", at=REQUEST, beside="only the proposer edits"),
    Door(_REQUEST, "POST", "change.approve", {"verb": "approve", "digest": "{digest}"}, REQUEST),
    Door(_REQUEST, "POST", "change.reject", {"verb": "reject", "digest": "{digest}"}, REQUEST),
    Door(_REQUEST, "POST", "change.comment", {"verb": "comment", "comment": "Why now?"}, REQUEST),
    Door(_REQUEST, "POST", "change.apply", {"verb": "apply"}, REQUEST),
    Door(f"{_P}plans/<int:number>/", "POST", "rollout.pause", {"verb": "pause"}, PLAN),
    Door(f"{_P}plans/<int:number>/", "POST", "rollout.pause", {"verb": "abort"}, PLAN),
    *_pages(_FLAG, "change.propose", "archive/", "hibernate/", "in/<str:environment>/promote/"),
    Door(f"{_FLAG}archive/", "POST", "change.propose", {}),
    Door(f"{_FLAG}hibernate/", "POST", "change.propose", {}),
    Door(f"{_IN}promote/", "POST", "change.propose", {}),
    Door(f"{_REQUEST}revert/", "GET", "change.propose", at=REQUEST),
    Door(f"{_REQUEST}revert/", "POST", "change.propose", {}, REQUEST),
    Door(_REQUEST, "POST", "flag.kill", {"verb": "revert-at-once"}, REQUEST),
    Door(f"{_P}restore/<uuid:event>/", "GET", "change.propose"),
    Door(f"{_P}restore/<uuid:event>/", "POST", "change.propose", {}),
    Door(f"{_FLAG}kill/", "GET", "flag.kill"),
    Door(f"{_FLAG}kill/", "POST", "flag.kill", {}),
    Door(f"{_IN}kill/", "GET", "flag.kill"),
    Door(f"{_IN}kill/", "POST", "flag.kill", {}),
    Door(f"{_P}kills/<int:number>/review/", "POST", "emergency.review", {}, {"number": "{kill}"}),
    *_pages(_P, "project.administer", "new-environment/", "settings/"),
    Door(f"{_P}settings/", "POST", "project.administer", {"name": "Shop"}),
    Door(f"{_P}new-environment/", "POST", "project.administer", {}),
    *_pages(_P, "project.administer", "environments/<str:key>/edit/", **ENVIRONMENT),
    Door(f"{_P}environments/<str:key>/edit/", "POST", "project.administer", {}, ENVIRONMENT),
    *_pages(_P, "project.view", "policies/"),
    Door(f"{_P}plan-templates/", "POST", "rollout_template.manage", {"delete": "careful"}),
    *_pages(_P, "policy.change", "policies/new/"),
    *_pages(_P, "policy.change", "policies/<str:key>/edit/", **POLICY),
    Door(f"{_P}policies/new/", "POST", "policy.change", {}),
    Door(f"{_P}policies/<str:key>/edit/", "POST", "policy.change", {}, POLICY),
    *_pages(_P, "sdk_key.manage", "environments/<str:key>/new-key/", **ENVIRONMENT),
    Door(f"{_P}environments/<str:key>/new-key/", "POST", "sdk_key.manage", {}, ENVIRONMENT),
    *_pages(_P, "sdk_key.manage", "sdk-keys/<int:number>/revoke/", **KEY),
    Door(f"{_P}sdk-keys/<int:number>/revoke/", "POST", "sdk_key.manage", {}, KEY),
    *_pages(_P, "sdk_key.manage", "sdk-keys/<int:number>/replace/", **KEY),
    Door(f"{_P}sdk-keys/<int:number>/replace/", "POST", "sdk_key.manage", {}, KEY),
    Door(f"{_P}sdk-keys/<int:number>/origins/", "POST", "sdk_key.manage", {}, {"number": "{client_key}"}),
    Door(f"{_P}people/", "POST", "access.manage", {"who": "second_reviewer", "role": "viewer"}),
    Door(f"{_P}people/", "POST", "access.manage", {"revoke": "{membership}"}),
    *_pages(_P, "access.manage", "people/<int:number>/limits/", number="{membership}"),
    Door(f"{_P}people/<int:number>/limits/", "POST", "access.manage", {}, {"number": "{membership}"}),
    *_pages(_P, "audit.view", "audit/"),
    *_pages(
        _P,
        "audit.view",
        "audit/<uuid:event>/",
        "audit/<uuid:event>/proof",
        "audit/<uuid:event>/line",
    ),
    *(
        Door(
            f"admin/organisation/audit/{name}",
            "GET",
            "audit.view",
            beside="in the organisation: tests/ui/test_organisation_audit.py",
        )
        for name in ("", "<uuid:event>/", "<uuid:event>/proof", "<uuid:event>/line")
    ),
    Door("admin/audit/", "GET", NARROWED),
    Door("admin/audit/report.csv", "GET", "audit.export", beside="the projects that one holds it in"),
    Door("admin/audit/export", "GET", "audit.export", beside="needed in every project"),
    *(
        Door(
            f"admin/audit/export/<uuid:event>/{name}",
            "GET",
            "audit.export",
            beside="of an export of one's own",
        )
        for name in ("", "progress", "bundle")
    ),
    Door("admin/home/", "GET", SIGNED_IN),
    Door("admin/roles/", "GET", SIGNED_IN),
    Door("admin/projects/new/", "GET", "project.create"),
    Door("admin/projects/new/", "POST", "project.create", {"key": "new", "name": "New"}),
    Door("admin/teams/", "GET", "team.manage"),
    Door("admin/new-team/", "GET", "team.manage"),
    Door("admin/new-team/", "POST", "team.manage", {"key": "new", "name": "New"}),
    Door("admin/teams/<str:key>/", "GET", "team.manage", at=TEAM),
    Door("admin/teams/<str:key>/", "POST", "team.manage", {"name": "Paying"}, TEAM),
    Door("admin/teams/<str:key>/", "POST", "team.manage", {"delete": "1"}, TEAM),
    Door("admin/custom-roles/", "GET", "organisation.manage"),
    Door("admin/new-role/", "GET", "organisation.manage"),
    Door(
        "admin/new-role/",
        "POST",
        "organisation.manage",
        {"key": "new", "name": "New", "verbs": ["flag.kill"]},
    ),
    Door("admin/custom-roles/<str:key>/", "GET", "organisation.manage", at=ROLE),
    Door(
        "admin/custom-roles/<str:key>/",
        "POST",
        "organisation.manage",
        {"name": "Night", "verbs": ["flag.kill"]},
        ROLE,
    ),
    Door("admin/organisation/", "GET", "organisation.manage"),
    Door(
        "admin/organisation/",
        "POST",
        "organisation.manage",
        {"who": "viewer", "role": "organisation-administrator"},
    ),
    Door("admin/service-accounts/", "GET", "service_account.manage"),
    Door("admin/new-service-account/", "GET", "service_account.manage"),
    Door("admin/new-service-account/", "POST", "service_account.manage", {"name": "new"}),
    Door("admin/service-accounts/<int:number>/", "GET", "service_account.manage", at=PROGRAM),
    Door(
        "admin/service-accounts/<int:number>/",
        "POST",
        "service_account.manage",
        {"revoke": "{token}"},
        PROGRAM,
    ),
    *(
        Door(f"admin/service-accounts/<int:number>/{name}/", method, "service_account.manage", body, PROGRAM)
        for name in ("new-token", "new-trust-rule", "try-a-token")
        for method, body in (("GET", None), ("POST", {}))
    ),
    Door(
        "admin/service-accounts/<int:number>/",
        "POST",
        "service_account.manage",
        {"distrust": "{trust_rule}"},
        PROGRAM,
    ),
    Door("admin/tokens/", "GET", SIGNED_IN),
    Door("admin/new-token/", "GET", SIGNED_IN),
    Door("admin/tokens/<int:number>/replace/", "GET", "service_account.manage", at={"number": "{token}"}),
    Door("admin/tokens/<int:number>/replace/", "POST", "service_account.manage", {}, {"number": "{token}"}),
    Door("admin/accounts/", "GET", "account.manage"),
    Door("admin/accounts/new/", "GET", "account.manage"),
    Door("admin/accounts/new/", "POST", "account.manage", {"username": "new"}),
    Door("admin/accounts/<int:number>/", "GET", "account.manage", at=PERSON),
    Door("admin/accounts/<int:number>/", "POST", "account.manage", {"username": "renamed"}, PERSON),
    Door("admin/accounts/<int:number>/password/", "GET", "account.manage", at=PERSON),
    Door("admin/accounts/<int:number>/password/", "POST", "account.manage", {}, PERSON),
    Door("admin/accounts/<int:number>/erase/", "GET", "person.erase", at=PERSON),
    Door("admin/accounts/<int:number>/erase/", "POST", "person.erase", {"username": "viewer"}, PERSON),
    Door("admin/sign-in/", "GET", "organisation.manage"),
    Door("admin/sign-in/new/", "GET", "organisation.manage"),
    Door("admin/sign-in/new/", "POST", "organisation.manage", {}),
    Door("admin/sign-in/<slug:key>/", "GET", "organisation.manage", beside="tests/ui/test_provider_pages.py"),
    Door(
        "admin/sign-in/<slug:key>/take-away/",
        "GET",
        "organisation.manage",
        beside="tests/ui/test_provider_pages.py",
    ),
    Door("admin/accounts/<int:number>/identities/", "GET", "account.manage", at=PERSON),
    Door("admin/accounts/<int:number>/identities/", "POST", "account.manage", {}, PERSON),
    Door("admin/identities/", "GET", SIGNED_IN),
    Door("admin/sessions/", "GET", SIGNED_IN),
    *(
        Door(
            f"admin/security/{name}",
            "GET",
            SIGNED_IN,
            beside="one's own: tests/access/test_second_factors.py",
        )
        for name in ("", "app/", "key/", "recovery-codes/", "confirm/")
    ),
    Door("admin/second-factors/", "GET", "organisation.manage"),
    Door("admin/second-factors/", "POST", "organisation.manage", {"fresh_minutes": 15}),
    Door("admin/accounts/<int:number>/second-factors/", "GET", "factor.reset", at=PERSON),
    Door("admin/accounts/<int:number>/second-factors/", "POST", "factor.reset", {}, PERSON),
    Door("admin/login/factor/", "GET", PUBLIC, beside="goes on with a sign-in"),
    Door("admin/login/passkey/", "GET", PUBLIC, beside="a sign-in"),
    Door("admin/notifications/", "GET", SIGNED_IN),
    Door("admin/notifications/", "POST", SIGNED_IN, {"all": "1"}),
    Door("admin/notifications/settings/", "GET", SIGNED_IN),
    Door("admin/notifications/settings/", "POST", SIGNED_IN, {"wanted": "request.waiting:app"}),
    *_pages(_P, "webhook.manage", "webhooks/", "new-webhook/", "new-chat/", "deliveries/"),
    Door(f"{_P}webhooks/", "POST", "webhook.manage", {"try": "{chat}"}),
    Door(f"{_P}new-webhook/", "POST", "webhook.manage", {}),
    Door(f"{_P}new-chat/", "POST", "webhook.manage", {}),
    *_pages(_P, "webhook.manage", "webhooks/<int:number>/", number="{webhook}"),
    Door(f"{_P}webhooks/<int:number>/", "POST", "webhook.manage", {"try": "1"}, {"number": "{webhook}"}),
    Door(f"{_P}webhooks/<int:number>/", "POST", "webhook.manage", {"delete": "1"}, {"number": "{webhook}"}),
    Door(f"{_P}deliveries/", "POST", "webhook.manage", {"redeliver": "{delivery}"}),
    Door("sign-in/", "GET", PUBLIC),
    Door("sign-in/<slug:provider_id>/", "POST", PUBLIC, beside="begins a sign-in by a provider"),
    Door(
        "sign-in/<slug:provider_id>/logged-out/",
        "POST",
        PUBLIC,
        beside="tests/access/test_logged_out_there.py",
    ),
    Door("sign-in/<slug:provider_id>/callback/", "GET", PUBLIC, beside="ends one"),
    # Django's and Unfold's own, in which no model of ours is registered.
    Door("admin/", "GET", SIGNED_IN),
    Door("admin/search/", "GET", SIGNED_IN, beside="finds registered models, of which there are none"),
    Door("admin/autocomplete/", "GET", SIGNED_IN, beside="finds registered models, of which there are none"),
    Door(
        "admin/r/<path:content_type_id>/<path:object_id>/",
        "GET",
        SIGNED_IN,
        at={"content_type_id": "1", "object_id": "1"},
        beside="Django's redirect",
    ),
    Door("admin/password_change/", "GET", SIGNED_IN),
    Door("admin/password_change/done/", "GET", SIGNED_IN),
    Door("admin/jsi18n/", "GET", PUBLIC),
    Door("admin/login/", "GET", PUBLIC),
    Door("admin/logout/", "POST", PUBLIC),
    Door("admin/(?P<url>.*)$", "GET", SIGNED_IN, beside="Django's 404 with a slash at the end"),
    Door("", "GET", PUBLIC),
]


def _lists(verb: str, *names: str) -> list[Door]:
    return [Door(f"{_V1}{name}", "GET", NARROWED, query=verb) for name in names]


_FLAG_V1 = f"{_V1}flags/<str:project>/<str:flag>"
_CONFIGURATION = f"{_V1}configurations/<str:project>/<str:environment>/<str:flag>"
API = [
    *_lists(
        "project.view",
        "projects",
        "environments",
        "flags",
        "configurations",
        "segments",
        "change-requests",
        "emergencies",
        "rollout-plans",
        "rollout-templates",
        "policies",
        "freezes",
        "expectations",
        "sdk-keys",
        "memberships",
    ),
    *_lists("audit.view", "events"),
    *_pages(
        _V1,
        "project.view",
        "projects/<str:project>",
        "environments/<str:project>/<str:environment>",
        "flags/<str:project>/<str:flag>",
        "flags/<str:project>/<str:flag>/history",
        "configurations/<str:project>/<str:environment>/<str:flag>",
        "segments/<str:project>/<str:segment>",
        "segments/<str:project>/<str:segment>/history",
        "flags/<str:project>/<str:flag>/archive",
        "policies/<str:project>/<str:policy>",
        "rollout-templates/<str:project>/<str:template>",
        "expectations/<str:project>/<str:flag>",
    ),
    Door(f"{_V1}freezes/<str:project>/<str:freeze>", "GET", "project.view", at=FREEZE),
    Door(f"{_V1}freezes/<str:project>/<str:freeze>", "DELETE", "freeze.manage", at=FREEZE),
    Door(
        f"{_V1}freezes/<str:project>/<str:freeze>",
        "PUT",
        "freeze.manage",
        {"reason": "Sale", "starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-02T00:00:00Z"},
        {"freeze": "sale"},
    ),
    Door(f"{_CR}/rebase", "POST", "change.propose", at=REQUEST, beside="only the proposer rebases"),
    Door(_CR, "GET", "project.view", at=REQUEST),
    Door(f"{_V1}rollout-plans/<int:number>", "GET", "project.view", at=PLAN),
    Door(f"{_V1}who-may", "GET", "project.view", query="project=shop&verb=flag.kill"),
    Door(f"{_V1}standing", "GET", "project.view", query="project=shop&member={member}"),
    Door(
        f"{_V1}explain",
        "POST",
        "project.view",
        {"project": "shop", "environment": "development", "flag": "searching", "context": {}},
    ),
    Door("openfeature/<str:project>/<str:environment>/openfeature/v0/manifest", "GET", "project.view"),
    Door("openfeature/v0/manifest", "GET", SIGNED_IN, beside="needs parameters"),
    Door(f"{_V1}events/<uuid:id>", "GET", "audit.view", at={"id": "{event}"}),
    Door(f"{_V1}events/<uuid:id>/proof", "GET", "audit.view", at={"id": "{event}"}),
    Door(f"{_V1}checkpoints", "GET", "audit.view", beside="in any project"),
    Door(f"{_V1}checkpoints/latest", "GET", "audit.view", beside="in any project"),
    Door(f"{_V1}report.csv", "GET", "audit.export", beside="the projects that one holds it in"),
    Door(f"{_V1}exports", "GET", "audit.export", beside="needed in every project"),
    Door(f"{_V1}exports", "POST", "audit.export", beside="needed in every project"),
    Door(f"{_V1}exports/<uuid:id>", "GET", "audit.export", beside="whoever made it"),
    Door(f"{_V1}exports/<uuid:id>/bundle", "GET", "audit.export", beside="whoever made it"),
    Door(f"{_V1}change-requests", "POST", "change.propose", "change"),
    Door(f"{_V1}change-requests/preview", "POST", "change.propose", "change"),
    Door(_CR, "PUT", "change.propose", at=REQUEST, beside="only the proposer edits"),
    Door(f"{_CR}/withdraw", "POST", "change.propose", at=REQUEST, beside="only the proposer withdraws"),
    Door(f"{_CR}/approve", "POST", "change.approve", "verdict", REQUEST),
    Door(f"{_CR}/reject", "POST", "change.reject", "verdict", REQUEST),
    Door(f"{_CR}/comment", "POST", "change.comment", "comment", REQUEST),
    Door(f"{_CR}/resolve", "POST", "change.comment", {"comment": 1}, REQUEST),
    Door(f"{_CR}/schedule", "POST", "change.schedule", "schedule", REQUEST),
    Door(f"{_CR}/apply", "POST", "change.apply", None, REQUEST),
    Door(f"{_CR}/confirm", "POST", "change.apply", None, REQUEST),
    Door(f"{_CR}/revert", "POST", "change.propose", {}, REQUEST),
    Door(f"{_CR}/revert-at-once", "POST", "flag.kill", None, REQUEST),
    Door(f"{_V1}change-requests/restore", "POST", "change.propose", "restore"),
    Door(f"{_V1}change-requests/restore-at-once", "POST", "flag.kill", "version"),
    Door(f"{_FLAG_V1}/promote", "GET", "project.view", query="environment=development"),
    Door(f"{_FLAG_V1}/promote", "POST", "change.propose", {"environment": "development", "base": 0}),
    Door(f"{_FLAG_V1}/hibernate", "POST", "change.propose", "hibernate"),
    *(Door(f"{_FLAG_V1}/{act}", "POST", "change.propose", {}) for act in ("archive", "unarchive", "wake")),
    Door(f"{_FLAG_V1}/kill", "POST", "flag.kill"),
    Door(f"{_V1}rollout-plans", "POST", "change.propose", beside="as any change"),
    *(
        Door(f"{_V1}rollout-plans/<int:number>/{act}", "POST", "rollout.pause", None, PLAN)
        for act in ("pause", "resume", "abort")
    ),
    Door(f"{_V1}rollout-plans/<int:number>/go-ahead", "POST", "change.approve", None, PLAN),
    Door(f"{_V1}rollout-plans/<int:number>/jump", "POST", "change.schedule", {"stage": 1}, PLAN),
    Door(
        f"{_V1}rollout-templates/<str:project>/<str:template>",
        "PUT",
        "rollout_template.manage",
        {"name": "New", "stages": [{"percent": 5, "hold": 0}], "base": 0},
        {"template": "new"},
    ),
    Door(
        f"{_V1}rollout-templates/<str:project>/<str:template>",
        "DELETE",
        "rollout_template.manage",
        None,
        {"template": "careful"},
    ),
    Door(f"{_CONFIGURATION}/kill", "POST", "flag.kill"),
    Door(f"{_V1}emergencies/<uuid:event>/review", "POST", "emergency.review"),
    Door(f"{_V1}environments", "POST", "project.administer", "environment"),
    Door(f"{_V1}environments/<str:project>/<str:environment>", "PATCH", "project.administer", "rename"),
    Door(f"{_V1}policies/<str:project>/<str:policy>", "PUT", "policy.change", "policy", {"policy": "two"}),
    Door(f"{_V1}policies/<str:project>/<str:policy>", "DELETE", "policy.change", None, {"policy": "staging"}),
    Door(f"{_V1}sdk-keys", "POST", "sdk_key.manage", "key"),
    Door(f"{_V1}sdk-keys/<int:id>", "PATCH", "sdk_key.manage", "origins", {"id": "{client_key}"}),
    Door(f"{_V1}sdk-keys/<int:id>/revoke", "POST", "sdk_key.manage", None, {"id": "{sdk_key}"}),
    Door(f"{_V1}sdk-keys/<int:id>/rotate", "POST", "sdk_key.manage", {"overlap": 60}, {"id": "{sdk_key}"}),
    Door(f"{_V1}webhooks", "GET", NARROWED, query="webhook.manage"),
    Door(
        f"{_V1}webhooks", "POST", "webhook.manage", {"project": "shop", "name": "n", "url": "x", "kinds": []}
    ),
    Door(f"{_V1}webhooks/<int:id>", "GET", "webhook.manage", at={"id": "{webhook}"}),
    Door(
        f"{_V1}webhooks/<int:id>", "PATCH", "webhook.manage", {"name": "new", "base": 1}, {"id": "{webhook}"}
    ),
    Door(f"{_V1}webhooks/<int:id>", "DELETE", "webhook.manage", at={"id": "{webhook}"}),
    Door(f"{_V1}webhooks/<int:id>/rotate", "POST", "webhook.manage", {"overlap": 60}, {"id": "{webhook}"}),
    Door(f"{_V1}webhooks/<int:id>/test", "POST", "webhook.manage", at={"id": "{webhook}"}),
    Door(f"{_V1}deliveries", "GET", NARROWED, query="webhook.manage"),
    Door(f"{_V1}deliveries/<int:id>/redeliver", "POST", "webhook.manage", at={"id": "{delivery}"}),
    Door(f"{_V1}chats", "GET", NARROWED, query="webhook.manage"),
    Door(f"{_V1}chats", "POST", "webhook.manage", {"project": "shop", "name": "c", "url": "slack://x"}),
    Door(f"{_V1}chats/<int:id>", "DELETE", "webhook.manage", at={"id": "{chat}"}, beside="and one's own"),
    Door(f"{_V1}chats/<int:id>/test", "POST", "webhook.manage", at={"id": "{chat}"}),
    Door(f"{_V1}notifications", "GET", SIGNED_IN),
    Door(f"{_V1}notifications/read", "POST", SIGNED_IN, {}),
    Door(f"{_V1}notification-settings", "GET", SIGNED_IN),
    Door(f"{_V1}notification-settings", "PATCH", SIGNED_IN, {"kinds": {}}),
    Door(f"{_V1}memberships", "POST", "access.manage", "member"),
    Door(
        f"{_V1}memberships/<str:project>/<str:member>/<str:role>",
        "DELETE",
        "access.manage",
        at={"role": "viewer"},
    ),
    Door(f"{_V1}projects", "POST", "project.create", {"key": "new", "name": "New"}),
    Door(f"{_V1}projects/<str:project>", "PATCH", "project.administer", {"name": "Shop", "base": 1}),
    Door(f"{_V1}organisation-memberships", "GET", "organisation.manage"),
    Door(
        f"{_V1}organisation-memberships",
        "POST",
        "organisation.manage",
        {"member": "viewer", "role": "organisation-auditor"},
    ),
    Door(
        f"{_V1}organisation-memberships/<str:member>/<str:role>",
        "DELETE",
        "organisation.manage",
        at={"role": "organisation-auditor"},
    ),
    Door(f"{_V1}teams/<str:team>", "GET", "team.manage", beside="and whoever is in it or shares a project"),
    Door(f"{_V1}teams/<str:team>", "PUT", "team.manage", {"name": "Payments", "members": []}),
    Door(f"{_V1}teams/<str:team>", "DELETE", "team.manage", at={"team": "unused"}),
    Door(f"{_V1}roles/<str:role>", "PUT", "organisation.manage", {"name": "Night", "verbs": ["flag.kill"]}),
    Door(f"{_V1}roles/<str:role>", "DELETE", "organisation.manage", at={"role": "unheld"}),
    Door(f"{_V1}factor-policy", "GET", "organisation.manage"),
    Door(f"{_V1}factor-policy", "PUT", "organisation.manage", {"roles": [], "fresh_minutes": 15, "base": 0}),
    Door(f"{_V1}accounts", "GET", "account.manage"),
    Door(f"{_V1}accounts", "POST", "account.manage", {"username": "new"}),
    Door(f"{_V1}accounts/<str:person>", "GET", "account.manage"),
    Door(f"{_V1}accounts/<str:person>", "PATCH", "account.manage", {"is_active": False}),
    Door(f"{_V1}accounts/<str:person>/password", "POST", "account.manage", {"password": "hares in the oats"}),
    Door(
        f"{_V1}accounts/<str:person>/identities/<str:provider>",
        "PUT",
        "account.manage",
        {"subject": "s-1"},
        {"provider": "company"},
        beside="tests/api/test_accounts.py",
    ),
    Door(
        f"{_V1}accounts/<str:person>/identities/<str:provider>",
        "DELETE",
        "account.manage",
        at={"provider": "company"},
        beside="tests/api/test_accounts.py",
    ),
    Door(f"{_V1}sessions", "GET", SIGNED_IN),
    Door(f"{_V1}sessions/end", "POST", SIGNED_IN, {}),
    Door(
        f"{_V1}sessions/<int:id>/end",
        "POST",
        SIGNED_IN,
        None,
        {"id": "1"},
        beside="tests/api/test_accounts.py",
    ),
    Door(f"{_V1}lockouts", "GET", "organisation.manage"),
    Door(f"{_V1}lockouts/unlock", "POST", "organisation.manage", {"address": "192.0.2.1"}),
    Door(f"{_V1}people/<str:person>/reset-factors", "POST", "factor.reset"),
    Door(f"{_V1}people/<str:person>/erasure", "GET", "person.erase"),
    Door(f"{_V1}people/<str:person>/erasure", "POST", "person.erase"),
    Door(f"{_V1}service-accounts", "POST", "service_account.manage", {"name": "new"}),
    *(Door(f"{_V1}{name}", "GET", SIGNED_IN) for name in ("me", "roles", "people", "teams", "tokens")),
    Door(f"{_V1}service-accounts", "GET", SIGNED_IN),
    Door(f"{_V1}tokens", "POST", SIGNED_IN, {"name": "laptop"}),
    Door(
        f"{_V1}tokens/<int:id>/revoke",
        "POST",
        SIGNED_IN,
        at={"id": "{token}"},
        beside="one's own, or one answers for it",
    ),
    Door(
        f"{_V1}tokens/<int:id>/rotate",
        "POST",
        SIGNED_IN,
        at={"id": "{token}"},
        beside="one's own, or one answers for it",
    ),
    Door(f"{_V1}trust-rules", "GET", SIGNED_IN),
    Door(f"{_V1}trust-rules", "POST", SIGNED_IN, beside="of accounts that one answers for"),
    Door(
        f"{_V1}trust-rules/<int:id>/revoke",
        "POST",
        SIGNED_IN,
        at={"id": "{token}"},
        beside="of accounts that one answers for",
    ),
    Door(f"{_V1}service-accounts/<str:account>", "PATCH", SIGNED_IN, beside="that one answers for"),
    Door(f"{_V1}identity-providers", "GET", "organisation.manage"),
    *(
        Door(
            f"{_V1}identity-providers/<str:key>",
            method,
            "organisation.manage",
            beside="tests/api/test_identity_providers.py",
        )
        for method in ("GET", "PUT", "DELETE")
    ),
    Door(
        f"{_V1}identity-providers/<str:key>/given",
        "GET",
        "organisation.manage",
        beside="tests/api/test_identity_providers.py",
    ),
    Door("api/schema/", "GET", PUBLIC),
    Door("api/docs/", "GET", PUBLIC),
    Door("api/problems/<slug:slug>", "GET", PUBLIC, at={"slug": "forbidden"}),
    Door("api/^(?P<rest>.*)$", "GET", SIGNED_IN, beside="404 as a problem"),
]
