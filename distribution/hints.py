"""A change of an environment hints the publisher. A lost hint costs latency only: a sweep finds the same rows."""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import receiver

from flags.signals import environment_changed

logger = logging.getLogger(__name__)


@receiver(environment_changed)
def hint_publisher(environment: str, **_: Any) -> None:
    """Queue a publication now, rather than at the next sweep."""
    from distribution.tasks import publish_due

    try:
        publish_due.apply_async(retry=False)
    except Exception:
        logger.warning(
            "The publisher could not be hinted about %s; the sweep will find it", environment, exc_info=True
        )
