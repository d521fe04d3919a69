"""How Unfold's shell looks: title, colours, and the sidebar, whose links stay in the project one is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

Link = Callable[[HttpRequest], str]


def _page(name: str) -> Link:
    """The link to a page of the project one is in; without a project, to the page that says so."""

    def link(request: HttpRequest) -> str:
        from access.admin.place import place_of

        project = place_of(request).project
        return reverse(f"admin:{name}", args=[project.key]) if project else reverse("admin:home")

    return link


def _is_at(*names: str) -> Callable[[HttpRequest], bool]:
    def active(request: HttpRequest) -> bool:
        match = request.resolver_match
        return match is not None and match.url_name in names

    return active


def _holds(verb: str) -> Callable[[HttpRequest], bool]:
    def permission(request: HttpRequest) -> bool:
        from access.admin.place import place_of

        return verb in place_of(request).verbs

    return permission


def _answers_for_programs(request: HttpRequest) -> bool:
    from access.admin.place import place_of
    from access.machines import answered_for

    place = place_of(request)
    return "service_account.manage" in place.verbs or answered_for(place.actor, place.held).exists()


def _organisation_page(name: str) -> Link:
    return lambda request: reverse(f"admin:{name}")


def waiting(request: HttpRequest) -> str:
    """How many requests wait for this person; empty for none, so that the badge stays away."""
    from approvals.admin.inbox import waiting_count

    count = waiting_count(request)
    return str(count) if count else ""


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Countersign",
    "SITE_HEADER": "Countersign",
    "SITE_SYMBOL": "order_approve",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("countersign.svg")}
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("countersign.css")],
    "SCRIPTS": [
        lambda request: static("countersign.js"),
        lambda request: static("palette.js"),
    ],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.2% .016 268)",
            "100": "oklch(94% .033 268)",
            "200": "oklch(88.6% .063 268)",
            "300": "oklch(80.4% .108 268)",
            "400": "oklch(71.5% .148 268)",
            "500": "oklch(64.5% .178 268)",
            "600": "oklch(51.5% .205 268)",
            "700": "oklch(45.4% .19 268)",
            "800": "oklch(39.2% .16 268)",
            "900": "oklch(34.6% .124 268)",
            "950": "oklch(26% .09 268)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "title": _("Work"),
                "items": [
                    {
                        "title": _("Home"),
                        "icon": "home",
                        "link": _page("project-home"),
                        "active": _is_at("project-home"),
                    },
                    {
                        "title": _("Flags"),
                        "icon": "toggle_on",
                        "link": _page("flag-list"),
                        "active": _is_at(
                            "flag-list",
                            "flag",
                            "flag-new",
                            "flag-edit",
                            "flag-environment",
                            "flag-variants",
                            "flag-history",
                            "flag-usage",
                            "flag-settings",
                            "explain",
                            "switch",
                            "rules",
                            "kill",
                            "plan-new",
                            "expectations",
                        ),
                    },
                    {
                        "title": _("Change requests"),
                        "icon": "rule",
                        "link": _page("request-list"),
                        "active": _is_at("request-list", "request", "request-edit"),
                        "badge": "config.unfold.waiting",
                        "badge_variant": "primary",
                    },
                    {
                        "title": _("Rollout plans"),
                        "icon": "stacked_line_chart",
                        "link": _page("plan-list"),
                        "active": _is_at("plan-list", "plan", "plan-templates"),
                    },
                    {
                        "title": _("Calendar"),
                        "icon": "calendar_month",
                        "link": _page("calendar"),
                        "active": _is_at("calendar"),
                    },
                    {
                        "title": _("Segments"),
                        "icon": "groups",
                        "link": _page("segment-list"),
                        "active": _is_at("segment-list", "segment", "segment-new", "segment-edit"),
                    },
                    {
                        "title": _("Playground"),
                        "icon": "science",
                        "link": _page("playground"),
                        "active": _is_at("playground"),
                    },
                ],
            },
            {
                "title": _("Govern"),
                "separator": True,
                "items": [
                    {
                        "title": _("Environments"),
                        "icon": "dns",
                        "link": _page("environment-list"),
                        "active": _is_at(
                            "environment-list",
                            "environment-new",
                            "environment-edit",
                            "environment-flagd",
                            "sdk-key-new",
                            "sdk-key-origins",
                            "sdk-key-revoke",
                            "sdk-key-rotate",
                        ),
                    },
                    {
                        "title": _("Policies"),
                        "icon": "policy",
                        "link": _page("policy-list"),
                        "active": _is_at("policy-list", "policy-new", "policy-edit"),
                    },
                    {
                        "title": _("Freezes"),
                        "icon": "ac_unit",
                        "link": _page("freeze-list"),
                        "active": _is_at("freeze-list", "freeze-new", "freeze"),
                    },
                    {
                        "title": _("People"),
                        "icon": "badge",
                        "link": _page("people"),
                        "active": _is_at("people", "role-limits", "who-may", "standing"),
                    },
                    {
                        "title": _("Webhooks"),
                        "icon": "webhook",
                        "link": _page("webhook-list"),
                        "active": _is_at(
                            "webhook-list", "webhook-new", "webhook", "chat-new", "delivery-list"
                        ),
                        "permission": _holds("webhook.manage"),
                    },
                    {
                        "title": _("Audit"),
                        "icon": "history_edu",
                        "link": _page("event-list"),
                        "active": _is_at(
                            "event-list",
                            "event",
                            "audit-export",
                            "organisation-event-list",
                            "organisation-event",
                        ),
                        "permission": _holds("audit.view"),
                    },
                ],
            },
            {
                "title": _("Organisation"),
                "separator": True,
                "items": [
                    {
                        "title": _("Roles"),
                        "icon": "table",
                        "link": _organisation_page("role-table"),
                        "active": _is_at("role-table", "role-list", "role-new", "custom-role"),
                    },
                    {
                        "title": _("Organisation roles"),
                        "icon": "shield_person",
                        "link": _organisation_page("organisation-roles"),
                        "active": _is_at("organisation-roles"),
                        "permission": _holds("organisation.manage"),
                    },
                    {
                        "title": _("Teams"),
                        "icon": "groups_2",
                        "link": _organisation_page("team-list"),
                        "active": _is_at("team-list", "team-new", "team"),
                        "permission": _holds("team.manage"),
                    },
                    {
                        "title": _("Service accounts"),
                        "icon": "smart_toy",
                        "link": _organisation_page("service-account-list"),
                        "active": _is_at(
                            "service-account-list",
                            "service-account-new",
                            "service-account",
                            "service-token-new",
                            "trust-rule-new",
                            "trust-trial",
                        ),
                        "permission": _answers_for_programs,
                    },
                    {
                        "title": _("Sign-in"),
                        "icon": "key",
                        "link": lambda request: reverse("admin:provider-list"),
                        "active": _is_at(
                            "provider-list", "provider-new", "provider", "provider-taking", "factor-policy"
                        ),
                        "permission": _holds("organisation.manage"),
                    },
                    {
                        "title": _("Accounts"),
                        "icon": "manage_accounts",
                        "link": _organisation_page("account-list"),
                        "active": _is_at(
                            "account-list",
                            "account-new",
                            "account",
                            "account-password",
                            "factor-reset",
                            "account-identities",
                            "person-erase",
                        ),
                        "permission": _holds("account.manage"),
                    },
                ],
            },
        ],
    },
}
