"""Notifications over HTTP: one's own, what one wants to be told of, and one's own chats."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as RowError
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Document, Key, Text, Whole
from access.api.endpoint import Endpoint
from access.api.pages import Pages
from access.models import Chat, Delivery, User
from access.notifications import chats, choices, inbox, webhooks
from access.notifications.kinds import KINDS, PERSONAL
from access.notifications.wording import worded
from access.permissions import ForbiddenError, require


class NotificationSerializer(serializers.Serializer[Any]):
    """Something that you were told."""

    id = serializers.IntegerField()
    message = serializers.CharField(help_text="The id that mail and webhooks have it by.")
    kind = serializers.CharField()
    project = serializers.CharField(allow_null=True)
    subject = serializers.CharField()
    text = serializers.CharField()
    link = serializers.CharField(help_text="The address of the page to look at; empty for none.")
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class NotificationFilter(Body):
    """Filters of notifications."""

    unread = Choice(choices=("true",), required=False, help_text="`true`: those that were not read.")


class ReadBody(Body):
    """Which ones."""

    ids = serializers.ListField(
        child=Whole(min_value=1), required=False, max_length=1000, help_text="Left out: all of them."
    )


class ReadSerializer(serializers.Serializer[Any]):
    """How many were marked."""

    marked = serializers.IntegerField(help_text="How many were unread before.")


def _shown(rows: list[Delivery]) -> list[dict[str, Any]]:
    messages = worded([row.notification for row in rows])
    return [
        {
            "id": row.pk,
            "message": message.id,
            "kind": row.notification.kind,
            "project": row.notification.project.key if row.notification.project else None,
            "subject": message.subject,
            "text": message.text,
            "link": message.link,
            "created_at": row.notification.created_at,
            "read_at": row.read_at,
        }
        for row, message in zip(rows, messages, strict=True)
    ]


class Notifications(Endpoint):
    """What you were told in the app, as far as you may still see it."""

    ordering = ("-pk",)

    @extend_schema(parameters=[NotificationFilter], responses=NotificationSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first."""
        given = self.filters(request, NotificationFilter)
        rows = inbox.inbox(self.actor(request)).select_related("notification__project")
        if "unread" in given:
            rows = rows.filter(read_at=None)
        pages = Pages()
        found = pages.paginate_queryset(rows, request, self)
        return pages.get_paginated_response(NotificationSerializer(_shown(found), many=True).data)

    @extend_schema(
        request=ReadBody,
        responses=ReadSerializer,
        examples=[OpenApiExample("Two of them", {"ids": [17, 18]}, request_only=True)],
    )
    def read(self, request: Request) -> Response:
        """Mark as read: those of these ids, or all. Others' and unknown ones are left alone."""
        given = self.body(request, ReadBody)
        return Response({"marked": inbox.mark_read(self.actor(request), given.get("ids"))})


class NotificationKindSerializer(serializers.Serializer[Any]):
    """A kind of notification, and by which channels you are told of it."""

    kind = serializers.CharField()
    purpose = serializers.CharField(help_text="When it is told.")
    audience = serializers.CharField(help_text="Who is told.")
    channels = serializers.DictField(child=serializers.BooleanField(), help_text="`app`, `mail`, `chat`.")


class NotificationSettingsSerializer(serializers.Serializer[Any]):
    """Everything that you can be told of."""

    kinds = NotificationKindSerializer(many=True)


_WANTED = {
    "type": "object",
    "properties": {channel.value: {"type": "boolean"} for channel in PERSONAL},
    "additionalProperties": False,
}


@extend_schema_field(
    {"type": "object", "propertyNames": {"enum": list(KINDS)}, "additionalProperties": _WANTED}
)
class WantedDocument(Document):
    """What `choices.choose` takes."""


class NotificationSettingsBody(Body):
    """What you want, by kind and channel. What is left out stays as it stands."""

    kinds = WantedDocument(
        required=False, help_text="`{kind: {channel: true or false}}`; left out stays as it is."
    )


class NotificationSettings(Endpoint):
    """What you are told of, by channel. Only people are told."""

    @extend_schema(responses=NotificationSettingsSerializer)
    def retrieve(self, request: Request) -> Response:
        """As it stands for you."""
        self.filters(request)
        return self._answer(choices.choices_of(self._person(request)))

    @extend_schema(
        request=NotificationSettingsBody,
        responses=NotificationSettingsSerializer,
        examples=[
            OpenApiExample(
                "No mail of what waits", {"kinds": {"request.waiting": {"mail": False}}}, request_only=True
            )
        ],
    )
    def update(self, request: Request) -> Response:
        """Choose."""
        given = self.body(request, NotificationSettingsBody).get("kinds", {})
        for kind, channels in given.items():
            if not isinstance(channels, dict) or not all(type(each) is bool for each in channels.values()):
                raise serializers.ValidationError({f"kinds.{kind}": ["must be an object of true and false"]})
        return self._answer(choices.choose(self._person(request), given))

    def _answer(self, standing: choices.Choices) -> Response:
        rows = [
            {
                "kind": name,
                "purpose": kind.purpose,
                "audience": kind.audience,
                "channels": standing[name],
            }
            for name, kind in KINDS.items()
        ]
        return Response(NotificationSettingsSerializer({"kinds": rows}).data)

    def _person(self, request: Request) -> User:
        return person_of(self.actor(request).id)


class ChatSerializer(serializers.ModelSerializer[Chat]):
    """A chat that is told, without its address."""

    project = serializers.SerializerMethodField(help_text="Null for your own.")
    kinds = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Chat
        fields = ("id", "project", "name", "masked", "kinds", "created_at")
        extra_kwargs = {"masked": {"help_text": "The address with its secrets starred out."}}

    def get_project(self, row: Chat) -> str | None:
        return row.project.key if row.project else None


class ChatBody(Body):
    """A chat to connect."""

    project = Key(required=False, help_text="Left out: your own.")
    name = Text(max_length=128)
    url = Text(max_length=500, help_text="As apprise writes it. Stored encrypted, and not shown again.")
    kinds = serializers.ListField(
        child=Text(max_length=64),
        max_length=100,
        required=False,
        help_text="What a project's chat is told; for your own, your settings say.",
    )


class Chats(Endpoint):
    """Chats that are told: your own, and those of projects whose webhooks you manage."""

    @extend_schema(responses=ChatSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Those."""
        self.filters(request)
        return self.page(request, self._seen(request), ChatSerializer)

    @extend_schema(
        request=ChatBody,
        responses={201: ChatSerializer},
        examples=[
            OpenApiExample(
                "A team's channel",
                {
                    "project": "shop",
                    "name": "#releases",
                    "url": "https://hooks.slack.com/services/T000/B000/XXXX",
                    "kinds": ["flag.killed", "rollout.stopped"],
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Connect one."""
        given = self.body(request, ChatBody)
        actor = self.actor(request)
        if "project" in given:
            project = self.project(request, given["project"])
            row = chats.connect_of_project(
                actor, project, given["name"], given["url"], given.get("kinds", ())
            )
        else:
            if "kinds" in given:
                raise RowError({"kinds": "belong to a project's; yours has your settings"})
            row = chats.connect_own(person_of(actor.id), given["name"], given["url"])
        return Response(ChatSerializer(row).data, 201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: int) -> Response:
        """Disconnect one; its log goes with it."""
        self.body(request)
        chats.disconnect(self.actor(request), self._find(request, id))
        return Response(status=204)

    @extend_schema(request=None, responses={204: None})
    def test(self, request: Request, id: int) -> Response:
        """Send it a message that only says that it arrived."""
        self.body(request)
        webhooks.try_out(self.actor(request), self._find(request, id))
        return Response(status=204)

    def _seen(self, request: Request) -> Any:
        own = Chat.objects.filter(person__pseudonym=self.actor(request).id)
        managed = Chat.objects.filter(project__in=self.visible(request, "webhook.manage"))
        return (own | managed).select_related("project", "person")

    def _find(self, request: Request, id: int) -> Chat:
        row: Chat | None = self._seen(request).filter(pk=id).first()
        if row is None:
            # Of a project that is seen: who may is no secret, as everywhere.
            other = Chat.objects.filter(pk=id, project__in=self.visible(request)).first()
            if other is not None and other.project is not None:
                require(self.actor(request), "webhook.manage", other.project)
            raise NotFound(f"There is no chat {id} that you see.")
        return row


def person_of(pseudonym: str) -> User:
    """The person behind an actor. Raises `ForbiddenError` for a service account, which is told nothing."""
    person = User.objects.filter(pseudonym=pseudonym, is_active=True).first()
    if person is None:
        raise ForbiddenError("Only people are told of anything; a service account's project has webhooks.")
    return person
