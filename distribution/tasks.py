"""Scheduled work of distribution."""

from celery import shared_task

from access.permissions import system_actor
from distribution import keys, publish


@shared_task
def publish_due() -> None:
    """Publish every environment whose revision is ahead of its snapshot. May run twice."""
    publish.publish_due()


@shared_task
def revoke_replaced() -> None:
    """Revoke the SDK keys whose replacement's overlap has ended. May run twice."""
    keys.revoke_replaced(system_actor("keys"))
