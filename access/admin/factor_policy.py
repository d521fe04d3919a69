"""What the organisation asks of second factors, and resetting those of somebody who lost them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _

from access.admin.based import BasedForm
from access.admin.organisation import OrganisationPage
from access.admin.people import role_names
from access.models import User
from access.roles import VERBS, Fresh, OrganisationRole
from access.signin import factors
from access.signin.factor_policy import factor_policy, set_factor_policy
from audit.history import OutdatedBaseError, version_of


class FactorPolicyForm(BasedForm):
    """The members of the policy."""

    roles = forms.MultipleChoiceField(
        label=_("Roles that need a second factor"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "Such a role gives nothing to people without one: they are led to set one up. Approvals that they gave do "
            "not count meanwhile. Service accounts have none and are not asked."
        ),
    )
    fresh_minutes = forms.IntegerField(
        label=_("Ask again after, in minutes"),
        min_value=0,
        max_value=1440,
        help_text=_(
            "For what is listed beside this, the second factor has to be shown as lately; 15 is usual. Whoever has "
            "none is refused. 0: it is not asked for."
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["roles"]
        assert isinstance(field, forms.MultipleChoiceField)
        standing = factor_policy().document["roles"]
        organisation = {role: role.label for role in OrganisationRole}
        field.choices = list(({each: each for each in standing} | role_names() | organisation).items())


class FactorPolicyPage(OrganisationPage):
    """Shows and changes the policy."""

    verb = "organisation.manage"
    template = "countersign/factor_policy.html"
    title = _("Second factors")

    def get(self, request: HttpRequest) -> HttpResponse:
        base = version_of(factor_policy())
        return self._show(FactorPolicyForm(initial={**factor_policy().document, "base": base}))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = FactorPolicyForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        members, base = form.based(factor_policy().ledger_subject)
        try:
            set_factor_policy(self.actor, members, base=base)
        except ValidationError as error:
            form.add_error(None, error)
            return self._show(form, 422)
        except OutdatedBaseError as error:
            return self._show(form.again(error, factor_policy().document), 409)
        self.say(_("Saved. It holds at once, also for whoever is signed in."))
        return redirect("admin:factor-policy")

    def _show(self, form: FactorPolicyForm, status: int = 200) -> HttpResponse:
        asked = [(name, verb) for name, verb in VERBS.items() if verb.fresh is not Fresh.NEVER]
        return self.show(
            status=status,
            form=form,
            asked=[
                {"name": name, "purpose": verb.purpose, "is_protected": verb.fresh is Fresh.PROTECTED}
                for name, verb in asked
            ],
        )


class FactorResetPage(OrganisationPage):
    """Removes somebody's second factors."""

    verb = "factor.reset"
    template = "countersign/organisation_form.html"

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        person = get_object_or_404(User, pk=number)
        return self.show(
            title=_("Reset the second factors of %s") % person,
            intro=_(
                "Be sure that it is them who asks, by voice or in person: whoever has their password sets up a "
                "new second factor then. All of theirs go, their sessions end, they get a mail, and the ledger says "
                "that you did it."
            ),
            form=forms.Form(),
            button=_("Reset second factors"),
            back="admin:account-list",
        )

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        person = get_object_or_404(User, pk=number)
        factors.reset(self.actor, person)
        self.say(_("Second factors of %s removed. They set up new ones when they sign in.") % person)
        return redirect("admin:account", number)


urlpatterns = [
    path("second-factors/", FactorPolicyPage.as_view(), name="factor-policy"),
    path("accounts/<int:number>/second-factors/", FactorResetPage.as_view(), name="factor-reset"),
]
