"""Scheduled work of access."""

from celery import shared_task

from access import refusals
from access.notifications import delivering
from access.permissions import system_actor


@shared_task
def record_refusals() -> None:
    """Tell the ledger how often access was refused. May run twice."""
    refusals.tell(system_actor("refusals"))


@shared_task
def deliver_notifications() -> None:
    """Have what is due delivered, by threads beside the worker. May run twice: each row is claimed."""
    delivering.hand_over()


@shared_task
def forget_old_notifications() -> None:
    """Delete what is older than is kept. May run twice."""
    delivering.forget_old()
