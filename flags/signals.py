"""What the catalogue tells others, after the commit: that an environment serves something new."""

from django.dispatch import Signal

# Sent with `environment` (its `project/environment` path). A lost signal costs latency only.
environment_changed = Signal()
