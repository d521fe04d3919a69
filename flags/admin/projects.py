"""Projects: making one, and its settings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.views import View

from access.admin.based import BasedForm
from access.admin.pages import Page, shown
from access.admin.place import place_of
from audit.history import OutdatedBaseError, version_of
from flags import catalogue
from flags.models import Project, validate_key, validate_pattern, validate_ticket_url


class ProjectForm(forms.Form):
    """A new project."""

    name = forms.CharField(label=_("Name"), max_length=128)
    key = forms.CharField(
        label=_("Key"),
        max_length=128,
        validators=[validate_key],
        help_text=_("In addresses and DSNs; for good."),
    )
    flag_key_pattern = forms.CharField(
        label=_("Pattern for flag keys"),
        max_length=128,
        required=False,
        validators=[validate_pattern],
        help_text=_("A regular expression that new flags' keys match, such as [a-z0-9-]+. Empty: any key."),
    )


class ProjectSettingsForm(BasedForm):
    """A project's settings."""

    name = forms.CharField(label=_("Name"), max_length=128)
    flag_key_pattern = ProjectForm.base_fields["flag_key_pattern"]
    ticket_pattern = forms.CharField(
        label=_("Pattern for tickets"),
        max_length=128,
        required=False,
        validators=[validate_pattern],
        help_text=_("A regular expression that tickets match, such as SHOP-[0-9]+. Empty: any text."),
    )
    ticket_url = forms.CharField(
        label=_("Where a ticket is found"),
        max_length=200,
        required=False,
        validators=[validate_ticket_url],
        help_text=_("An address with {ticket} in it. Requests then link their tickets."),
    )


class ProjectSettingsPage(Page):
    """Changes a project's settings."""

    verb = "project.administer"
    template = "countersign/form.html"
    title = _("Project settings")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        base = version_of(self.project)
        return self._show(ProjectSettingsForm(initial={**self._standing(), "base": base}))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = ProjectSettingsForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        members, base = form.based(self.project.ledger_subject)
        try:
            catalogue.save_project(self.actor, self.project, members, base=base)
        except OutdatedBaseError as error:
            return self._show(form.again(error, self._standing()), 409)
        self.say(_("Saved."))
        return self.go("project-settings")

    def _standing(self) -> dict[str, Any]:
        row = Project.objects.get(pk=self.project.pk)
        names = ("name", "flag_key_pattern", "ticket_pattern", "ticket_url")
        return {name: getattr(row, name) for name in names}

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Save settings"), back_name="environment-list")


class NewProjectPage(View):
    """For whoever may make projects: nobody has a role in a project that does not exist yet."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "project.create" not in place_of(request).verbs:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(request, ProjectForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = ProjectForm(request.POST)
        if not form.is_valid():
            return self._show(request, form, 422)
        try:
            project: Project = catalogue.create_project(place_of(request).actor, **form.cleaned_data)
        except catalogue.AlreadyExistsError as error:
            form.add_error("key", str(error))
            return self._show(request, form, 422)
        except ValidationError as error:
            form.add_error(None, error)
            return self._show(request, form, 422)
        messages.success(request, _("Project %s made. Next: its environments.") % project.name)
        return redirect("admin:environment-list", project.key)

    def _show(self, request: HttpRequest, form: ProjectForm, status: int = 200) -> HttpResponse:
        context = {
            "place": place_of(request),
            "title": _("New project"),
            "form": form,
            "button": _("Make project"),
        }
        return shown(request, "countersign/form.html", context, status=status)
