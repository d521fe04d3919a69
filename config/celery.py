"""The task queue and its timetable: every task finds its own work, so a lost or late run costs time only."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = {
    "publish what changed": {"task": "distribution.tasks.publish_due", "schedule": 2.0},
    "carry out what is due": {"task": "approvals.tasks.carry_out_due", "schedule": 2.0},
    "expire temporary flags": {"task": "approvals.tasks.expire_flags", "schedule": 60.0},
    "alert owners of stale flags": {"task": "flags.tasks.alert_stale_flags", "schedule": 3600.0},
    "sign a checkpoint": {"task": "audit.tasks.sign_checkpoint", "schedule": 60.0},
}
