"""Second factors of people: setting them up, taking them away, and using a code, each once.

The rows are django-allauth's; what it leaves to caches of one process (codes that were used, wrong ones) is kept in the
database, and every change is an event and a mail to whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.mfa.webauthn.internal.auth import WebAuthn
from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth.signals import user_login_failed
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from access import machines, notify
from access.models import User
from access.permissions import ForbiddenError, require_in_organisation, user_actor
from access.shown_factor import SIGNING_IN
from access.signin.lockout import explained
from access.signin.sealing import resealed, unseal
from access.signin.sessions import end_sessions
from audit.actor import Actor
from audit.recording import Recording, recording

Kind = Authenticator.Type
# As events name them.
NAMES = {Kind.TOTP: "app", Kind.WEBAUTHN: "key", Kind.RECOVERY_CODES: "recovery codes"}
MOST_KEYS = 20
_Found = TypeVar("_Found")
# Which time step's code was used last, in a row of an app.
_USED = "used_step"
# Members of a row's data that are sealed.
_SEALED = ("secret", "seed")


class LockedOutError(Exception):
    """Too many wrong codes or passwords; the text says when to try again."""


class FactorError(ValueError):
    """This cannot be set up so; the text says why."""


def factors_of(person: User) -> QuerySet[Authenticator]:
    """Their apps, keys and recovery codes, the oldest first."""
    return Authenticator.objects.filter(user=person).order_by("pk")


def kinds_of(person: User) -> list[str]:
    """What they have, as events name it."""
    return kind_names(factors_of(person))


def kind_names(rows: Iterable[Authenticator]) -> list[str]:
    """As events name them."""
    return sorted(NAMES[Kind(each.type)] for each in rows)


def has_own_factor(person: User) -> bool:
    """Whether somebody signs in with a second factor of their own."""
    return factors_of(person).filter(type__in=SIGNING_IN).exists()


def add_app(actor: Actor, person: User, secret: str, code: str, *, session: str = "") -> list[str]:
    """Set up an authenticator app that shows `code` now; returns new recovery codes where there were none.

    Sessions of theirs but `session` (its key) end: they were opened without it. Raises `FactorError`.
    """
    step = _step_of(secret, code, after=0)
    if step is None:
        raise FactorError(
            _("This is not the code that the app shows now. Look at its clock, and try the next one.")
        )
    with recording(actor) as record:
        _require_own(actor, person)
        _hold(person)
        if factors_of(person).filter(type=Kind.TOTP).exists():
            raise FactorError(_("There is an app already; remove that first."))
        row = TOTP.activate(person, secret).instance
        row.data[_USED] = step
        row.save(update_fields=["data"])
        codes = _added(actor, record, person, row, session)
        _tell(record, person, _("an authenticator app was set up"))
    return codes


def add_key(
    actor: Actor, person: User, name: str, credential: dict[str, Any], *, session: str = ""
) -> list[str]:
    """Set up a passkey or security key whose credential was verified; otherwise as `add_app`."""
    with recording(actor) as record:
        _require_own(actor, person)
        _hold(person)
        if factors_of(person).filter(type=Kind.WEBAUTHN).count() >= MOST_KEYS:
            raise FactorError(_("There are %s keys already; remove one first.") % MOST_KEYS)
        codes = _added(actor, record, person, WebAuthn.add(person, name, credential).instance, session)
        _tell(record, person, _("a passkey or security key was set up"))
    return codes


def renew_recovery_codes(actor: Actor, person: User) -> list[str]:
    """Make new recovery codes in place of the old ones, which open nothing any more."""
    with recording(actor) as record:
        _require_own(actor, person)
        _hold(person)
        if not has_own_factor(person):
            raise FactorError(_("Recovery codes stand in for a second factor; set one up first."))
        factors_of(person).filter(type=Kind.RECOVERY_CODES).delete()
        codes = _recovery_codes(record, person)
        _tell(record, person, _("new recovery codes were made; the old ones open nothing any more"))
    return codes


def remove(actor: Actor, person: User, number: int) -> None:
    """Take an app or key away, and the recovery codes with the last one."""
    with recording(actor) as record:
        _require_own(actor, person)
        _hold(person)
        row = factors_of(person).filter(pk=number, type__in=SIGNING_IN).first()
        if row is None:
            return
        _removed(record, person, row)
        if not has_own_factor(person):
            for codes in factors_of(person):
                _removed(record, person, codes)
        _tell(record, person, _("a second factor was removed"))


def reset(actor: Actor, person: User) -> None:
    """Take all second factors of somebody else away, who lost them; sessions and tokens of theirs end.

    Raises `ForbiddenError`.
    """
    with recording(actor) as record:
        require_in_organisation(actor, "factor.reset")
        if actor.id == person.pseudonym:
            raise ForbiddenError("factor.reset: another organisation administrator resets yours.")
        _hold(person)
        record.event("access.v1.factor.reset", _subject(person), {"kinds": kinds_of(person)})
        factors_of(person).delete()
        User.objects.filter(pk=person.pk).update(vouched_by="")
        end_sessions(actor, person)
        machines.revoke_all(record, person)
        notify.tell(record, "account.second_factor_reset", None, about={"member": person.pseudonym})
        _tell(
            record,
            person,
            _("an organisation administrator removed your second factors, so that you set up new ones"),
        )


def use_code(actor: Actor, person: User, code: str) -> Authenticator | None:
    """The app or the recovery codes of which this is a code, which is used up by that; None: of none."""
    with recording(actor) as record:
        _hold(person)
        for row in factors_of(person).exclude(type=Kind.WEBAUTHN):
            if row.type == Kind.TOTP:
                step = _step_of(unseal(row.data["secret"]), code, after=row.data.get(_USED, 0))
                if step is not None:
                    row.data[_USED] = step
                    row.save(update_fields=["data"])
                    return row
            elif RecoveryCodes(row).validate_code(code):
                row.refresh_from_db()
                left = len(RecoveryCodes(row).get_unused_codes())
                record.event("access.v1.factor.recovery_code_used", _subject(person), {"left": left})
                _tell(record, person, _("a recovery code was used; %s are left") % left)
                return row
        return None


def attempt(request: HttpRequest, person: User, check: Callable[[], _Found | None]) -> _Found | None:
    """What `check` finds. Where it finds nothing, that counts as a wrong password does. Raises `LockedOutError`."""
    credentials = {"username": person.username}
    if not AxesProxyHandler.is_allowed(request, credentials):
        raise LockedOutError(explained(request, person.username))
    found = check()
    if found is None:
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
        if not AxesProxyHandler.is_allowed(request, credentials):
            with recording(user_actor(person, "ui")) as record:
                _tell(
                    record,
                    person,
                    _(
                        "somebody who knows your password tried many wrong codes; change it if that was not you"
                    ),
                )
            raise LockedOutError(explained(request, person.username))
    return found


def reseal_factors(record: Recording) -> int:
    """Encrypt the secrets of all apps and recovery codes with the present key. Raises `SealError`."""
    rows = Authenticator.objects.select_for_update(no_key=True).exclude(type=Kind.WEBAUTHN).order_by("pk")
    for row in rows:
        row.data |= {name: resealed(row.data[name]) for name in _SEALED if name in row.data}
        row.save(update_fields=["data"])
    if rows:
        record.event("access.v1.factor.encrypted_anew", "access/organisation", {"factors": len(rows)})
    return len(rows)


def _added(actor: Actor, record: Recording, person: User, row: Authenticator, session: str) -> list[str]:
    record.event("access.v1.factor.added", _subject(person), {"kind": NAMES[Kind(row.type)]})
    end_sessions(actor, person, but=session)
    has_codes = factors_of(person).filter(type=Kind.RECOVERY_CODES).exists()
    return [] if has_codes else _recovery_codes(record, person)


def _recovery_codes(record: Recording, person: User) -> list[str]:
    made = RecoveryCodes.activate(person)
    record.event("access.v1.factor.added", _subject(person), {"kind": NAMES[Kind.RECOVERY_CODES]})
    return list(made.get_unused_codes())


def _removed(record: Recording, person: User, row: Authenticator) -> None:
    record.event("access.v1.factor.removed", _subject(person), {"kind": NAMES[Kind(row.type)]})
    row.delete()


def _step_of(secret: str, code: str, after: int) -> int | None:
    """The time step whose code this is, now or next to now and after the one used last (RFC 6238, 5.2)."""
    for step in yield_hotp_counters_from_time():
        if step > after and compare_user_code(
            actual=code, expected=format_hotp_value(hotp_value(secret, step))
        ):
            return step
    return None


def _require_own(actor: Actor, person: User) -> None:
    if actor.id != person.pseudonym or actor.credential:
        raise ForbiddenError("People set up and remove their own second factors, signed in.")


def _hold(person: User) -> None:
    """Until the transaction ends: a code is used once, and recovery codes are made once."""
    User.objects.select_for_update(no_key=True).get(pk=person.pk)


def _tell(record: Recording, person: User, what: str) -> None:
    """The person, whoever did it."""
    link = reverse("admin:security")
    about = {"what": what}
    notify.tell(record, "account.factors_changed", None, about=about, link=link, to=[person.pseudonym])


def _subject(person: User) -> str:
    return f"access/{person.pseudonym}"
