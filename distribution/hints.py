"""A change of an environment hints the publisher. A lost hint costs latency only: a sweep finds it.

Without a broker nobody would sweep either, and a kill must not wait for it: then this process publishes.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import receiver
from kombu.exceptions import OperationalError

from distribution import publish
from flags.signals import environment_changed

logger = logging.getLogger(__name__)


@receiver(environment_changed)
def hint_publisher(environment: str, **_: Any) -> None:
    """Queue a publication now, rather than at the next sweep."""
    from distribution.tasks import publish_due

    try:
        publish_due.apply_async(retry=False)
    except OperationalError:
        logger.warning("The broker cannot be reached: publishing %s from this process", environment)
        publish.publish_due()
