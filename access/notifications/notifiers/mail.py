"""E-mail, by Django's backend (`EMAIL_URL`)."""

from __future__ import annotations

import smtplib
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from access.models import Delivery
from access.notifications.notifiers import Outcome
from access.notifications.wording import Message


class MailNotifier:
    """To the address of a person. It says where to choose what comes, and holds nothing secret."""

    def send(self, delivery: Delivery, message: Message) -> Outcome:
        person, project = delivery.person, delivery.notification.project
        if person is None or not person.email:
            return Outcome(False, problem="has no e-mail address any more", is_final=True)
        choices = settings.BASE_URL + reverse("admin:notification-settings")
        about = f"You get this because {message.purpose}. Choose what you get: {choices}"
        mail = EmailMessage(
            " ".join(f"[{project.name if project else 'Countersign'}] {message.subject}".split()),
            "\n\n".join(
                part for part in (message.subject, message.text, message.link, f"-- \n{about}") if part
            ),
            None,
            [person.email],
            headers={
                # The same when it is sent again: whoever gets it twice sees it once.
                "Message-ID": f"<{message.id}.{delivery.pk}@{urlsplit(settings.BASE_URL).hostname}>",
                "List-Unsubscribe": f"<{choices}>",
                "Auto-Submitted": "auto-generated",
            },
        )
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused as error:
            code = next((code for code, _ in error.recipients.values()), None)
            return Outcome(False, code, "the address was refused", is_final=code is not None and code >= 500)
        except smtplib.SMTPResponseException as error:
            return Outcome(False, error.smtp_code, "the mail server refused")
        except (OSError, smtplib.SMTPException) as error:
            return Outcome(False, problem=f"the mail server cannot be used: {type(error).__name__}")
        return Outcome(True)
