"""What one was told, and what one wants to be told of: everybody's own pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext_lazy as _

from access.admin.organisation import OrganisationPage
from access.models import Chat, User
from access.notifications import chats, choices, inbox, webhooks
from access.notifications.addresses import FIXED, HOSTED
from access.notifications.kinds import KINDS, PERSONAL
from access.notifications.wording import worded

PAGE_SIZE = 30


class OwnChatForm(forms.Form):
    """A chat of one's own."""

    name = forms.CharField(label=_("Name"), max_length=128, help_text=_("Such as: my Slack channel."))
    url = forms.CharField(
        label=_("Address"),
        max_length=500,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_(
            "As apprise writes it, such as slack://… or https://hooks.slack.com/services/…; known are %s. It is stored "
            "encrypted and not shown again."
        )
        % ", ".join((*FIXED, *HOSTED)),
    )


class _OwnPage(OrganisationPage):
    """A page about whoever looks."""

    def may_see(self) -> bool:
        return True

    @property
    def person(self) -> User:
        return User.objects.get(pseudonym=self.actor.id)


class NotificationListPage(_OwnPage):
    """What one was told, newest first. Going to what it is about marks it as read."""

    template = "countersign/notification_list.html"
    title = _("Notifications")

    def get(self, request: HttpRequest) -> HttpResponse:
        rows = inbox.inbox(self.actor).select_related("notification__project")
        which = "unread" if request.GET.get("which") == "unread" else "all"
        if which == "unread":
            rows = rows.filter(read_at=None)
        page = Paginator(rows.order_by("-pk"), PAGE_SIZE).get_page(request.GET.get("page"))
        found = list(page.object_list)
        messages = worded([each.notification for each in found])
        return self.show(
            page=page,
            rows=[{"row": row, "message": message} for row, message in zip(found, messages, strict=True)],
            which=which,
            tabs=(("all", _("All")), ("unread", _("Unread"))),
            has_unread=any(each.read_at is None for each in found) or inbox.unread(self.actor, 1) > 0,
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        if "all" in request.POST:
            inbox.mark_read(self.actor)
            return redirect("admin:notification-list")
        wanted = request.POST.get("open", request.POST.get("read", ""))
        rows = inbox.inbox(self.actor).select_related("notification")
        row = get_object_or_404(rows, pk=wanted if wanted.isdecimal() else None)
        inbox.mark_read(self.actor, [row.pk])
        if "open" in request.POST and row.notification.link:
            return redirect(row.notification.link)
        return redirect("admin:notification-list")


class NotificationSettingsPage(_OwnPage):
    """What one is told of by which channel, and one's own chats."""

    template = "countersign/notification_settings.html"
    title = _("Notification settings")

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(OwnChatForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        person = self.person
        if "connect" in request.POST:
            form = OwnChatForm(request.POST)
            if not form.is_valid() or not _connected(person, form):
                return self._show(form, 422)
            self.say(_("Connected. Send a test to see that it arrives."))
        elif "disconnect" in request.POST or "try" in request.POST:
            wanted = request.POST.get("disconnect", request.POST.get("try", ""))
            chat = get_object_or_404(Chat, person=person, pk=wanted if wanted.isdecimal() else None)
            if "try" in request.POST:
                webhooks.try_out(self.actor, chat)
                self.say(_("A test is on its way to %s.") % chat)
            else:
                chats.disconnect(self.actor, chat)
                self.say(_("%s is not told any more.") % chat)
        else:
            chosen = set(request.POST.getlist("wanted"))
            choices.choose(
                person,
                {kind: {each: f"{kind}:{each}" in chosen for each in PERSONAL} for kind in KINDS},
            )
            self.say(_("Saved."))
        return redirect("admin:notification-settings")

    def _show(self, form: OwnChatForm, status: int = 200) -> HttpResponse:
        person = self.person
        standing = choices.choices_of(person)
        return self.show(
            status=status,
            form=form,
            channels=[(each.value, each.label) for each in PERSONAL],
            rows=[
                {
                    "key": name,
                    "purpose": kind.purpose,
                    "audience": kind.audience,
                    "wanted": [(each, each.label, standing[name][each]) for each in PERSONAL],
                }
                for name, kind in KINDS.items()
            ],
            chats=[
                {"row": chat, "last": chat.deliveries.order_by("-pk").first()} for chat in person.chats.all()
            ],
            person=person,
        )


def _connected(person: User, form: Any) -> bool:
    try:
        chats.connect_own(person, form.cleaned_data["name"], form.cleaned_data["url"])
    except ValidationError as error:
        refused(form, error)
        return False
    return True


def refused(form: forms.Form, error: ValidationError) -> None:
    """What a verb found wrong, beside the fields that it names."""
    for name, reasons in error.message_dict.items():
        for reason in reasons:
            form.add_error(name if name in form.fields else None, reason)
