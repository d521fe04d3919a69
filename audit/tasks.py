"""Scheduled work of the ledger."""

from celery import shared_task

from audit import checkpoints


@shared_task
def sign_checkpoint() -> None:
    """Sign the current head, if it has grown since the last checkpoint. May run twice."""
    checkpoints.sign_current()
