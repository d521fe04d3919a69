"""A project's webhooks over HTTP, and the log of what was sent to them and to its chats."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Key, Text, Truth, Whole
from access.api.endpoint import Endpoint
from access.models import Attempt, Delivery, Webhook
from access.notifications import delivering, webhooks
from access.permissions import require


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    """Where a project's notifications are sent."""

    project = serializers.CharField(source="project.key")
    kinds = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Webhook
        fields: tuple[str, ...] = (
            "id",
            "project",
            "name",
            "url",
            "kinds",
            "is_enabled",
            "version",
            "former_until",
            "created_at",
        )
        extra_kwargs = {
            "version": {"help_text": "Of these settings: the base of a change of them."},
            "former_until": {"help_text": "Until when the former secret signs too."},
        }


class NewWebhookSerializer(WebhookSerializer):
    """A webhook with its secret, which cannot be had again."""

    secret = serializers.SerializerMethodField(
        help_text="Keep it now. Null where an `Idempotency-Key` is answered again."
    )

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")

    def get_secret(self, row: Webhook) -> str | None:
        return str(self.context["secret"])


def _kinds(**options: Any) -> serializers.ListField:
    return serializers.ListField(
        child=Text(max_length=64),
        max_length=100,
        help_text="What it is told; see `notification-settings`.",
        **options,
    )


class WebhookBody(Body):
    """A webhook to connect."""

    project = Key()
    name = Text(max_length=128, help_text="Which program receives it.")
    url = Text(max_length=500, help_text="https://, public. The ledger records its host only.")
    kinds = _kinds()
    is_enabled = Truth(required=False)


class WebhookChange(Body):
    """Members that are left out stay as they stand."""

    name = Text(max_length=128, required=False)
    url = Text(max_length=500, required=False)
    kinds = _kinds(required=False)
    is_enabled = Truth(required=False)
    base = Whole(required=False, min_value=0, help_text="The `version` that you saw; without it, 409.")


class WebhookRotation(Body):
    """How one secret takes the place of another."""

    overlap = Whole(
        min_value=0,
        max_value=int(webhooks.LONGEST_OVERLAP.total_seconds()),
        help_text="Seconds for which the former one signs too.",
    )


class Webhooks(Endpoint):
    """Webhooks, signed as Standard Webhooks has it. Who may not manage a project's sees none of them."""

    shown_once = ("secret",)

    @extend_schema(responses=WebhookSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Those of the projects in which you manage them."""
        self.filters(request)
        rows = Webhook.objects.filter(project__in=self.visible(request, "webhook.manage"))
        return self.page(request, rows.select_related("project"), WebhookSerializer)

    @extend_schema(
        request=WebhookBody,
        responses={201: NewWebhookSerializer},
        examples=[
            OpenApiExample(
                "An incident tool",
                {
                    "project": "shop",
                    "name": "incidents",
                    "url": "https://example.com/hooks/countersign",
                    "kinds": ["flag.killed", "rollout.stopped"],
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Connect one; its secret is shown now and never again."""
        given = self.body(request, WebhookBody)
        project = self.project(request, given.pop("project"))
        row, secret = webhooks.create_webhook(self.actor(request), project, given)
        return Response(NewWebhookSerializer(row, context={"secret": secret}).data, 201)

    @extend_schema(responses=WebhookSerializer)
    def retrieve(self, request: Request, id: int) -> Response:
        """One of them."""
        self.filters(request)
        return Response(WebhookSerializer(self._find(request, id)).data)

    @extend_schema(request=WebhookChange, responses=WebhookSerializer)
    def partial_update(self, request: Request, id: int) -> Response:
        """Change the members given."""
        given, row = self.body(request, WebhookChange), self._find(request, id)
        base = self.based(given, row.ledger_subject)
        row = webhooks.change_webhook(self.actor(request), row, given, base=base)
        return Response(WebhookSerializer(row).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: int) -> Response:
        """Take one away, with its log."""
        self.body(request)
        webhooks.delete_webhook(self.actor(request), self._find(request, id))
        return Response(status=204)

    @extend_schema(
        request=WebhookRotation,
        responses=NewWebhookSerializer,
        examples=[OpenApiExample("Within a day", {"overlap": 86_400}, request_only=True)],
    )
    def rotate(self, request: Request, id: int) -> Response:
        """A new secret, shown now; the former one signs too until the overlap ends."""
        given, row = self.body(request, WebhookRotation), self._find(request, id)
        secret = webhooks.rotate_secret(self.actor(request), row, timedelta(seconds=given["overlap"]))
        row.refresh_from_db()
        return Response(NewWebhookSerializer(row, context={"secret": secret}).data)

    @extend_schema(request=None, responses={204: None})
    def test(self, request: Request, id: int) -> Response:
        """Send it a message of the type `webhook.tested`."""
        self.body(request)
        webhooks.try_out(self.actor(request), self._find(request, id))
        return Response(status=204)

    def _find(self, request: Request, id: int) -> Webhook:
        seen = Webhook.objects.filter(project__in=self.visible(request)).select_related("project")
        row: Webhook | None = seen.filter(pk=id).first()
        if row is None:
            raise NotFound(f"There is no webhook {id} that you see.")
        require(self.actor(request), "webhook.manage", row.project)
        return row


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One try."""

    class Meta:
        model = Attempt
        fields = ("at", "milliseconds", "status", "problem", "answer")


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """A notification on its way to a webhook or chat, with every try."""

    message = serializers.SerializerMethodField(help_text="The `webhook-id`, the same each time.")
    kind = serializers.CharField(source="notification.kind")
    project = serializers.CharField(source="notification.project.key")
    created_at = serializers.DateTimeField(source="notification.created_at")
    attempts = AttemptSerializer(source="log", many=True)

    class Meta:
        model = Delivery
        fields = (
            "id",
            "message",
            "kind",
            "project",
            "webhook",
            "chat",
            "state",
            "created_at",
            "due_at",
            "finished_at",
            "attempts",
        )

    def get_message(self, row: Delivery) -> str:
        return f"msg_{row.notification.id.hex}"


class DeliveryFilter(Body):
    """Filters of deliveries."""

    webhook = serializers.IntegerField(required=False, min_value=0, max_value=2**53)
    chat = serializers.IntegerField(required=False, min_value=0, max_value=2**53)
    state = Choice(choices=Delivery.State.choices, required=False)


class Deliveries(Endpoint):
    """What was sent to the webhooks and chats of projects in which you manage them, for ninety days."""

    ordering = ("-pk",)

    @extend_schema(parameters=[DeliveryFilter], responses=DeliverySerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first."""
        given = self.filters(request, DeliveryFilter)
        rows = delivering.to_receivers_of(self.visible(request, "webhook.manage")).filter(**given)
        return self.page(request, rows.prefetch_related("log"), DeliverySerializer)

    @extend_schema(request=None, responses={204: None})
    def redeliver(self, request: Request, id: int) -> Response:
        """Send it again, with the same id."""
        self.body(request)
        row = delivering.to_receivers_of(self.visible(request)).filter(pk=id).first()
        if row is None:
            raise NotFound(f"There is no delivery {id} that you see.")
        delivering.redeliver(self.actor(request), row)
        return Response(status=204)
