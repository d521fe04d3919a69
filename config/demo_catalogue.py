"""The demo's invented people, projects, segments and flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Demo = Mapping[str, Any]
Document = dict[str, Any]

# username: first name, last name, roles per project
PEOPLE: dict[str, tuple[str, str, Mapping[str, tuple[str, ...]]]] = {
    "admin": ("Alex", "Admin", {"shop": ("administrator",), "bank": ("administrator",)}),
    "mara": ("Mara", "Lindqvist", {"shop": ("editor",), "bank": ("editor",)}),
    "jonas": ("Jonas", "Weber", {"shop": ("reviewer",), "bank": ("reviewer",)}),
    "ada": ("Ada", "Okafor", {"bank": ("reviewer",)}),
    "priya": ("Priya", "Nair", {"shop": ("on-call",), "bank": ("on-call",)}),
    "tom": ("Tom", "Ellison", {"shop": ("auditor",), "bank": ("auditor",)}),
    "vera": ("Vera", "Costa", {"shop": ("viewer",)}),
}


def on(variant: str = "on", off: str = "off") -> Document:
    """Everyone gets `variant`."""
    return {"enabled": True, "off": off, "default": {"variant": variant}}


def off(variant: str = "on", off: str = "off") -> Document:
    """Switched off; `variant` is what everyone would get."""
    return {"enabled": False, "off": off, "default": {"variant": variant}}


def split(
    seed: str, percent: int, first: str = "on", second: str = "off", off: str | None = None
) -> Document:
    """`percent` of everyone get `first`, the others `second`."""
    weights = [[first, percent * 1_000], [second, 100_000 - percent * 1_000]]
    return {
        "enabled": True,
        "off": off or second,
        "default": {"split": {"by": "targetingKey", "seed": seed, "hash": "murmur3", "weights": weights}},
    }


def ruled(base: Document, *rules: Document, **members: Any) -> Document:
    """`base` with rules `r1`, `r2`, … and further members."""
    return {**base, "rules": [{"id": f"r{n}", **rule} for n, rule in enumerate(rules, 1)], **members}


def segment(name: str, variant: str = "on") -> Document:
    """A rule: who is in the segment gets `variant`."""
    constraint = {"attribute": "", "operator": "in_segment", "values": [name]}
    return {"constraints": [constraint], "serve": {"variant": variant}}


def where(attribute: str, operator: str, *values: Any, variant: str = "on") -> Document:
    """A rule with one constraint."""
    constraint: Document = {"attribute": attribute, "operator": operator}
    if values:
        constraint["values"] = list(values)
    return {"constraints": [constraint], "serve": {"variant": variant}}


_STAYS = {
    "operational": "It is turned by hand for as long as the shop runs.",
    "kill-switch": "It has to be there on the day when it is needed.",
    "permission": "It is part of what customers buy.",
}


def boolean(name: str, kind: str = "release", **members: Any) -> Document:
    """A boolean flag's definition."""
    found = {
        "name": name,
        "type": "boolean",
        "kind": kind,
        "variants": {"on": True, "off": False},
        "fail_safe": "off" if kind in ("release", "kill-switch") else "last_known_good",
        "temporary": kind in ("release", "experiment"),
        **{key: value for key, value in members.items() if value},
    }
    return found if found["temporary"] else {"permanent_reason": _STAYS[kind], **found}


def typed(name: str, type_: str, variants: Document, kind: str, **members: Any) -> Document:
    """A flag of another type."""
    return {**boolean(name, kind, **members), "type": type_, "variants": variants}


def expected(sentence: str, environment: str, variant: str, region: str = "", **context: Any) -> Document:
    """An expectation: whoever the context describes gets `variant` there."""
    entry = {"sentence": sentence, "environment": environment, "context": context, "variant": variant}
    return {**entry, "region": region} if region else entry


SEGMENTS: dict[str, dict[str, Document]] = {
    "shop": {
        "beta-testers": {
            "included": ["customer-1017", "customer-2204"],
            "rules": [[{"attribute": "plan", "operator": "in", "values": ["beta"]}]],
        },
        "internal-staff": {
            "rules": [[{"attribute": "email_domain", "operator": "in", "values": ["example.com"]}]]
        },
        "nordics": {
            "rules": [[{"attribute": "country", "operator": "in", "values": ["SE", "NO", "DK", "FI"]}]]
        },
    },
    "bank": {
        "premium-customers": {
            "rules": [[{"attribute": "tier", "operator": "in", "values": ["gold", "platinum"]}]]
        },
    },
}

_SHOP_FLAGS: list[Demo] = [
    {
        "key": "legacy-invoice-layout",
        "age": 90,
        "owner": "mara",
        "definition": boolean("Legacy invoice layout", tags=["invoices"], team="Billing"),
        "configurations": {"development": on(), "staging": on(), "production": on()},
        "ticket": "SHOP-102",
    },
    {
        "key": "payment-provider",
        "age": 80,
        "owner": "mara",
        "definition": typed(
            "Payment provider",
            "string",
            {"adyen": "adyen", "stripe": "stripe", "none": "none"},
            "operational",
            critical=True,
            team="Payments",
            tags=["payments"],
            purpose="Lets us move traffic between providers within seconds.",
        ),
        "configurations": {
            "development": on("stripe", "none"),
            "staging": split("payment-provider", 50, "adyen", "stripe", "none"),
            "production": ruled(
                split("payment-provider", 90, "adyen", "stripe", "none"), segment("nordics", "stripe")
            ),
        },
        "ticket": "SHOP-140",
    },
    {
        "key": "read-only-mode",
        "age": 78,
        "owner": "priya",
        "definition": boolean("Read-only mode", "kill-switch", critical=True, team="Platform"),
        "configurations": {"development": off(), "staging": off(), "production": off()},
        "ticket": "SHOP-143",
    },
    {
        "key": "summer-sale-2026",
        "age": 48,
        "owner": "mara",
        "expires_in": -9,
        "definition": boolean(
            "Summer sale 2026", tags=["campaign"], team="Marketing", exit_criteria="Delete after the sale."
        ),
        "configurations": {"staging": on(), "production": on()},
        "ticket": "SHOP-188",
    },
    {
        "key": "page-size",
        "age": 66,
        "definition": typed(
            "Products per page",
            "integer",
            {"small": 12, "medium": 24, "large": 48},
            "operational",
            client_side=True,
        ),
        "configurations": {
            "development": on("large", "small"),
            "staging": on("medium", "small"),
            "production": on("medium", "small"),
        },
        "ticket": "SHOP-201",
    },
    {
        "key": "recommendation-weight",
        "age": 60,
        "definition": typed(
            "Weight of recommendations", "float", {"none": 0.0, "light": 0.25, "strong": 0.75}, "operational"
        ),
        "configurations": {"development": on("strong", "none"), "production": on("light", "none")},
        "ticket": "SHOP-213",
    },
    {
        "key": "checkout-revamp",
        "age": 34,
        "owner": "mara",
        "expires_in": 5,
        "definition": boolean(
            "Checkout revamp",
            critical=True,
            client_side=True,
            team="Payments",
            tags=["checkout"],
            purpose="One page instead of four.",
            exit_criteria="100 % for two weeks.",
        ),
        "configurations": {
            "development": on(),
            "staging": split("checkout-revamp", 50),
            "production": ruled(split("checkout-revamp", 5), segment("beta-testers"), regions={"us": False}),
        },
        "expectations": [
            expected("Beta testers have it.", "production", "on", targetingKey="customer-1017"),
            expected("So has the plan beta.", "production", "on", targetingKey="customer-7", plan="beta"),
            expected(
                "Not yet in the United States.", "production", "off", "us", targetingKey="customer-1017"
            ),
            expected("Developers have it.", "development", "on", targetingKey="customer-40", country="SE"),
        ],
        "ticket": "SHOP-351",
    },
    {
        "key": "new-search",
        "age": 31,
        "owner": "mara",
        "definition": boolean("New search", client_side=True, tags=["search"], team="Discovery"),
        "configurations": {"development": on(), "staging": on(), "production": off()},
        "ticket": "SHOP-360",
    },
    {
        "key": "gift-cards",
        "age": 29,
        "definition": boolean("Gift cards", team="Payments", tags=["checkout"]),
        "configurations": {"development": on(), "staging": on()},
    },
    {
        "key": "one-click-reorder",
        "age": 27,
        "owner": "mara",
        "definition": boolean("One-click reorder", team="Payments"),
        "configurations": {"development": on(), "production": split("one-click-reorder", 20)},
        "ticket": "SHOP-362",
    },
    {
        "key": "live-chat",
        "age": 26,
        "definition": boolean("Live chat", "operational", client_side=True, team="Support"),
        "configurations": {
            "development": on(),
            "staging": on(),
            "production": ruled(off(), where("cart_value", "gte", 100)),
        },
        "ticket": "SHOP-363",
    },
    {
        "key": "dark-mode",
        "age": 24,
        "definition": boolean("Dark mode", client_side=True, tags=["design"]),
        "configurations": {
            "development": on(),
            "staging": on(),
            "production": ruled(off(), segment("internal-staff")),
        },
        "ticket": "SHOP-371",
    },
    {
        "key": "free-shipping-banner",
        "age": 22,
        "owner": "mara",
        "expires_in": 20,
        "definition": typed(
            "Free shipping banner",
            "string",
            {"text-a": "Free shipping from 30 €", "text-b": "We pay the postage from 30 €", "off": ""},
            "experiment",
            client_side=True,
            tags=["campaign"],
            team="Marketing",
            on_expiry="off",
        ),
        "configurations": {"development": on("text-a"), "production": on("text-a")},
        "ticket": "SHOP-372",
    },
    {
        "key": "delivery-slots",
        "age": 19,
        "definition": typed(
            "Delivery slots",
            "object",
            {
                "two-hours": {"hours": 2, "days": 3},
                "half-day": {"hours": 5, "days": 7},
                "off": {"hours": 24, "days": 1},
            },
            "operational",
            team="Logistics",
        ),
        "configurations": {
            "development": on("two-hours"),
            "production": ruled(
                on("half-day"), where("city", "in", "Berlin", "Hamburg", variant="two-hours")
            ),
        },
        "ticket": "SHOP-381",
    },
    {
        "key": "express-checkout",
        "age": 12,
        "definition": boolean("Express checkout", team="Payments", tags=["checkout"]),
        "configurations": {
            "development": on(),
            "staging": {**on(), "prerequisites": [{"flag": "checkout-revamp", "variants": ["on"]}]},
        },
    },
    {
        "key": "loyalty-points",
        "age": 8,
        "owner": "mara",
        "definition": boolean("Loyalty points", "permission", team="Marketing"),
        "configurations": {"development": on(), "staging": ruled(off(), segment("internal-staff"))},
    },
]

_BANK_FLAGS: list[Demo] = [
    {
        "key": "instant-transfer",
        "age": 58,
        "owner": "mara",
        "definition": boolean(
            "Instant transfer", "operational", critical=True, team="Transfers", temporary=True
        ),
        "configurations": {
            "development": on(),
            "staging": on(),
            "production": ruled(split("instant-transfer", 30), segment("premium-customers")),
        },
        "ticket": "BANK-71",
    },
    {
        "key": "transfer-limit",
        "age": 50,
        "definition": typed(
            "Daily transfer limit",
            "integer",
            {"low": 1000, "standard": 5000, "high": 20000},
            "permission",
            critical=True,
        ),
        "configurations": {
            "development": on("high", "low"),
            "production": ruled(on("standard", "low"), segment("premium-customers", "high")),
        },
        "ticket": "BANK-80",
    },
    {
        "key": "card-controls",
        "age": 36,
        "definition": boolean("Card controls in the app", client_side=True, team="Cards"),
        "configurations": {"development": on(), "staging": on(), "production": split("card-controls", 10)},
        "ticket": "BANK-92",
    },
    {
        "key": "maintenance-window",
        "age": 33,
        "owner": "priya",
        "definition": boolean("Maintenance window", "kill-switch", critical=True, team="Platform"),
        "configurations": {"production": off()},
        "ticket": "BANK-95",
    },
    {
        "key": "savings-rate-test",
        "age": 30,
        "definition": typed(
            "Savings rate shown", "float", {"standard": 2.1, "bonus": 2.6}, "experiment", team="Savings"
        ),
        "configurations": {
            "development": on("bonus", "standard"),
            "staging": split("savings-rate-test", 50, "bonus", "standard"),
        },
    },
    {
        "key": "budget-insights",
        "age": 21,
        "definition": boolean("Budget insights", client_side=True, team="Insights"),
        "configurations": {"development": on(), "staging": on()},
    },
    {
        "key": "fraud-model",
        "age": 18,
        "owner": "mara",
        "definition": typed(
            "Fraud model",
            "string",
            {"v3": "fraud-v3", "v4": "fraud-v4"},
            "operational",
            critical=True,
            team="Risk",
        ),
        "configurations": {
            "development": on("v4", "v3"),
            "staging": on("v4", "v3"),
            "production": split("fraud-model", 15, "v4", "v3"),
        },
        "ticket": "BANK-101",
    },
    {
        "key": "app-theme",
        "age": 9,
        "definition": typed(
            "App theme",
            "object",
            {
                "classic": {"accent": "#1d4ed8", "rounded": False},
                "fresh": {"accent": "#0f766e", "rounded": True},
            },
            "experiment",
            client_side=True,
        ),
        "configurations": {"development": on("fresh", "classic")},
    },
    {
        "key": "open-banking-import",
        "age": 4,
        "definition": boolean("Open banking import", team="Insights"),
        "configurations": {"development": on()},
    },
]


_ENVIRONMENTS: dict[str, Document] = {
    "development": {"name": "Development", "kind": "development"},
    "staging": {"name": "Staging", "kind": "staging"},
    "production": {"name": "Production", "kind": "production", "protected": True, "regions": ["eu", "us"]},
}


def _policies(approvals: int) -> dict[str, Document]:
    return {
        "production": {
            "name": "Production",
            "environments": ["production"],
            "approvals": approvals,
            "rationale": True,
            "ticket": True,
        }
    }


PROJECTS: dict[str, Demo] = {
    "shop": {
        "name": "Web shop",
        "pattern": "[a-z0-9-]+",
        "environments": _ENVIRONMENTS,
        "policies": _policies(1),
        "flags": _SHOP_FLAGS,
    },
    "bank": {
        "name": "Mobile bank",
        "pattern": "[a-z0-9-]+",
        "environments": _ENVIRONMENTS,
        "policies": _policies(2),
        "flags": _BANK_FLAGS,
    },
}
