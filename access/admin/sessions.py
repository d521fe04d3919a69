"""Where one is signed in, and ending that; organisation administrators, for everybody."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from access import grants
from access.admin.pages import shown
from access.admin.place import place_of
from access.models import User
from access.permissions import ForbiddenError, may_in_organisation, request_actor
from access.signin.sessions import end_sessions, sessions_of
from audit.actor import Actor


class WhoForm(forms.Form):
    """Somebody else."""

    who = forms.CharField(
        label=_("User name or e-mail address"),
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


def sessions_page(request: HttpRequest) -> HttpResponse:
    """One's own sessions; with `who`, somebody else's."""
    actor = request_actor(request)
    manages = may_in_organisation(actor, "organisation.manage")
    form = WhoForm(request.GET if "who" in request.GET else None)
    try:
        person = _person(actor, form, manages)
    except LookupError as error:
        form.add_error("who", str(error))
        person = User.objects.get(pseudonym=actor.id)
    own = person.pseudonym == actor.id
    mine = request.session.session_key or ""
    if request.method == "POST":
        number = request.POST.get("end", "")
        try:
            ended = end_sessions(
                actor, person, only=int(number) if number.isdecimal() else None, but=mine if own else ""
            )
        except ForbiddenError as error:
            raise PermissionDenied(str(error)) from error
        messages.success(request, _("Ended: %s.") % ended)
        return redirect(
            reverse("admin:sessions") + ("" if own else f"?{urlencode({'who': person.pseudonym})}")
        )
    place = place_of(request)
    return shown(
        request,
        "countersign/sessions.html",
        {
            "place": place,
            "project": place.project,
            "title": _("Your sessions") if own else _("Sessions of %s") % person,
            "person": person,
            "own": own,
            "sessions": [{"row": row, "is_this": row.session_key == mine} for row in sessions_of(person)],
            "form": form if manages else None,
        },
        status=422 if form.errors else 200,
    )


def _person(actor: Actor, form: WhoForm, manages: bool) -> User:
    """Whom the page is about. Raises LookupError; who has an account is no business of whoever may not manage."""
    if not form.is_bound:
        return User.objects.get(pseudonym=actor.id)
    if not manages:
        raise PermissionDenied(_("Organisation administrators see and end other people's sessions."))
    if not form.is_valid():
        raise LookupError(_("Say who."))
    person = User.objects.filter(pseudonym=grants.found(form.cleaned_data["who"].strip())).first()
    if person is None:
        raise LookupError(_("That is no person."))
    return person
