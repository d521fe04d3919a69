"""Settings, URLs, servers: what joins the parts. Nothing imports it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
