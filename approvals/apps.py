from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    verbose_name = "Approvals"

    def ready(self) -> None:
        from access.signals import roles_changing
        from approvals.workflow.roles import refuse_unreviewed

        roles_changing.connect(refuse_unreviewed)
