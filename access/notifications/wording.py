"""A notification in words: for the app, mail, chats and webhooks alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from access.models import Notification
from access.notifications.kinds import TEST, kind_of
from access.permissions import display_names
from audit.ledger import timestamp

# Members of `about` that are pseudonyms of people.
_PEOPLE = ("by", "member")


class _Known(dict[str, str]):
    """Says nothing where an older notification does not know what the sentence names now."""

    def __missing__(self, key: str) -> str:
        return "…"


@dataclass(frozen=True, slots=True)
class Message:
    """A notification as it is sent. The same each time it is sent again, but for the names of people."""

    # Of the notification: whoever gets it twice knows it by this.
    id: str
    subject: str
    text: str
    purpose: str
    # The whole address of the page to look at; empty for none.
    link: str
    # For programs: people by pseudonym only.
    document: dict[str, Any]


def worded(notifications: Sequence[Notification]) -> list[Message]:
    """In words, in two queries for any number. Their projects are read before."""
    people = {_known(each)[name] for each in notifications for name in _PEOPLE if name in _known(each)}
    names = display_names(people)
    return [_worded(each, names) for each in notifications]


def _known(notification: Notification) -> dict[str, str]:
    return {**notification.about, "by": notification.by}


def _worded(notification: Notification, names: dict[str, str]) -> Message:
    kind, known = kind_of(notification.kind), _known(notification)
    assert kind is not None, f"{notification.kind} is in no table"
    in_words = _Known({name: names.get(text, text) for name, text in known.items()})
    for_programs = _Known(known)
    link = settings.BASE_URL + notification.link if notification.link else ""
    project = notification.project
    return Message(
        f"msg_{notification.id.hex}",
        kind.says.format_map(in_words),
        kind.more.format_map(in_words).strip() if kind.more else "",
        kind.purpose,
        link,
        {
            "type": notification.kind,
            "timestamp": timestamp(notification.created_at),
            "data": {
                **({"project": project.key} if project else {}),
                **known,
                "says": kind.says.format_map(for_programs),
                **({"link": link} if link else {}),
                **({"test": True} if notification.kind == TEST else {}),
            },
        },
    )
