"""Addresses of the ledger's pages and of the downloads of compliance staff.

A module of this package that brings pages has `urlpatterns`; add them here. The site asks for sign-in.
"""

from django.urls import path

from audit.admin import downloads, events, exports, organisation

urlpatterns = [
    path("audit/", events.audit, name="audit"),
    *downloads.urlpatterns,
    *exports.urlpatterns,
    *organisation.urlpatterns,
    path("p/<str:project>/audit/", events.EventListPage.as_view(), name="event-list"),
    path("p/<str:project>/audit/<uuid:event>/", events.EventPage.as_view(), name="event"),
]
