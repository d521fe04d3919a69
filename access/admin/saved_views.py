"""Saving the filters that a page shows, and deleting what was saved; used by every page that has views."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.saved_views import SavedViewError, delete_view, normal_query, save_view, views_of

# By the page's name in `SavedView`, the name of its address.
ADDRESSES = {"flags": "flag-list", "requests": "request-list", "audit": "event-list"}


def views_shown(page: Page, name: str) -> dict[str, Any]:
    """What `countersign/saved_views.html` needs, for the page of that name in `ADDRESSES`. One query."""
    shown = normal_query(page.request.GET)
    return {
        "views_page": name,
        "views_query": shown,
        "saved_views": [(view, view.query == shown) for view in views_of(page.actor, page.project, name)],
    }


class SavedViewsPage(Page):
    """Keeps or forgets a view of one's own, and goes back to the page that it is of."""

    def post(self, request: HttpRequest, project: str, page: str) -> HttpResponse:
        if page not in ADDRESSES:
            raise Http404
        query = normal_query(request.POST.get("query", ""))
        if (number := request.POST.get("delete", "")).isdecimal() and len(number) < 10:
            delete_view(self.actor, self.project, page, int(number))
            self.say(_("The view is deleted."))
        else:
            try:
                view = save_view(self.actor, self.project, page, request.POST.get("name", ""), query)
            except SavedViewError as error:
                self.complain(error)
            else:
                self.say(_("Saved as %s. Only you see it.") % view.name)
        address = reverse(f"admin:{ADDRESSES[page]}", args=[self.project.key])
        return self.leave(f"{address}?{query}" if query else address)
