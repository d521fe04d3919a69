"""Scheduled work of distribution."""

from celery import shared_task

from distribution import publish


@shared_task
def publish_due() -> None:
    """Publish every environment whose revision is ahead of its snapshot. May run twice."""
    publish.publish_due()
