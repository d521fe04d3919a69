"""What pages about the whole installation share, and who holds roles of the organisation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _
from django.views import View

from access import grants
from access.admin.member import Who
from access.admin.pages import shown
from access.admin.place import place_of
from access.grants import LastAdministratorError
from access.models import OrganisationMembership, Team, User
from access.permissions import ForbiddenError, display_names
from access.roles import PURPOSES, OrganisationRole
from audit.actor import Actor
from audit.ledger import LedgerError


class OrganisationPage(View):
    """A page about the installation. `verb`: what one must hold to see it; without it, it does not exist."""

    verb = ""
    template = ""
    title: Any = ""
    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.place = place_of(request)
        if not self.may_see():
            raise Http404
        try:
            return super().dispatch(request, *args, **kwargs)
        except ForbiddenError as error:
            raise PermissionDenied(str(error)) from error
        except LedgerError as error:
            if request.method != "POST":
                raise
            self.complain(_("Nothing was changed. %s") % error)
            return redirect(request.path)

    def may_see(self) -> bool:
        """Whether this page exists for whoever looks."""
        return self.verb in self.place.verbs

    @property
    def actor(self) -> Actor:
        return self.place.actor

    def show(self, template: str = "", *, status: int = 200, **context: Any) -> HttpResponse:
        """The template inside the shell."""
        whole = {
            "place": self.place,
            "project": self.place.project,
            "verbs": self.place.verbs,
            "title": self.title,
            **context,
        }
        return shown(self.request, template or self.template, whole, status=status)

    def say(self, text: object) -> None:
        messages.success(self.request, str(text))

    def complain(self, text: object) -> None:
        messages.error(self.request, str(text))


class ListPage(OrganisationPage):
    """A list of things of the installation. `new`: the page that makes one, and what its button says."""

    columns: tuple[Any, ...] = ()
    icon = ""
    new: tuple[str, Any]

    def may_make(self) -> bool:
        return True

    def show_rows(self, rows: Any, **context: Any) -> HttpResponse:
        """The list; without rows, what to do first."""
        page, label = self.new
        new = {"page": f"admin:{page}", "label": label} if self.may_make() else None
        return self.show(rows=rows, columns=self.columns, icon=self.icon, new=new, **context)


class AppointForm(forms.Form):
    """Somebody, and a role of the organisation for them."""

    who = Who(label=_("Person or team"))
    role = forms.ChoiceField(
        label=_("Role"), choices=OrganisationRole.choices, initial=OrganisationRole.ORGANISATION_AUDITOR
    )


class OrganisationRolesPage(OrganisationPage):
    """Who administers and audits the installation."""

    verb = "organisation.manage"
    template = "countersign/organisation_roles.html"
    title = _("Organisation roles")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(AppointForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        if "dismiss" in request.POST:
            wanted = request.POST["dismiss"]
            row = get_object_or_404(OrganisationMembership, pk=wanted if wanted.isdecimal() else None)
            try:
                grants.dismiss(self.actor, row)
            except LastAdministratorError as error:
                self.complain(error)
            else:
                self.say(_("Role taken away: %s.") % row.get_role_display())
            return redirect("admin:organisation-roles")
        form = AppointForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        row = grants.appoint(self.actor, form.cleaned_data["who"], form.cleaned_data["role"])
        name = display_names({row.member})[row.member]
        self.say(_("%(who)s is now %(role)s.") % {"who": name, "role": row.get_role_display()})
        return redirect("admin:organisation-roles")

    def _show(self, form: AppointForm, status: int = 200) -> HttpResponse:
        rows = list(OrganisationMembership.objects.order_by("role", "member"))
        names = display_names({row.member for row in rows})
        teams = Team.objects.filter(pseudonym__in=names).annotate(people=Count("members"))
        sizes = dict(teams.values_list("pseudonym", "people"))
        return self.show(
            status=status,
            form=form,
            rows=[
                {"row": row, "name": names[row.member], "people": sizes.get(row.member)}
                for row in sorted(rows, key=lambda row: (row.role, names[row.member].lower()))
            ],
            superusers=User.objects.filter(is_superuser=True, is_active=True).order_by("username"),
            roles=[{"label": role.label, "purpose": PURPOSES[role]} for role in OrganisationRole],
        )
