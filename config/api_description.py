"""What the OpenAPI document says of the API as a whole, and of each group of its operations."""

DESCRIPTION = """
Everything that the pages can do, by the same verbs and with the same permissions.

**Who you are.** `Authorization: Bearer cst_…`: make a token with `POST /api/v1/tokens`, or have one made for a
service account. A token may be narrower than its holder, by `scope` and `addresses`; a pipeline may come with its
platform's identity token instead (`trust-rules`). Too many requests: 429 with `Retry-After`.
What you may not see does not exist for you: 404. What you see but may not do is 403, which names the role that may.

**Changing what is served** is one thing: propose a change of a `subject` with the whole document that should
stand there, and the version that you saw as `base`. Others approve it by its `digest`; it is applied when it is
due. Where no approval is asked for, that is one step.

**Versions.** A write that overwrites something names the version it is based on. Without one, or with an
outdated one, the answer is 409 with both, `expected` (yours) and `found` (the one that stands).

**Sending again.** A write takes an `Idempotency-Key`. For 24 hours, the same key with the same body to the same
address is answered with the first answer and done once; with another body it is refused (422). Secrets are not
kept with the answer: they are null when it is repeated.

**Lists** are paged: follow `next` until it is null. Rows that come meanwhile move nothing. An unknown filter is
an error.

**Refusals** are problem details (RFC 9457, `application/problem+json`). Compare `type`; show `detail`, which
names the thing, the reason and the next step. 400: it cannot be read. 422: it can be read and breaks a rule.
""".strip()

TAGS = [
    {"name": "me", "description": "Who the token or session belongs to."},
    {"name": "projects", "description": "Tenants: flags, segments, environments and people are per project."},
    {"name": "environments", "description": "Where flags are served, in order of promotion."},
    {"name": "flags", "description": "Definitions, the same in every environment, and their history."},
    {"name": "configurations", "description": "What flags do, by environment; and the kill."},
    {"name": "segments", "description": "Named groups of contexts."},
    {"name": "explain", "description": "Is it on, for whom, and why."},
    {"name": "expectations", "description": "A flag's own tests, which every change is held to."},
    {"name": "freezes", "description": "Times in which nothing is applied."},
    {"name": "change-requests", "description": "The way in for every change of what is served."},
    {"name": "rollout-plans", "description": "Stages that one approval covers."},
    {"name": "rollout-templates", "description": "A project's usual stages, to start plans from."},
    {"name": "emergencies", "description": "Kills, and the reviews that they owe."},
    {"name": "policies", "description": "What a change of an environment needs."},
    {"name": "events", "description": "The ledger: who did what, when, by which door."},
    {"name": "checkpoints", "description": "Signed heads of the ledger."},
    {"name": "report.csv", "description": "Every change of what is served, to read in a spreadsheet."},
    {"name": "sdk-keys", "description": "Keys of the services and browsers that read flags."},
    {"name": "people", "description": "The people you share a project with."},
    {"name": "memberships", "description": "Roles per project, of people, teams and service accounts."},
    {"name": "organisation-memberships", "description": "Roles that hold in every project."},
    {"name": "teams", "description": "People who hold roles together."},
    {"name": "roles", "description": "The table: what each role may do; and roles of your own."},
    {"name": "who-may", "description": "Who may do something in a project, and why."},
    {"name": "standing", "description": "What somebody may do in a project, and why."},
    {"name": "identity-providers", "description": "Where people sign in, and what their groups give."},
    {"name": "service-accounts", "description": "Programs that act through the API."},
    {"name": "trust-rules", "description": "Whose identity tokens count as a service account's."},
    {"name": "notifications", "description": "What you were told."},
    {"name": "notification-settings", "description": "What you are told of, by which channel."},
    {"name": "webhooks", "description": "Where a project's notifications are sent, signed."},
    {"name": "chats", "description": "Chats that are told: a project's, and yours."},
    {"name": "deliveries", "description": "What was sent to webhooks and chats, with every try."},
    {"name": "tokens", "description": "Bearer tokens: yours, and those of service accounts."},
]
