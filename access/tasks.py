"""Scheduled work of access."""

from celery import shared_task

from access import refusals
from access.permissions import system_actor


@shared_task
def record_refusals() -> None:
    """Tell the ledger how often access was refused. May run twice."""
    refusals.tell(system_actor("refusals"))
