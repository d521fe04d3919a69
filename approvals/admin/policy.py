"""What changes of an environment need: approvals, a rationale, a ticket."""

from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from access.admin.based import BasedForm
from access.admin.pages import Page
from approvals import policies
from audit.history import OutdatedBaseError, version_of
from flags.models import Environment


class PolicyForm(BasedForm):
    """The members of a policy."""

    required_approvals = forms.IntegerField(
        label=_("Approvals"),
        min_value=0,
        max_value=20,
        help_text=_("By people other than the one who asks. A protected environment needs one at least."),
    )
    require_rationale = forms.BooleanField(label=_("Ask why"), required=False)
    require_ticket = forms.BooleanField(label=_("Ask for a ticket"), required=False)


class PolicyPage(Page):
    """Shows and changes an environment's policy."""

    verb = "policy.change"
    template = "countersign/form.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        environment = self._environment(key)
        base = version_of(policies.policy_of(environment))
        shown = {**policies.policy_of(environment).document, "base": base}
        return self._show(environment, PolicyForm(initial=shown))

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        environment = self._environment(key)
        form = PolicyForm(request.POST)
        if not form.is_valid():
            return self._show(environment, form, 422)
        members, base = form.based(policies.policy_of(environment).ledger_subject)
        try:
            policies.set_policy(self.actor, environment, members, base=base)
        except ValidationError as error:
            form.add_error(None, error)
            return self._show(environment, form, 422)
        except OutdatedBaseError as error:
            standing = policies.policy_of(environment).document
            return self._show(environment, form.again(error, standing), 409)
        self.say(
            _("Policy of %s changed. Open requests are held to it when they are applied.") % environment.name
        )
        return self.go("environment-list")

    def _environment(self, key: str) -> Environment:
        rows = Environment.objects.select_related("project").filter(project=self.project)
        environment: Environment = get_object_or_404(rows, key=key)
        return environment

    def _show(self, environment: Environment, form: PolicyForm, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            title=_("Policy of %s") % environment.name,
            intro=_("What a change of %s needs before it is applied.") % environment.name,
            form=form,
            button=_("Save policy"),
            back_name="environment-list",
        )
