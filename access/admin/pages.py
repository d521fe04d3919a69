"""What every page of ours shares: sign-in happened, a project that exists for the actor, Unfold's shell."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.views import View
from django.views.defaults import permission_denied

from access import refusals
from access.admin.place import Place, place_of
from access.holders import who_may
from access.models import User
from access.permissions import ForbiddenError
from approvals import drafting
from audit.actor import Actor
from audit.ledger import LedgerError
from flags.models import Project


class Page(View):
    """A page about one project. `verb`: what one must hold to see it; without it, it does not exist."""

    verb = "project.view"
    template = ""
    title: Any = ""
    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.place = place_of(request)
        if self.place.project is None or self.verb not in self.place.verbs:
            raise Http404
        try:
            return super().dispatch(request, *args, **kwargs)
        except ForbiddenError as error:
            raise PermissionDenied(str(error)) from error
        except LedgerError as error:
            if request.method != "POST":
                raise
            self.complain(f"Nothing was changed. {error}")
            return self.leave(request.path)

    def leave(self, url: str) -> HttpResponse:
        """Go there; our dialog is told by a header, because a followed redirect would eat the messages."""
        if self.wants_fragment:
            return HttpResponse(status=204, headers={"X-Location": url})
        return HttpResponseRedirect(url)

    @property
    def actor(self) -> Actor:
        return self.place.actor

    @property
    def project(self) -> Project:
        assert self.place.project is not None
        return self.place.project

    def holds(self, verb: str) -> bool:
        """Whether the actor holds the verb here, without a query: for what to offer, not what to allow."""
        return verb in self.place.verbs

    @property
    def wants_fragment(self) -> bool:
        """Whether our script asked: then it wants the form alone, to show it in a dialog."""
        return self.request.headers.get("X-Requested-With") == "countersign"

    def show(self, template: str = "", *, status: int = 200, **context: Any) -> HttpResponse:
        """The template inside the shell; as a fragment, its inner part alone."""
        whole = {
            "place": self.place,
            "project": self.project,
            "verbs": self.place.verbs,
            "title": self.title,
            # For the banner, which a fragment does not have.
            "draft": SimpleLazyObject(self._draft),
            **context,
        }
        return shown(self.request, template or self.template, whole, self.wants_fragment, status)

    def _draft(self) -> drafting.Summary | None:
        return drafting.summary_of(self.actor, self.project) if self.holds("change.propose") else None

    def say(self, text: object) -> None:
        messages.success(self.request, str(text))

    def complain(self, text: object) -> None:
        messages.error(self.request, str(text))

    def go(self, name: str, *args: Any) -> HttpResponse:
        """To another page of this project."""
        return redirect(f"admin:{name}", self.project.key, *args)


def shown(
    request: HttpRequest, template: str, context: dict[str, Any], fragment: bool = False, status: int = 200
) -> HttpResponse:
    """Render inside Unfold's shell, or as the bare part for our dialog."""
    request.current_app = admin.site.name
    shell = {} if fragment else admin.site.each_context(request)
    base = "countersign/fragment.html" if fragment else "countersign/base.html"
    return render(request, template, {**shell, **context, "layout": base}, status=status)


def refused_page(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer to whoever may not, by whatever page or download; counted, and told to the ledger in sums."""
    user = getattr(request, "user", None)
    refusals.count("forbidden", user.pseudonym if isinstance(user, User) else "")
    return permission_denied(request, exception)


def holders(project: Project | None, verb: str, without: str = "") -> list[str]:
    """Names of the people who hold a verb in the project, or, without one, in the organisation: whom to ask."""
    members = {each.member for each in who_may(verb, project) if not each.waits} - {without}
    return sorted({str(user) for user in User.objects.filter(pseudonym__in=members)})


def without_project(request: HttpRequest, place: Place) -> HttpResponse:
    """What somebody sees who is in no project yet."""
    can_help = holders(None, "organisation.manage", place.actor.id)[:5]
    context = {"place": place, "title": _("Welcome"), "can_help": can_help}
    return shown(request, "countersign/home.html", context)
