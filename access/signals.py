"""What others may have a say in before it happens. A receiver that raises stops it."""

from django.dispatch import Signal

# `project`: roles are about to be given or taken there without a reviewed request.
roles_changing = Signal()
# `team` or `role` (its key), the other empty: it is about to be deleted. A receiver answers with its uses, in words.
deleting = Signal()
