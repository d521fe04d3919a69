"""Chats that are told: those of a project, by events, and a person's own, which are nobody else's business."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError

from access.models import Chat, User
from access.notifications.addresses import AddressError, chat_service, masked
from access.notifications.webhooks import checked_kinds, refuse_too_many
from access.permissions import require
from access.signin.sealing import seal
from audit.actor import Actor
from audit.recording import recording

_EVENT = "access.v1.chat.changed"


def connect_of_project(actor: Actor, project: Any, name: str, url: str, kinds: Collection[str]) -> Chat:
    """Have a chat told of what happens in a project. `url`: an apprise address; it never comes out again.

    Raises `ForbiddenError`, or ValidationError naming the member at fault.
    """
    with recording(actor) as record:
        require(actor, "webhook.manage", project)
        project.hold()
        refuse_too_many(project.chats.count())
        row = _made(name, url, project=project, kinds=checked_kinds(kinds))
        record.event(_EVENT, row.ledger_subject, before=None, after=row.document)
    return row


def connect_own(person: User, name: str, url: str) -> Chat:
    """Have a chat of one's own told what one chose. Raises ValidationError naming the member at fault."""
    refuse_too_many(person.chats.count())
    return _made(name, url, person=person)


def disconnect(actor: Actor, chat: Chat) -> None:
    """Take away a chat of a project, or one's own. Raises `ForbiddenError`."""
    if chat.project is None:
        chat.delete()
        return
    with recording(actor) as record:
        require(actor, "webhook.manage", chat.project)
        record.event(_EVENT, chat.ledger_subject, before=chat.document, after=None)
        chat.delete()


def _made(name: str, url: str, **members: Any) -> Chat:
    try:
        service = chat_service(url)
    except AddressError as error:
        raise ValidationError({"url": str(error)}) from error
    row = Chat(name=name.strip(), masked=masked(service), sealed_url=seal(url.strip()), **members)
    row.full_clean(exclude=["project", "person", "kinds", "sealed_url"], validate_constraints=False)
    row.save()
    return row
