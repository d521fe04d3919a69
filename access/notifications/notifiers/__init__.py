"""How a message leaves: one `Notifier` for each channel, all of which pass the same tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from access.models import Delivery
from access.notifications.wording import Message


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try. Its texts are shown: they hold no secret and no address of a person."""

    is_delivered: bool
    # Of HTTP or SMTP, where one came back.
    status: int | None = None
    # Why it was not delivered.
    problem: str = ""
    # What a receiver answered.
    answer: str = ""
    # Trying again would be of no use.
    is_final: bool = False


class Notifier(Protocol):
    """Sends a message to the one that a delivery names."""

    def send(self, delivery: Delivery, message: Message) -> Outcome:
        """Try once, within half a minute. What goes wrong out there is an outcome and raises nothing.

        A message that is sent again has the same id, by which its receiver can tell.
        """
        ...
