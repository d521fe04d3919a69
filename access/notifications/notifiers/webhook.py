"""Webhooks, signed as https://www.standardwebhooks.com has it."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Signer

from access import outgoing
from access.models import Delivery, Webhook
from access.notifications.notifiers import Outcome
from access.notifications.wording import Message
from access.signin.sealing import SealError, unseal
from audit.jcs import canonical

LONGEST_ANSWER = 16 * 1024
"""Bytes of an answer that are read; of them the log keeps the beginning."""
_GONE = 410


class WebhookNotifier:
    """To a webhook of a project: any answer of 2xx means that it was delivered, and none is followed."""

    def send(self, delivery: Delivery, message: Message) -> Outcome:
        webhook = delivery.webhook
        assert webhook is not None
        body = canonical(message.document)
        now = timezone.now()
        try:
            signatures = [
                Signer(secret).sign(message.id, now, body.decode()) for secret in secrets_of(webhook)
            ]
        except SealError as error:
            return Outcome(False, problem=str(error))
        try:
            answer = outgoing.ask(
                "POST",
                webhook.url,
                body=body,
                headers={
                    "Content-Type": "application/json",
                    "User-Agent": "Countersign",
                    "webhook-id": message.id,
                    "webhook-timestamp": str(int(now.timestamp())),
                    "webhook-signature": " ".join(signatures),
                },
                longest=LONGEST_ANSWER,
                private=urlsplit(webhook.url).hostname in settings.PRIVATE_RECEIVERS,
            )
        except outgoing.PrivateAddressError as error:
            return Outcome(False, problem=f"{error}; COUNTERSIGN_PRIVATE_RECEIVERS names those that may be")
        except outgoing.NoAnswerError as error:
            return Outcome(False, problem=f"{webhook.host}: {error}")
        said = answer.body.decode("utf-8", "replace")
        if 200 <= answer.status < 300:
            return Outcome(True, answer.status, answer=said)
        problem = "redirects are not followed" if 300 <= answer.status < 400 else "it did not answer 2xx"
        if answer.status == _GONE:
            problem = "it says that it is gone; disable or delete it"
        return Outcome(False, answer.status, problem, said, is_final=answer.status == _GONE)


def secrets_of(webhook: Webhook) -> list[str]:
    """The secret, and while it rotates the former one. Raises `SealError`."""
    found = [unseal(webhook.sealed_secret)]
    if webhook.former_until is not None and webhook.former_until > timezone.now():
        found.append(unseal(webhook.sealed_former_secret))
    return found
