"""Environments: what each asks for, serves and is read with."""

from __future__ import annotations

from typing import Any, Self

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from access.admin.based import BasedForm
from access.admin.pages import Page
from approvals import workflow
from approvals.admin.asking import WhyForm, place_error
from approvals.models import ChangeRequest
from approvals.policies import requirements, requirements_of
from approvals.workflow import ConflictError, InvalidError
from audit.history import version_of
from distribution.models import SdkKey, Snapshot
from flags import catalogue
from flags.models import Environment, validate_key
from flags.settings import SETTINGS, normal_settings


class EnvironmentListPage(Page):
    """The environments of a project, in order of promotion."""

    template = "countersign/environment_list.html"
    title = _("Environments")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        environments = list(
            self.project.environments.annotate(
                configured=Count("configurations", filter=Q(configurations__document__enabled=True))
            )
        )
        needs = requirements_of(environments)
        snapshots = Snapshot.newest(environments)
        keys: dict[int, list[SdkKey]] = {}
        for key in SdkKey.objects.filter(environment__in=environments).order_by("revoked_at", "-pk"):
            keys.setdefault(key.environment_id, []).append(key)
        rows = [
            {
                "environment": each,
                "needs": str(needs[each.pk]),
                "snapshot": snapshots.get(each.pk),
                "is_behind": each.pk not in snapshots or snapshots[each.pk]["version"] < each.revision,
                "keys": [key for key in keys.get(each.pk, []) if key.revoked_at is None],
                "revoked": [key for key in keys.get(each.pk, []) if key.revoked_at is not None],
            }
            for each in environments
        ]
        return self.show(rows=rows)


class EnvironmentForm(BasedForm):
    """An environment's settings."""

    name = forms.CharField(label=_("Name"), max_length=128)
    kind = forms.ChoiceField(label=_("Kind"), choices=Environment.Kind.choices)
    protected = forms.BooleanField(
        label=_("Protected: every change needs an approval at least"), required=False
    )
    position = forms.IntegerField(
        label=_("Order"), min_value=0, max_value=1_000, initial=0, help_text=_("Of promotion, lowest first.")
    )
    regions = forms.CharField(
        label=_("Regions"),
        required=False,
        max_length=500,
        help_text=_("Separated by commas, such as eu, us. A flag can be off in one of them."),
    )
    bucketing = forms.ChoiceField(
        label=_("Hash of new splits"),
        choices=Environment.Bucketing.choices,
        help_text=_("murmur3-cbor is for flagd clients that moved to it. Splits that stand keep theirs."),
    )

    def clean_regions(self) -> list[str]:
        names = [name.strip() for name in self.cleaned_data["regions"].split(",")]
        return list(dict.fromkeys(name for name in names if name))


class NewEnvironmentForm(EnvironmentForm):
    """The same with the key."""

    key = forms.CharField(
        label=_("Key"),
        max_length=128,
        validators=[validate_key],
        help_text=_("In addresses and DSNs; for good."),
    )
    field_order = ("key", "name")


class NewEnvironmentPage(Page):
    """Makes an environment."""

    verb = "project.administer"
    template = "countersign/form.html"
    title = _("New environment")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        position = self.project.environments.aggregate(last=Max("position"))["last"]
        return self._show(NewEnvironmentForm(initial={"position": 0 if position is None else position + 1}))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = NewEnvironmentForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        key = form.cleaned_data.pop("key")
        try:
            catalogue.create_environment(self.actor, self.project, key, form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
            return self._show(form, 422)
        except catalogue.AlreadyExistsError as error:
            form.add_error("key", str(error))
            return self._show(form, 409)
        self.say(_("Environment %s made. Next: an SDK key for the services that read it.") % key)
        return self.go("environment-list")

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Make environment"), back_name="environment-list")


class EditEnvironmentForm(EnvironmentForm, WhyForm):
    """The same with the reason."""

    def filled(self, data: Any) -> Self:
        return type(self)(data, needs=self.needs)


class EditEnvironmentPage(Page):
    """Asks for other settings of an environment: through the gate, like what it serves."""

    verb = "project.administer"
    template = "countersign/form.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        environment = self._find(key)
        base = version_of(environment)
        environment.refresh_from_db()
        shown = {**_members(environment), "regions": ", ".join(environment.regions), "base": base}
        return self._show(environment, self._form(environment, initial=shown))

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        environment = self._find(key)
        form = self._form(environment, request.POST)
        if not form.is_valid():
            return self._show(environment, form, 422)
        given, base = form.based(environment.ledger_subject)
        if normal_settings(environment, given) == environment.document:
            self.say(_("Nothing was changed: these are the settings that stand."))
            return self.go("environment-list")
        try:
            made = workflow.change(
                self.actor,
                self.project,
                [
                    {
                        "subject": environment.ledger_subject,
                        "after": {name: given[name] for name in SETTINGS},
                    }
                ],
                title=f"Settings of {environment.name}",
                base=base,
                rationale=given["rationale"],
                ticket=given["ticket"],
            )
        except InvalidError as error:
            place_error(form, error)
            return self._show(environment, form, 422)
        except ConflictError as error:
            standing = self._find(key)
            return self._show(standing, form.again(error, _members(standing)), 409)
        if made.state == ChangeRequest.State.APPLIED:
            self.say(_("%s saved.") % form.cleaned_data["name"])
            return self.go("environment-list")
        self.say(_("%s asks for review: until it is approved, nothing changes.") % made.change_id)
        return self.go("request", made.number)

    def _find(self, key: str) -> Environment:
        return get_object_or_404(Environment, project=self.project, key=key)

    def _form(self, environment: Environment, data: Any = None, **options: Any) -> EditEnvironmentForm:
        needs = requirements(self.project, [environment])
        return EditEnvironmentForm(data, needs=needs, **options)

    def _show(self, environment: Environment, form: EditEnvironmentForm, status: int = 200) -> HttpResponse:
        asks = form.needs.approvals
        return self.show(
            status=status,
            title=_("Edit %s") % environment.name,
            intro=_("Changing the settings of %(name)s needs %(needs)s.")
            % {"name": environment.name, "needs": form.needs}
            if asks
            else "",
            form=form,
            button=_("Ask for review") if asks else _("Save environment"),
            back_name="environment-list",
        )


def _members(environment: Environment) -> dict[str, Any]:
    return {name: getattr(environment, name) for name in SETTINGS}
