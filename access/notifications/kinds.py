"""The one table of notifications: what happens, who is told of it, and by which channels unless they chose others.

Read it as documentation. The page of settings, the API, the table in `docs/notifications.md` and the tests are made
from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import models


class Channel(models.TextChoices):
    """How somebody is told. The first three are each person's choice."""

    APP = "app", "In the app"
    MAIL = "mail", "E-mail"
    CHAT = "chat", "Chat"
    WEBHOOK = "webhook", "Webhook"


PERSONAL = (Channel.APP, Channel.MAIL, Channel.CHAT)
_QUIET = frozenset({Channel.APP})
_LOUD = frozenset(PERSONAL)


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that people are told of."""

    # When it is told, as the settings say it.
    purpose: str
    # Who is told, in words.
    audience: str
    # The sentence; `{…}` is what the verb that tells knows, `{by}` and `{member}` the names of people.
    says: str
    # A person's channels unless they chose others.
    defaults: frozenset[Channel]
    # Whoever holds it is told; empty: only those whom the verb that tells names, who must see the project.
    verb: str = ""
    # A second sentence.
    more: str = ""
    # Whether it happens in a project, whose webhooks and chats may be told too.
    is_of_project: bool = True
    # Whether those may be told; what is about them would go round in circles.
    is_for_receivers: bool = True
    # Whether somebody is told of what was done in their own name: it may not have been them.
    is_told_to_actor: bool = False


KINDS: Mapping[str, Kind] = {
    "request.waiting": Kind(
        "a change request waits for review",
        "who may review it: not its proposer, nor who made a token of the service account that proposed it",
        "{change} waits for your review: {title}",
        _LOUD,
        verb="change.approve",
    ),
    "request.approved": Kind(
        "a request has all its approvals",
        "its proposer",
        "{change} is approved: {title}",
        _QUIET,
    ),
    "request.rejected": Kind(
        "a request was rejected",
        "its proposer",
        "{by} rejected {change}: {title}",
        _LOUD,
        more="{comment}",
    ),
    "request.applied": Kind(
        "a request was carried out, by somebody else or a schedule",
        "its proposer",
        "{change} is applied: {title}",
        _QUIET,
    ),
    "request.failed": Kind(
        "a request could not be carried out",
        "its proposer",
        "{change} could not be applied: {title}",
        _LOUD,
        more="{problem}",
    ),
    "request.went_back": Kind(
        "the time came at which a change goes back by itself: nobody confirmed it, or its planned end",
        "its proposer, and who may kill there",
        "{change} was to go back by itself: {title}",
        _LOUD,
        verb="flag.kill",
        more="{problem}",
    ),
    "request.lapsed": Kind(
        "a request lapsed, because a new ledger was opened",
        "its proposer",
        "{change} lapsed: {title}",
        _LOUD,
        more="{problem}",
    ),
    "kill.waiting": Kind(
        "a kill waits for its review",
        "who may review it: not who killed",
        "{by} killed {flag} in {environment}; the kill waits for your review",
        _LOUD,
        verb="emergency.review",
    ),
    "revert.waiting": Kind(
        "a change that was taken back at once waits for its review",
        "who may review it: not who took it back",
        "{by} took {change} back at once, which waits for your review: {title}",
        _LOUD,
        verb="emergency.review",
    ),
    "review.overdue": Kind(
        "the review of a kill, or of a change taken back at once, is overdue; daily",
        "who may give it: not who did it",
        "Overdue: the review of the {debt}",
        _LOUD,
        verb="emergency.review",
        more="{problem}",
    ),
    "flag.killed": Kind(
        "a flag was killed",
        "who may kill there, unless it waits for their review",
        "{by} killed {flag} in {environment}",
        _LOUD,
        verb="flag.kill",
    ),
    "rollout.waiting": Kind(
        "a rollout waits for a go-ahead before its next stage",
        "who may give it: not its proposer",
        "The rollout of {flag} in {environment} waits for your go-ahead",
        _LOUD,
        verb="change.approve",
    ),
    "rollout.stopped": Kind(
        "a rollout paused, aborted or went back by itself",
        "who may kill there, and its proposer",
        "The rollout of {flag} in {environment} stopped by itself",
        _LOUD,
        verb="flag.kill",
        more="{problem}",
    ),
    "flag.expiring": Kind(
        "a flag expires soon: 14, 7 and 1 days before",
        "its owner",
        "{flag} expires within {days}",
        _LOUD,
        more="{problem}",
    ),
    "flag.waking": Kind(
        "the day has come on which a hibernating flag was to wake",
        "its owner",
        "{flag} should wake",
        _LOUD,
        more="{problem}",
    ),
    "flag.expired": Kind(
        "a flag has expired",
        "its owner",
        "{flag} has expired",
        _LOUD,
        more="{problem}",
    ),
    "flag.stale": Kind(
        "a flag is older than is usual for its kind",
        "its owner",
        "{flag} is stale",
        _LOUD,
        more="{problem}",
    ),
    "access.changed": Kind(
        "somebody's roles in a project changed",
        "who may give and take roles there",
        "{by} changed the roles of {member}",
        _QUIET,
        verb="access.manage",
        more="Now: {roles}.",
    ),
    "delivery.given_up": Kind(
        "a webhook or chat of a project could not be told, and is not tried again",
        "who manages the project's webhooks",
        "{receiver} could not be told of “{said}”",
        frozenset({Channel.APP, Channel.MAIL}),
        verb="webhook.manage",
        more="{problem}",
        is_for_receivers=False,
    ),
    "account.signed_in_locally": Kind(
        "somebody signed in past the identity providers",
        "organisation administrators",
        "{by} signed in past the identity providers",
        _LOUD,
        verb="organisation.manage",
        more="With a local password or passkey. If nobody knows why, end their sessions and make the account "
        "inactive. It stands in the ledger.",
        is_of_project=False,
    ),
    "account.factors_changed": Kind(
        "the second factors of an account changed",
        "whose account it is",
        "Your account: {what}",
        _LOUD,
        more="It stands in the ledger. If that was not you, tell an organisation administrator at once.",
        is_of_project=False,
        is_told_to_actor=True,
    ),
    "account.second_factor_reset": Kind(
        "somebody's second factors were taken away by somebody else",
        "organisation administrators",
        "{by} took away the second factors of {member}",
        _LOUD,
        verb="organisation.manage",
        more="If nobody knows why, end their sessions and make the account inactive. It stands in the ledger.",
        is_of_project=False,
    ),
}

TEST = "webhook.tested"
"""What a webhook or chat is told when somebody tries it; nobody else is."""
_TESTED = Kind(
    "somebody tries a webhook or chat", "that one", "{by} tries this: notifications arrive here", frozenset()
)


def kind_of(name: str) -> Kind | None:
    """What the table says of a kind; None for one that it has lost since."""
    return _TESTED if name == TEST else KINDS.get(name)


FOR_RECEIVERS = tuple(name for name, kind in KINDS.items() if kind.is_of_project and kind.is_for_receivers)
"""What webhooks and chats of a project can be told."""
