"""The task queue and its timetable: every task finds its own work, so a lost or late run costs time only."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
_TIMETABLE = {
    "distribution.tasks.publish_due": 2.0,
    "approvals.tasks.carry_out_due": 2.0,
    "approvals.tasks.expire_flags": 60.0,
    "approvals.tasks.escalate_overdue_reviews": 60.0,
    "flags.tasks.alert_stale_flags": 3600.0,
    "flags.tasks.tell_of_days": 3600.0,
    "audit.tasks.sign_checkpoint": 60.0,
    "distribution.tasks.revoke_replaced": 2.0,
    "access.tasks.record_refusals": 3600.0,
    "access.tasks.deliver_notifications": 2.0,
    "access.tasks.forget_old_notifications": 3600.0,
}
app.conf.beat_schedule = {
    # It expires, or a broker would fill up while no worker runs; late enough for clocks that differ.
    task: {"task": task, "schedule": seconds, "options": {"expires": 600}}
    for task, seconds in _TIMETABLE.items()
}
