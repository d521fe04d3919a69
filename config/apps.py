"""The app configurations of `config`: the one that puts our admin site in place of Django's."""

from django.contrib.admin.apps import AdminConfig


class ControlPlaneAdminConfig(AdminConfig):
    """`django.contrib.admin`, with the control plane's site as `admin.site`."""

    default_site = "config.site.ControlPlaneSite"
