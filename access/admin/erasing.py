"""Erasing a person: what it will do in numbers, then, once their user name is typed, doing it."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _

from access import erasure
from access.admin.pages import shown
from access.admin.place import place_of
from access.erasure import ErasureError
from access.models import User
from access.permissions import ForbiddenError, request_actor
from approvals.models import ChangeRequest


class ErasureForm(forms.Form):
    """The user name, typed: nothing brings a person back."""

    username = forms.CharField(
        label=_("Their user name"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Type it to confirm. This cannot be undone."),
    )

    def __init__(self, *args: object, person: User) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._person = person

    def clean_username(self) -> str:
        typed = str(self.cleaned_data["username"]).strip()
        if typed != self._person.username:
            raise forms.ValidationError(_("This is not their user name; nothing was erased."))
        return typed


def erase_person(request: HttpRequest, number: int) -> HttpResponse:
    """The page, for organisation administrators."""
    actor = request_actor(request)
    try:
        erasure.require_eraser(actor, reading=True)
    except ForbiddenError as error:
        raise PermissionDenied(str(error)) from error
    person = get_object_or_404(User, pk=number)
    form = ErasureForm(*((request.POST,) if request.method == "POST" else ()), person=person)
    if form.is_valid():
        acting = User.objects.get(pseudonym=actor.id)
        try:
            done = erasure.erase(actor, person, successor=acting)
        except ErasureError as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request,
                _("Erased: %(count)s disclosures in the ledger, roles, tokens, and the account's content.")
                % {"count": done.disclosures},
            )
            return redirect("admin:account-list")
    place = place_of(request)
    requests = ChangeRequest.objects.filter(proposer=person.pseudonym, state__in=ChangeRequest.OPEN)
    return shown(
        request,
        "countersign/erase_person.html",
        {
            "place": place,
            "project": place.project,
            "title": _("Erase %s") % person,
            "person": person,
            "form": form,
            "erasure": erasure.examine(actor, person),
            "open_requests": requests.count(),
            "is_self": person.pseudonym == actor.id,
        },
        status=422 if form.is_bound else 200,
    )


urlpatterns = [path("accounts/<int:number>/erase/", erase_person, name="person-erase")]
