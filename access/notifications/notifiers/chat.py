"""Chats, by apprise: those of its services that are known here, over HTTPS only."""

from __future__ import annotations

import apprise

from access.models import Delivery
from access.notifications import addresses
from access.notifications.notifiers import Outcome
from access.notifications.wording import Message
from access.signin.sealing import SealError, unseal


class ChatNotifier:
    """To a chat of a project or a person."""

    def send(self, delivery: Delivery, message: Message) -> Outcome:
        assert delivery.chat is not None
        try:
            service = addresses.chat_service(unseal(delivery.chat.sealed_url))
        except SealError as error:
            return Outcome(False, problem=str(error))
        except addresses.AddressError as error:
            return Outcome(False, problem=str(error))
        text = "\n".join(part for part in (message.text, message.link) if part)
        # It logs what went wrong, without the address, and answers yes or no.
        is_delivered = bool(
            service.notify(
                body=text or message.purpose, title=message.subject, notify_type=apprise.NotifyType.INFO
            )
        )
        return Outcome(
            is_delivered, problem="" if is_delivered else f"{service.service_name} did not take it"
        )
