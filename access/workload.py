"""Identity tokens of pipelines: trust rules, and what a signed token must be to count as a service account's.

Only issuers of rules are ever contacted (`access.issuers`), so a stranger's token makes us ask nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from django.utils import timezone

from access import issuers
from access.limits import LimitsError
from access.machines import answers_for, read_scope, require_proof
from access.models import ServiceAccount, TrustRule
from access.permissions import ForbiddenError
from audit.actor import Actor
from audit.recording import recording

LONGEST_TOKEN = 8 * 1024
LEEWAY = 30
"""Seconds that clocks may differ."""
LONGEST_LIFE = timedelta(days=1)
"""From `iat` to `exp`: an identity token is for one run, not a password."""
ALGORITHMS = ("RS256", "ES256")
MOST_CLAIMS = 20
LONGEST_CLAIM = 500
# What the bytes of a stranger make a reader of JSON and numbers raise.
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class UntrustedError(Exception):
    """The identity token does not count; the text says why, and names nothing that the sender did not send."""


def trust(
    actor: Actor,
    account: ServiceAccount,
    name: str,
    *,
    issuer: str,
    audience: str,
    claims: Mapping[str, Mapping[str, str]],
    scope: dict[str, Any] | None = None,
) -> TrustRule:
    """Let identity tokens of an issuer act as a service account, where audience and claims match.

    `claims`: `{name: {"equals": text}}` or `{name: {"starts_with": text}}`, one at least: without, every
    customer of a shared issuer would be trusted. Raises `ForbiddenError`, or `LimitsError` naming the member.
    """
    require_proof(actor)
    _require(actor, account)
    rule = TrustRule(
        service_account=account,
        name=name,
        issuer=issuers.checked(issuer),
        audience=audience,
        claims=_claims(claims),
        scope=read_scope(actor, scope).document if scope else {},
        made_by=actor.id,
    )
    if not audience.strip():
        raise LimitsError("audience", "is empty; name what the pipeline asks its token for")
    with recording(actor) as record:
        rule.save()
        record.event("access.v1.trust_rule.made", rule.ledger_subject, before=None, after=rule.document)
    return rule


def distrust(actor: Actor, rule: TrustRule) -> None:
    """Take a trust rule back: at once. Again changes nothing. Raises `ForbiddenError`."""
    _require(actor, rule.service_account)
    with recording(actor) as record:
        if TrustRule.objects.filter(pk=rule.pk, revoked_at=None).update(revoked_at=timezone.now()):
            record.event(
                "access.v1.trust_rule.revoked", rule.ledger_subject, before=rule.document, after=None
            )


def looks_like_one(text: str) -> bool:
    """Whether a bearer credential is a JSON Web Token, by its form."""
    return text.startswith("ey") and text.count(".") == 2


@dataclass(frozen=True, slots=True)
class Compared:
    """What a rule asks of a member of a token, and what the token says."""

    member: str
    wanted: str
    found: str
    holds: bool


def compared(rule: TrustRule, claims: Mapping[str, Any]) -> list[Compared]:
    """Member by member, whether claims are as a rule asks; whether they are true says their signature."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return [
        Compared("iss", rule.issuer, _shown(claims.get("iss")), claims.get("iss") == rule.issuer),
        Compared("aud", rule.audience, _shown(audience), rule.audience in audiences),
        *(
            Compared(
                name,
                f"{wanted['starts_with']}…" if "starts_with" in wanted else wanted["equals"],
                _shown(claims.get(name)),
                rule.admits(name, claims.get(name)),
            )
            for name, wanted in rule.claims.items()
        ),
    ]


def _shown(found: object) -> str:
    """Of what a stranger may have written, as much as there is room for; empty for what is not there."""
    if found is None:
        return ""
    return (found if isinstance(found, str) else json.dumps(found))[:LONGEST_CLAIM]


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, whoever signed it: for showing, never for believing. Raises `UntrustedError`."""
    try:
        return dict(jwt.decode(token, options={"verify_signature": False}))
    except _UNREADABLE as error:
        raise UntrustedError("The identity token cannot be read.") from error


def recognise(token: str) -> tuple[TrustRule, datetime]:
    """The rule that an identity token fulfils, and when it ends. Raises `UntrustedError`."""
    if len(token) > LONGEST_TOKEN:
        raise UntrustedError(f"The identity token is longer than {LONGEST_TOKEN} bytes.")
    try:
        header = jwt.get_unverified_header(token)
    except _UNREADABLE as error:
        raise UntrustedError("The identity token cannot be read.") from error
    # Read only to choose whose key must have signed it; nothing else is believed before that.
    unproved = claims_of(token)
    algorithm, issuer, key_id = header.get("alg"), unproved.get("iss"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise UntrustedError(f"alg: identity tokens are signed with {' or '.join(ALGORITHMS)}.")
    named = TrustRule.objects.filter(issuer=issuer if isinstance(issuer, str) else "", revoked_at=None)
    rules = list(named.select_related("service_account").order_by("pk"))
    if not rules:
        raise UntrustedError("iss: no service account trusts this issuer; its team makes a trust rule.")
    if not isinstance(key_id, str):
        raise UntrustedError("kid: is missing; it says which key of the issuer signed.")
    try:
        key = issuers.signing_key(rules[0].issuer, key_id, algorithm)
    except issuers.IssuerError as error:
        raise UntrustedError(str(error)) from error
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=rules[0].issuer,
            audience=sorted({rule.audience for rule in rules}),
            leeway=LEEWAY,
            options={"require": ["iss", "aud", "exp", "iat"]},
        )
    except jwt.ExpiredSignatureError as error:
        raise UntrustedError(
            "exp: the identity token has expired; the pipeline asks for a new one."
        ) from error
    except jwt.ImmatureSignatureError as error:
        raise UntrustedError(
            "nbf: the identity token is not yet valid; it or its iat lies ahead, or the clocks of its issuer and of "
            "this server differ."
        ) from error
    except jwt.InvalidSignatureError as error:
        raise UntrustedError(
            "The signature is not by the key that the token names; it was changed, or is not the issuer's."
        ) from error
    except jwt.InvalidAudienceError as error:
        raise UntrustedError("aud: no trust rule for this issuer has this audience.") from error
    except _UNREADABLE as error:
        raise UntrustedError(f"The identity token does not count: {error}") from error
    ends_at = int(claims["exp"])
    if ends_at - int(claims["iat"]) > LONGEST_LIFE.total_seconds():
        raise UntrustedError("exp: an identity token that lives longer than a day is a password; shorten it.")
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    for rule in rules:
        if rule.audience in audiences and rule.matches(claims):
            return rule, datetime.fromtimestamp(ends_at, UTC)
    raise UntrustedError("No trust rule for this issuer and audience matches the claims; its team adds one.")


def _require(actor: Actor, account: ServiceAccount) -> None:
    # Not the account itself: a stolen token would make itself a way back in.
    if not answers_for(actor, account):
        raise ForbiddenError(
            f"Whom {account} trusts is said by its team or an organisation administrator, signed in or with a "
            "token that reaches service_account.manage."
        )


def _claims(given: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    if not given:
        raise LimitsError("claims", "is empty; name one at least, such as the repository")
    if len(given) > MOST_CLAIMS:
        raise LimitsError("claims", f"has more than {MOST_CLAIMS} members")
    for name, wanted in given.items():
        kind = next(iter(wanted), None) if isinstance(wanted, Mapping) and len(wanted) == 1 else None
        if kind not in ("equals", "starts_with") or not isinstance(wanted[kind], str) or not wanted[kind]:
            raise LimitsError(f"claims.{name}", 'must be {"equals": text} or {"starts_with": text}')
        if "\x00" in name + wanted[kind] or len(name) > LONGEST_CLAIM or len(wanted[kind]) > LONGEST_CLAIM:
            raise LimitsError("claims", f"has a text with U+0000, or longer than {LONGEST_CLAIM} characters")
    return {name: dict(wanted) for name, wanted in given.items()}
