import json
from typing import Any

from django.core.management.base import BaseCommand

from approvals.policies import requirements
from audit.ledger import trusted_log
from flags.models import Environment


class Command(BaseCommand):
    """Prints what an auditor compares, over another channel, and keeps: it is never part of a bundle."""

    help = "Print a trust file for the auditor: the log's key and what must have been reviewed."

    def handle(self, *args: Any, **options: Any) -> None:
        protected = Environment.objects.filter(protected=True).select_related("project")
        approvals = [requirements(environment.project, [environment]).approvals for environment in protected]
        trust = {
            **trusted_log(),
            "accept_log_vouched": True,
            "min_approvals": min(approvals, default=1),
            "review_required": sorted(
                f"project/{environment.project.key}/environment/{environment.key}/"
                for environment in protected
            ),
        }
        self.stdout.write(json.dumps(trust, indent=1, sort_keys=True))
