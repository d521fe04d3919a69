"""Which identities at providers sign in as an account: one's own, and for administrators anybody's."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from requests import RequestException

from access.admin.organisation import OrganisationPage
from access.admin.scoped import CODE
from access.admin.signing_in import gone_to
from access.grants import LastAdministratorError
from access.models import IdentityProvider, User
from access.signin import linking
from access.signin.adapters import explained, logger
from access.signin.linking import LinkError
from access.signin.openid import Provider
from access.signin.sessions import is_fresh
from access.signin.taking_back import given_by


class LinkForm(forms.Form):
    """An identity, as the provider's administrators know it."""

    provider = forms.ModelChoiceField(
        label=_("Provider"), queryset=IdentityProvider.objects.all(), to_field_name="key"
    )
    subject = forms.CharField(
        label=_("Subject"),
        max_length=191,
        widget=forms.TextInput(attrs=CODE),
        help_text=_("What the provider gives as sub for this person: not a name or an address."),
    )


class IdentitiesPage(OrganisationPage):
    """What both pages share."""

    template = "countersign/identities.html"

    def unlink(self, person: User) -> None:
        """Unlink the provider that the form names, and say so, or why not."""
        provider = get_object_or_404(IdentityProvider, key=self.request.POST["unlink"])
        try:
            linking.unlink(self.actor, person, provider)
        except (LinkError, LastAdministratorError) as error:
            self.complain(error)
        else:
            self.say(_("Unlinked from %s; what its groups gave is taken back.") % provider)

    def shown(self, person: User, *, own: bool, status: int = 200, **context: Any) -> HttpResponse:
        """The page about somebody's identities."""
        subjects = dict(SocialAccount.objects.filter(user=person).values_list("provider", "uid"))
        linked = [
            {
                "provider": row,
                "subject": subjects[row.key],
                "held": next(each for each in given_by(row).people if each.member == person.pseudonym),
            }
            for row in IdentityProvider.objects.filter(key__in=subjects)
        ]
        return self.show(status=status, person=person, own=own, linked=linked, **context)


class OwnIdentitiesPage(IdentitiesPage):
    """One's own. Linking and unlinking ask for a fresh sign-in here; linking also for one at the provider."""

    title = _("How you sign in")

    def may_see(self) -> bool:
        return True

    def get(self, request: HttpRequest) -> HttpResponse:
        person = User.objects.get(pseudonym=self.actor.id)
        linked = SocialAccount.objects.filter(user=person).values("provider")
        return self.shown(
            person,
            own=True,
            fresh=is_fresh(request, linking.FRESH),
            offered=IdentityProvider.objects.filter(is_enabled=True).exclude(key__in=linked),
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        if not is_fresh(request, linking.FRESH):
            self.complain(_("Sign in again first: your sign-in was more than ten minutes ago."))
        elif "unlink" in request.POST:
            self.unlink(User.objects.get(pseudonym=self.actor.id))
        else:
            row = get_object_or_404(IdentityProvider, key=request.POST.get("link", ""), is_enabled=True)
            try:
                return gone_to(request, row, Provider(request, row).redirect_to_link(request, self.actor.id))
            except (OAuth2Error, RequestException) as error:
                logger.warning("Linking to %s failed: %s", row.key, error)
                self.complain(explained(row, None, error))
        return redirect("admin:identities")


class AccountIdentitiesPage(IdentitiesPage):
    """Somebody's, for administrators."""

    verb = "account.manage"

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        return self._show(get_object_or_404(User, pk=number), LinkForm())

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        person = get_object_or_404(User, pk=number)
        form = LinkForm()
        if "unlink" in request.POST:
            self.unlink(person)
            return redirect("admin:account-identities", number)
        form = LinkForm(request.POST)
        if not form.is_valid():
            return self._show(person, form, 422)
        given = form.cleaned_data
        try:
            linking.link(self.actor, person, given["provider"], given["subject"])
        except LinkError as error:
            form.add_error(None, str(error))
            return self._show(person, form, 409)
        self.say(_("Linked: this identity of %s signs in as them.") % given["provider"])
        return redirect("admin:account-identities", number)

    def _show(self, person: User, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.shown(
            person,
            own=False,
            status=status,
            title=_("How %s signs in") % person,
            form=form if IdentityProvider.objects.exists() else None,
            back=reverse("admin:account", args=[person.pk]),
        )


urlpatterns = [
    path("identities/", OwnIdentitiesPage.as_view(), name="identities"),
    path("accounts/<int:number>/identities/", AccountIdentitiesPage.as_view(), name="account-identities"),
]
