"""Addresses of the pages about people."""

from django.urls import path

from access.admin import erasing, people, providers, sessions

urlpatterns = [
    path("p/<str:project>/people/", people.PeoplePage.as_view(), name="people"),
    *erasing.urlpatterns,
    *providers.urlpatterns,
    path("sessions/", sessions.sessions_page, name="sessions"),
]
