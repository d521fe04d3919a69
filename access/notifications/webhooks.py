"""The webhooks of a project: made, changed, their secret rotated, tried and deleted. Each is an event."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from access.models import Chat, Delivery, Notification, Webhook
from access.notifications.addresses import AddressError, checked_webhook
from access.notifications.kinds import FOR_RECEIVERS, TEST, Channel
from access.permissions import require
from access.signin.sealing import resealed, seal
from audit.actor import Actor
from audit.history import OutdatedBaseError
from audit.ledger import timestamp
from audit.recording import Recording, recording

MEMBERS = ("name", "url", "kinds", "is_enabled")
LONGEST_OVERLAP = timedelta(days=7)
"""For how long a former secret may sign too."""
MOST = 20
"""Webhooks, or chats, of one project or person."""
_EVENT = "access.v1.webhook.changed"


def create_webhook(actor: Actor, project: Any, members: Mapping[str, Any]) -> tuple[Webhook, str]:
    """Connect a webhook; returned with its secret, which is shown only now. `members`: of `MEMBERS`.

    Raises `ForbiddenError`, or ValidationError naming the member at fault.
    """
    secret = _new_secret()
    with recording(actor) as record:
        require(actor, "webhook.manage", project)
        project.hold()
        refuse_too_many(project.webhooks.count())
        row = Webhook(project=project, sealed_secret=seal(secret))
        _set(row, members)
        row.save()
        record.event(_EVENT, row.ledger_subject, before=None, after=row.document)
    return row, secret


def change_webhook(
    actor: Actor, webhook: Webhook, members: Mapping[str, Any], *, base: Mapping[str, int] | None = None
) -> Webhook:
    """Change the `members` given. The same again changes nothing.

    `base`: by its subject, the version seen; None: whatever stands. Raises as `create_webhook`, and
    `OutdatedBaseError`.
    """
    with recording(actor) as record:
        require(actor, "webhook.manage", webhook.project)
        row = Webhook.objects.select_for_update(no_key=True).get(pk=webhook.pk)
        if base is not None and (seen := base.get(row.ledger_subject)) != row.version:
            raise OutdatedBaseError(row.ledger_subject, seen, row.version)
        before, address = row.document, row.url
        _set(row, members)
        if row.document == before and row.url == address:
            return row
        row.version += 1
        row.save()
        changed = {} if row.url == address else {"url": "changed"}
        record.event(_EVENT, row.ledger_subject, changed, before=before, after=row.document)
    return row


def rotate_secret(actor: Actor, webhook: Webhook, overlap: timedelta) -> str:
    """A new secret, shown only now; for `overlap` the one before signs too, so that receivers can change over.

    Raises `ForbiddenError`, or ValidationError for an overlap that is too long.
    """
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise ValidationError({"overlap": f"must be between 0 seconds and {LONGEST_OVERLAP.days} days"})
    secret = _new_secret()
    with recording(actor) as record:
        require(actor, "webhook.manage", webhook.project)
        row = Webhook.objects.select_for_update(no_key=True).get(pk=webhook.pk)
        ends = timezone.now() + overlap
        row.sealed_former_secret = row.sealed_secret if overlap else ""
        row.former_until = ends if overlap else None
        row.sealed_secret = seal(secret)
        row.save()
        record.event(
            _EVENT,
            row.ledger_subject,
            {"secret": "rotated", "former_until": timestamp(ends)},
            before=row.document,
            after=row.document,
        )
    return secret


def delete_webhook(actor: Actor, webhook: Webhook) -> None:
    """Take a webhook away, with its log. Raises `ForbiddenError`."""
    with recording(actor) as record:
        require(actor, "webhook.manage", webhook.project)
        record.event(_EVENT, webhook.ledger_subject, before=webhook.document, after=None)
        webhook.delete()


def try_out(actor: Actor, receiver: Webhook | Chat) -> Delivery:
    """Have a message sent that only says that it arrived. Raises `ForbiddenError`."""
    with recording(actor) as record:
        if receiver.project is not None:
            require(actor, "webhook.manage", receiver.project)
            record.event("access.v1.webhook.tested", receiver.ledger_subject)
        made = Notification.objects.create(kind=TEST, project=receiver.project, by=actor.id)
        return Delivery.objects.create(
            notification=made,
            due_at=timezone.now(),
            **(
                {"webhook": receiver, "channel": Channel.WEBHOOK}
                if isinstance(receiver, Webhook)
                else {"chat": receiver, "channel": Channel.CHAT, "person": receiver.person}
            ),
        )


def reseal(record: Recording) -> int:
    """Encrypt the secrets and addresses anew with the present key; returns how many rows. Raises `SealError`."""
    record.actor.require_command_line("Encrypting stored secrets anew")
    done = 0
    for row in Webhook.objects.select_for_update(no_key=True).order_by("pk"):
        row.sealed_secret = resealed(row.sealed_secret)
        if row.sealed_former_secret:
            row.sealed_former_secret = resealed(row.sealed_former_secret)
        row.save()
        _say_resealed(record, row)
        done += 1
    for chat in Chat.objects.select_for_update(no_key=True).order_by("pk"):
        chat.sealed_url = resealed(chat.sealed_url)
        chat.save()
        if chat.project is not None:
            _say_resealed(record, chat)
        done += 1
    return done


def _say_resealed(record: Recording, row: Webhook | Chat) -> None:
    kind = "webhook" if isinstance(row, Webhook) else "chat"
    record.event(
        f"access.v1.{kind}.changed",
        row.ledger_subject,
        {"secret": "encrypted anew"},
        before=row.document,
        after=row.document,
    )


def checked_kinds(kinds: Collection[str]) -> list[str]:
    """Kinds that webhooks and chats can be told, in the order of the table. Raises ValidationError."""
    unknown = sorted(set(kinds) - set(FOR_RECEIVERS))
    if unknown:
        raise ValidationError(
            {"kinds": f"{unknown[0]!r} is nothing that it can be told; known are: {', '.join(FOR_RECEIVERS)}"}
        )
    return [kind for kind in FOR_RECEIVERS if kind in kinds]


def refuse_too_many(number: int) -> None:
    """Raise ValidationError where there are as many as there may be."""
    if number >= MOST:
        raise ValidationError({"name": f"there are {MOST} already; delete one first"})


def _set(row: Webhook, members: Mapping[str, Any]) -> None:
    if unknown := sorted(set(members) - set(MEMBERS)):
        raise ValidationError({unknown[0]: f"is unknown; known are: {', '.join(MEMBERS)}"})
    for name, value in members.items():
        setattr(row, name, value)
    row.kinds = checked_kinds(row.kinds)
    if "url" in members:
        try:
            row.url = checked_webhook(row.url)
        except AddressError as error:
            raise ValidationError({"url": str(error)}) from error
    row.full_clean(exclude=["project", "sealed_secret", "kinds"], validate_constraints=False)


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
