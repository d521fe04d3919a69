"""Django's part of the URL space; `/sdk/`, `/ofrep/`, `/flagd/`, `/livez` and `/readyz` are answered before it."""

from django.contrib import admin
from django.urls import include, path
from django.views import defaults
from django.views.generic import RedirectView

from access.admin.pages import refused_page
from config.openfeature_manifest import Manifest
from config.problems import MALFORMED, UNFORESEEN, or_page

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/login/", include("access.admin.second_step")),
    path("admin/", admin.site.urls),
    path("sign-in/", include("access.admin.signing_in")),
    path("api/", include("config.api_urls")),
    path("openfeature/v0/manifest", Manifest.as_view({"get": "retrieve"})),
    path(
        "openfeature/<str:project>/<str:environment>/openfeature/v0/manifest",
        Manifest.as_view({"get": "retrieve_at"}),
    ),
]
handler400 = or_page(MALFORMED, defaults.bad_request)
handler403 = refused_page
handler500 = or_page(UNFORESEEN, defaults.server_error)
