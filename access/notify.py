"""Telling people. A message that cannot be sent is logged and holds up nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.core.mail import send_mail

from access.models import User

logger = logging.getLogger(__name__)


def mail(people: Iterable[User], subject: str, text: str) -> None:
    """Mail each active person who has an address. Line breaks in the subject are made spaces."""
    for person in people:
        if not person.is_active or not person.email:
            continue
        try:
            send_mail(" ".join(subject.split()), text, None, [person.email])
        except Exception:  # a mail backend may raise anything
            logger.exception("A mail to %s could not be sent", person.pseudonym)
