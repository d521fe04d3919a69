"""Django's part of the URL space; `/sdk/`, `/ofrep/`, `/livez` and `/readyz` are answered before it."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/", include("config.api_urls")),
]
