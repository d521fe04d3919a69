from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from audit import checks, history, ledger  # noqa: F401  (registers checks and signal receivers)

        post_migrate.connect(ledger.open_log, sender=self)
