"""The ledger's events that are of no project: accounts, sign-in, roles of the organisation, the ledger's own keys.

For whoever holds `audit.view` in the organisation.
"""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _

from access.admin.organisation import OrganisationPage
from access.holders import standings
from access.permissions import display_names, may_in_organisation
from audit.admin import downloads
from audit.admin.activity import Reach
from audit.admin.events import Asked, listed, one
from audit.admin.reading import TYPES, told
from audit.models import Event

_OF_PROJECTS = ("flags.", "approvals.", "distribution.v1.sdk_key")


class _OrganisationAudit(OrganisationPage):
    def may_see(self) -> bool:
        return may_in_organisation(self.actor, "audit.view", self.place.held)


class OrganisationEventListPage(_OrganisationAudit):
    """Events of the organisation, by type, actor and date."""

    template = "countersign/event_list.html"
    title = _("Audit of the organisation")

    def get(self, request: HttpRequest) -> HttpResponse:
        wanted = {name: request.GET[name][:128] for name in ("type", "actor") if request.GET.get(name)}
        rows = Event.objects.filter(project="", **wanted)
        shown, about = listed(
            request.GET, Asked(rows, bool(wanted), Reach.SPREAD if len(wanted) > 1 else Reach.INDEXED), []
        )
        holders = {each.member for each in standings(None)}
        return self.show(
            rows=told(None, shown, ()),
            types=[
                (name, label) for name, (_icon, label) in TYPES.items() if not name.startswith(_OF_PROJECTS)
            ],
            people=sorted(display_names(holders).items(), key=lambda each: each[1].lower()),
            of_organisation=True,
            # Of this page, whatever the project is that one was in.
            verbs={"audit.view"},
            **about,
        )


class OrganisationEventPage(_OrganisationAudit):
    """One of them: its permanent address."""

    template = "countersign/event.html"

    def get(self, request: HttpRequest, event: UUID) -> HttpResponse:
        row = Event.objects.filter(project="", pk=event).select_related("log").first()
        if row is None:
            raise Http404
        return self.show(of_organisation=True, verbs={"audit.view"}, **one(row, told(None, [row], ())[0]))


urlpatterns = [
    path("organisation/audit/", OrganisationEventListPage.as_view(), name="organisation-event-list"),
    path("organisation/audit/<uuid:event>/", OrganisationEventPage.as_view(), name="organisation-event"),
    path(
        "organisation/audit/<uuid:event>/proof",
        downloads.download_proof,
        {"project": ""},
        name="organisation-event-proof",
    ),
    path(
        "organisation/audit/<uuid:event>/line",
        downloads.download_line,
        {"project": ""},
        name="organisation-event-line",
    ),
]
