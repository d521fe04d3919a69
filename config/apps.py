"""The app configurations of `config`: its own, and the one that puts our admin site in place of Django's."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ProjectConfig(AppConfig):
    """Commands and checks of the installation as a whole."""

    name = "config"
    default = True

    def ready(self) -> None:
        from config import checks  # noqa: F401  (registers the settings' checks)


class ControlPlaneAdminConfig(admin_apps.AdminConfig):
    """`django.contrib.admin`, with the control plane's site as `admin.site`."""

    default = False
    default_site = "config.site.ControlPlaneSite"
