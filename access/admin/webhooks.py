"""The webhooks and chats of a project, and the log of what was sent to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _

from access.admin.based import BasedForm
from access.admin.notifications import OwnChatForm, refused
from access.admin.pages import Page
from access.admin.sent_once import SentOnce
from access.models import Chat, Delivery, Webhook
from access.notifications import chats, delivering, webhooks
from access.notifications.kinds import FOR_RECEIVERS, KINDS
from access.notifications.wording import worded
from audit.history import OutdatedBaseError

PAGE_SIZE = 30
_KINDS = [(name, KINDS[name].purpose) for name in FOR_RECEIVERS]


def _kinds_field() -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=_("It is told when"),
        choices=_KINDS,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "cs-many"}),
        error_messages={"required": _("Choose at least one; otherwise it is never told anything.")},
    )


class WebhookForm(BasedForm):
    """Where a webhook is, and what it is told."""

    name = forms.CharField(label=_("Name"), max_length=128, help_text=_("Which program receives it."))
    url = forms.CharField(
        label=_("Address"),
        max_length=500,
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("https://, reachable from here. The ledger records its host only."),
    )
    kinds = _kinds_field()
    is_enabled = forms.BooleanField(label=_("Enabled"), required=False, initial=True)


class ProjectChatForm(OwnChatForm):
    """A chat of the project, and what it is told."""

    kinds = _kinds_field()


class RotateForm(forms.Form):
    """For how long the former secret signs too."""

    overlap = forms.TypedChoiceField(
        label=_("The present secret signs too for"),
        coerce=int,
        choices=[(0, _("no longer")), (3_600, _("an hour")), (86_400, _("a day")), (604_800, _("a week"))],
        initial=86_400,
    )


class WebhookListPage(Page):
    """All of them."""

    verb = "webhook.manage"
    template = "countersign/webhook_list.html"
    title = _("Webhooks and chats")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.show(
            webhooks=self.project.webhooks.all(),
            chats=self.project.chats.all(),
            gave_up=delivering.to_receivers_of([self.project]).filter(state=Delivery.State.GIVEN_UP).count(),
        )

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        wanted = request.POST.get("disconnect", request.POST.get("try", ""))
        chat = get_object_or_404(Chat, project=self.project, pk=wanted if wanted.isdecimal() else None)
        if "try" in request.POST:
            webhooks.try_out(self.actor, chat)
            self.say(_("A test is on its way to %s.") % chat)
            return self.go("delivery-list")
        chats.disconnect(self.actor, chat)
        self.say(_("%s is not told any more.") % chat)
        return self.go("webhook-list")


class NewWebhookPage(SentOnce, Page):
    """Connects a webhook, and shows its secret once."""

    verb = "webhook.manage"
    template = "countersign/form.html"
    title = _("New webhook")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show(WebhookForm())

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = WebhookForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        try:
            members, _base = form.based("")
            row, secret = webhooks.create_webhook(self.actor, self.project, members)
        except ValidationError as error:
            refused(form, error)
            return self._show(form, 422)
        return self.show("countersign/webhook_secret.html", title=row.name, row=row, secret=secret)

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Connect"), back_name="webhook-list")


class NewChatPage(Page):
    """Connects a chat."""

    verb = "webhook.manage"
    template = "countersign/form.html"
    title = _("New chat")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show(ProjectChatForm())

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = ProjectChatForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        try:
            row = chats.connect_of_project(self.actor, self.project, **form.cleaned_data)
        except ValidationError as error:
            refused(form, error)
            return self._show(form, 422)
        self.say(_("%s is connected. Send a test to see that it arrives.") % row)
        return self.go("webhook-list")

    def _show(self, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(status=status, form=form, button=_("Connect"), back_name="webhook-list")


class WebhookPage(SentOnce, Page):
    """One webhook: changing it, its secret, a test, and taking it away."""

    verb = "webhook.manage"
    template = "countersign/webhook.html"

    def get(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = self._row(number)
        return self._show(row, WebhookForm(initial={**_standing(row), "base": row.version}))

    def post(self, request: HttpRequest, project: str, number: int) -> HttpResponse:
        row = self._row(number)
        if "delete" in request.POST:
            webhooks.delete_webhook(self.actor, row)
            self.say(_("%s is not told any more.") % row)
            return self.go("webhook-list")
        if "try" in request.POST:
            webhooks.try_out(self.actor, row)
            self.say(_("A test is on its way to %s.") % row)
            return self.go("delivery-list")
        if "rotate" in request.POST:
            rotation = RotateForm(request.POST)
            if rotation.is_valid():
                overlap = timedelta(seconds=rotation.cleaned_data["overlap"])
                secret = webhooks.rotate_secret(self.actor, row, overlap)
                return self.show("countersign/webhook_secret.html", title=row.name, row=row, secret=secret)
        form = WebhookForm(request.POST)
        if not form.is_valid():
            return self._show(row, form, 422)
        members, base = form.based(row.ledger_subject)
        try:
            webhooks.change_webhook(self.actor, row, members, base=base)
        except OutdatedBaseError as error:
            standing = self._row(number)
            return self._show(standing, form.again(error, _standing(standing)), 409)
        except ValidationError as error:
            refused(form, error)
            return self._show(row, form, 422)
        self.say(_("Saved."))
        return self.go("webhook", row.pk)

    def _row(self, number: int) -> Webhook:
        return get_object_or_404(Webhook.objects.select_related("project"), project=self.project, pk=number)

    def _show(self, row: Webhook, form: forms.Form, status: int = 200) -> HttpResponse:
        return self.show(status=status, title=row.name, row=row, form=form, rotation=RotateForm())


class DeliveryListPage(Page):
    """What was sent to webhooks and chats of the project, each with its tries; and sending it again."""

    verb = "webhook.manage"
    template = "countersign/delivery_list.html"
    title = _("Deliveries")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        rows = delivering.to_receivers_of([self.project])
        if (state := request.GET.get("state")) in Delivery.State.values:
            rows = rows.filter(state=state)
        if (webhook := request.GET.get("webhook", "")).isdecimal():
            rows = rows.filter(webhook=int(webhook))
        page = Paginator(rows.prefetch_related("log").order_by("-pk"), PAGE_SIZE).get_page(
            request.GET.get("page")
        )
        found = list(page.object_list)
        messages = worded([each.notification for each in found])
        return self.show(
            page=page,
            rows=[{"row": row, "message": message} for row, message in zip(found, messages, strict=True)],
            states=Delivery.State.choices,
            webhooks=self.project.webhooks.all(),
        )

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        wanted = request.POST.get("redeliver", "")
        row = get_object_or_404(
            delivering.to_receivers_of([self.project]), pk=wanted if wanted.isdecimal() else None
        )
        try:
            delivering.redeliver(self.actor, row)
        except delivering.RedeliveryError as error:
            self.complain(error)
        else:
            self.say(_("It is sent again, with the same id."))
        return self.go("delivery-list")


def _standing(row: Webhook) -> dict[str, Any]:
    return {name: getattr(row, name) for name in webhooks.MEMBERS}
