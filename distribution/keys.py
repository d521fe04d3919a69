"""SDK keys: made, shown once, revoked; and the signed keyring that carries them to the read plane."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from access.permissions import require
from audit import keys as signing_keys
from audit.actor import Actor
from audit.ledger import timestamp
from audit.recording import Recording, recording
from audit.signing import signed_note, snapshots_name
from countersign.members import DocumentError
from distribution import announcements
from distribution.models import Keyring, SdkKey
from distribution.origins import canonical_origins
from distribution.read_plane import keyring
from flags.documents import refuse_unstorable
from flags.models import Environment

LONGEST_OVERLAP = timedelta(days=90)
"""For how long a key that was replaced may work yet: fleets are not redeployed in a day."""


def issue(
    actor: Actor, environment: Environment, name: str, side: str, origins: Sequence[str] = ()
) -> tuple[SdkKey, str]:
    """Make an SDK key and return it with its clear text, which is shown only now.

    `origins`: whose pages may use a client-side key from a browser; `*` for all. Raises `ForbiddenError`,
    DocumentError naming an origin that is none, or ValueError for an unknown side or an empty name.
    """
    side = SdkKey.Side(side)
    if not name.strip():
        raise ValueError("name: is empty; say which service will use the key")
    refuse_unstorable("name", name)
    allowed = _origins(side, origins)
    secret = f"{'cs_server' if side == SdkKey.Side.SERVER else 'cs_client'}_{secrets.token_urlsafe(32)}"
    key = SdkKey(
        environment=environment,
        name=name.strip()[:128],
        side=side,
        origins=allowed,
        hint=secret[:14],
        hash=SdkKey.hash_of(secret),
    )
    with recording(actor) as record:
        require(actor, "sdk_key.manage", environment.project)
        key.save()
        record.event(
            "distribution.v1.sdk_key.issued",
            _subject(key),
            {
                "environment": environment.key,
                "side": str(side),
                "hint": key.hint,
                **({"origins": allowed} if allowed else {}),
            },
        )
        sign_keyring(environment)
    return key, secret


def allow_origins(actor: Actor, key: SdkKey, origins: Sequence[str]) -> None:
    """Say whose pages may use a client-side key from a browser. The same again changes nothing.

    Raises `ForbiddenError`, or DocumentError naming an origin that is none; also for a key that is revoked.
    """
    allowed = _origins(SdkKey.Side(key.side), origins)
    with recording(actor) as record:
        require(actor, "sdk_key.manage", key.environment.project)
        row = SdkKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        if row.revoked_at is not None:
            raise DocumentError("origins", "belong to a key that is revoked; make another key")
        if row.origins != allowed:
            record.event(
                "distribution.v1.sdk_key.updated",
                _subject(key),
                {
                    "environment": key.environment.key,
                    "hint": key.hint,
                    "origins": allowed,
                    "origins_before": row.origins,
                },
            )
            SdkKey.objects.filter(pk=key.pk).update(origins=allowed)
            sign_keyring(key.environment)
    key.origins = allowed


def rotate(actor: Actor, key: SdkKey, overlap: timedelta) -> tuple[SdkKey, str]:
    """Make a key that takes the place of another, which works for `overlap` yet; our task revokes it then.

    Name, side and origins are the same. Raises `ForbiddenError`, or DocumentError naming the member.
    """
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise DocumentError("overlap", f"must be between 0 seconds and {LONGEST_OVERLAP.days} days")
    with recording(actor) as record:
        require(actor, "sdk_key.manage", key.environment.project)
        old = SdkKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        if old.revoked_at is not None:
            raise DocumentError("id", "is a key that is revoked; make another key")
        ends = timezone.now() + overlap
        ends = min(ends, old.revoke_at) if old.revoke_at else ends
        new, secret = issue(actor, key.environment, old.name, old.side, old.origins)
        SdkKey.objects.filter(pk=old.pk).update(revoke_at=ends)
        record.event(
            "distribution.v1.sdk_key.replaced",
            _subject(key),
            {
                "environment": key.environment.key,
                "hint": old.hint,
                "successor": _subject(new),
                "revoke_at": timestamp(ends),
            },
        )
    return new, secret


def revoke_replaced(actor: Actor) -> int:
    """Revoke the keys whose overlap has ended; returns how many. May run twice and at once."""
    due = SdkKey.objects.filter(revoked_at=None, revoke_at__lte=timezone.now())
    done = 0
    for key in due.select_related("environment__project").order_by("pk"):
        with recording(actor) as record:
            if _revoke(record, key):  # a conditional update: one of two tasks wins
                sign_keyring(key.environment)
                done += 1
    return done


def note_use(ids: Collection[str]) -> None:
    """Keep that these keys, by id, were used today. Called by a thread now and then, not in a request."""
    today = timezone.now().date()
    rows = SdkKey.objects.filter(pk__in=[int(each) for each in ids if each.isdecimal()])
    rows.filter(Q(last_used_on=None) | Q(last_used_on__lt=today)).update(last_used_on=today)


def revoke(actor: Actor, key: SdkKey) -> None:
    """Make an SDK key useless: within a second wherever a store is reachable. Again changes nothing."""
    with recording(actor) as record:
        require(actor, "sdk_key.manage", key.environment.project)
        if _revoke(record, key):
            sign_keyring(key.environment)


def revoke_again(record: Recording, key: SdkKey) -> None:
    """Revoke a key that a restore from backup brought back; whoever recovers signs the keyring."""
    record.actor.require_command_line("revoking a key again")
    _revoke(record, key)


def _revoke(record: Recording, key: SdkKey) -> bool:
    if not SdkKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        return False
    record.event(
        "distribution.v1.sdk_key.revoked",
        _subject(key),
        {"environment": key.environment.key, "hint": key.hint},
    )
    return True


def dsn(environment: Environment, secret: str) -> str:
    """What configures a client whole: `https://<sdk key>@host/<project>/<environment>?verify=<vkey>`."""
    base = urlsplit(settings.BASE_URL)
    return f"{base.scheme}://{secret}@{base.netloc}/{environment.path}?{verify_query()}"


def verify_query() -> str:
    """The part of a DSN that says which keys to believe: each that signs now, so two while keys rotate."""
    return "&".join(f"verify={quote(vkey, safe='')}" for vkey in signing_keys.signing_now(snapshots_name()))


def sign_keyring(environment: Environment, past: int = 0) -> None:
    """Sign the next version of the environment's keyring, in the transaction that changed its keys.

    `past`: a version that was published and the database does not know; the next one is higher.
    """
    Environment.objects.select_for_update(no_key=True).get(pk=environment.pk)
    newest = Keyring.objects.filter(environment=environment).aggregate(Max("version"))["version__max"] or 0
    newest = max(newest, past)
    text, body = keyring.compose(
        origin=settings.ORIGIN,
        environment=environment.path,
        version=newest + 1,
        created=timestamp(timezone.now()),
        keys=[
            (key.hash, str(key.pk), "client" if key.side == SdkKey.Side.CLIENT else "server", key.origins)
            for key in SdkKey.objects.filter(environment=environment, revoked_at=None)
        ],
    )
    raw = signed_note(text.decode(), signing_keys.signers(snapshots_name())).encode() + b"\n" + body
    Keyring.objects.create(environment=environment, version=newest + 1, raw=raw)
    path, version = environment.path, newest + 1
    transaction.on_commit(lambda: announcements.announce_keyring(path, version, raw), robust=True)


def _origins(side: SdkKey.Side, given: Sequence[str]) -> list[str]:
    if given and side != SdkKey.Side.CLIENT:
        raise DocumentError(
            "origins", "belong to client-side keys; a server-side key reads all rules, so keep it off pages"
        )
    return canonical_origins(given)


def _subject(key: SdkKey) -> str:
    return f"project/{key.environment.project.key}/sdk-key/{key.pk}"
