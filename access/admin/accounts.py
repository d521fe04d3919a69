"""Accounts of the installation: people, whether they may sign in, and passwords. Roles are given elsewhere.

An account that acted is named in the ledger for ever, so nobody is deleted here: an account is made inactive,
or its person erased; then only the pseudonym is left.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _

from access import accounts
from access.accounts import PERSONAL, ErasedError
from access.admin.organisation import OrganisationPage
from access.grants import LastAdministratorError
from access.models import ApiToken, Membership, Team, User
from access.signin.factors import kinds_of

# Roles are memberships; Django's groups mean nothing here.
admin.site.unregister(Group)


class PasswordForm(forms.Form):
    """A password, twice; whether it is easily guessed, the verb says."""

    password1 = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Tell them another way than by mail, and to change it when they sign in."),
    )
    password2 = forms.CharField(
        label=_("The same again"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if "password1" in given and given.get("password2") != given["password1"]:
            self.add_error("password2", _("The two are not the same."))
        return given


class PersonForm(forms.ModelForm):
    """What is known of a person."""

    class Meta:
        model = User
        fields: tuple[str, ...] = PERSONAL

    @property
    def personal(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in PERSONAL}


class NewAccountForm(PasswordForm, PersonForm):
    """A person and their first password."""

    field_order = (*PERSONAL, "password1", "password2")


class AccountForm(PersonForm):
    """A person, and what their account may do by itself."""

    is_active = forms.BooleanField(
        label=_("Active"),
        required=False,
        help_text=_("An inactive account does not sign in, and its approvals stop counting."),
    )
    is_superuser = forms.BooleanField(
        label=_("Superuser"),
        required=False,
        help_text=_(
            "Administers the organisation whatever its roles say. A role of the organisation is better."
        ),
    )

    class Meta(PersonForm.Meta):
        fields = (*PERSONAL, "is_active", "is_superuser")


class AccountListPage(OrganisationPage):
    """All accounts, by user name."""

    verb = "account.manage"
    template = "countersign/account_list.html"
    title = _("Accounts")

    def get(self, request: HttpRequest) -> HttpResponse:
        words = request.GET.get("q", "").replace("\x00", "")
        page = Paginator(accounts.search(words), 50).get_page(request.GET.get("page"))
        return self.show(page=page, words=words)


class NewAccountPage(OrganisationPage):
    """Makes an account."""

    verb = "account.manage"
    template = "countersign/organisation_form.html"
    title = _("New account")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(NewAccountForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = NewAccountForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        try:
            made = accounts.create_account(self.actor, form.cleaned_data["password1"], **form.personal)
        except ValidationError as error:
            form.add_error("password1", error.messages)
            return self._show(form, 422)
        self.say(_("Account %s made. Next: a role, on the People page of a project, or a team.") % made)
        return redirect("admin:account", made.pk)

    def _show(self, form: forms.BaseForm, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Make account"), back="admin:account-list")


class AccountPage(OrganisationPage):
    """Changes what is known of a person and the account's standing."""

    verb = "account.manage"
    template = "countersign/account.html"

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        user = get_object_or_404(User, pk=number)
        return self._show(user, AccountForm(instance=user))

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        user = get_object_or_404(User, pk=number)
        form = AccountForm(request.POST, instance=get_object_or_404(User, pk=number))
        if not form.is_valid():
            return self._show(user, form, 422)
        given = form.cleaned_data
        try:
            accounts.change_account(
                self.actor,
                user,
                is_active=given["is_active"],
                is_superuser=given["is_superuser"],
                personal=form.personal,
            )
        except (LastAdministratorError, ErasedError) as error:
            form.add_error(None, str(error))
            return self._show(user, form, 409)
        self.say(_("Account saved."))
        return redirect("admin:account", number)

    def _show(self, user: User, form: forms.BaseForm, status: int = 200) -> HttpResponse:
        teams = Team.objects.filter(members__member=user.pseudonym)
        return self.show(
            status=status,
            title=str(user),
            person=user,
            form=form,
            roles=Membership.objects.filter(member=user.pseudonym).count(),
            teams=teams,
            factors=kinds_of(user),
            is_self=user.pseudonym == self.actor.id,
            tokens=ApiToken.objects.filter(user=user, revoked_at=None).count(),
        )


class AccountPasswordPage(OrganisationPage):
    """Sets somebody's password."""

    verb = "account.manage"
    template = "countersign/organisation_form.html"

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        return self._show(get_object_or_404(User, pk=number), PasswordForm())

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        user = get_object_or_404(User, pk=number)
        form = PasswordForm(request.POST)
        if not form.is_valid():
            return self._show(user, form, 422)
        try:
            accounts.set_password(self.actor, user, form.cleaned_data["password1"])
        except ValidationError as error:
            form.add_error("password1", error.messages)
            return self._show(user, form, 422)
        except ErasedError as error:
            form.add_error(None, str(error))
            return self._show(user, form, 409)
        self.say(_("Password of %s set; their sessions have ended, and their API tokens are revoked.") % user)
        return redirect("admin:account", number)

    def _show(self, user: User, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            title=_("Set the password of %s") % user,
            intro=_(
                "Whoever knows it can act as them, so the ledger says that you set it. Their sessions end at once, and "
                "their API tokens are revoked."
            ),
            form=form,
            button=_("Set password"),
            back="admin:account-list",
        )


urlpatterns = [
    path("accounts/", AccountListPage.as_view(), name="account-list"),
    path("accounts/new/", NewAccountPage.as_view(), name="account-new"),
    path("accounts/<int:number>/", AccountPage.as_view(), name="account"),
    path("accounts/<int:number>/password/", AccountPasswordPage.as_view(), name="account-password"),
]
