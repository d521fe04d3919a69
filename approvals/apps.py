from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    verbose_name = "Approvals"

    def ready(self) -> None:
        from access.signals import deleting, roles_changing
        from approvals.uses import policies_that_name
        from approvals.workflow.roles import refuse_unreviewed

        roles_changing.connect(refuse_unreviewed)
        deleting.connect(policies_that_name)
