"""What others may have a say in before it happens. A receiver that raises stops it."""

from django.dispatch import Signal

# `project`: roles are about to be given or taken there without a reviewed request.
roles_changing = Signal()
