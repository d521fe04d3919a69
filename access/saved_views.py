"""Saved views: filters of a page under a name, for oneself."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from access.models import SavedView, User
from access.permissions import require
from audit.actor import Actor

# The pages that have filters to save.
PAGES = ("flags", "requests", "audit")
MOST = 20
LONGEST_NAME, LONGEST_QUERY = 60, 2_000
# Which page of the list one is on is no filter.
_PASSING = ("page", "csrfmiddlewaretoken")


class SavedViewError(ValueError):
    """This cannot be saved; the text says why and what to do."""


def views_of(actor: Actor, project: Any, page: str) -> QuerySet[SavedView]:
    """The person's own views of a page."""
    return SavedView.objects.filter(person__pseudonym=actor.id, project=project, page=page)


def save_view(actor: Actor, project: Any, page: str, name: str, query: str) -> SavedView:
    """Keep a query string under a name; the same name again replaces. Raises `SavedViewError`."""
    require(actor, "project.view", project)
    name, query = " ".join(name.split()), normal_query(query)
    if page not in PAGES:
        raise SavedViewError(f"There is no page {page!r} with views.")
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise SavedViewError(f"Give the view a name of at most {LONGEST_NAME} characters.")
    if not query:
        raise SavedViewError("Filter something first; then save that as a view.")
    if len(query) > LONGEST_QUERY:
        raise SavedViewError("These filters are too long to save; use fewer.")
    mine = views_of(actor, project, page)
    if not mine.filter(name=name).exists() and mine.count() >= MOST:
        raise SavedViewError(f"You have {MOST} views of this page; delete one first.")
    me = User.objects.get(pseudonym=actor.id)
    row, _is_new = SavedView.objects.update_or_create(
        person=me, project=project, page=page, name=name, defaults={"query": query}
    )
    return row


def delete_view(actor: Actor, project: Any, page: str, number: int) -> None:
    """Delete one of one's own; one that is not there is deleted already."""
    require(actor, "project.view", project)
    views_of(actor, project, page).filter(pk=number).delete()


def normal_query(query: str | QueryDict) -> str:
    """The filters of a query string alone, in one order, so that a view knows when it is the one shown."""
    read = QueryDict(query.lstrip("?")[: LONGEST_QUERY * 2]) if isinstance(query, str) else query
    kept = QueryDict(mutable=True)
    for name, values in sorted(read.lists()):
        wanted = sorted(str(value) for value in values if value)
        if wanted and name not in _PASSING:
            kept.setlist(name, wanted)
    return kept.urlencode()
