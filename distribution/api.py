"""SDK keys over HTTP: made, shown once, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Choice, Key, Text, Whole
from access.api.endpoint import Endpoint
from distribution import keys
from distribution.models import SdkKey
from distribution.origins import MOST


class SdkKeySerializer(serializers.ModelSerializer[SdkKey]):
    """A key, without what makes it work."""

    project = serializers.CharField(source="environment.project.key")
    environment = serializers.CharField(source="environment.key")
    origins = serializers.ListField(
        child=serializers.CharField(), help_text="Whose pages may use a client-side key from a browser."
    )

    class Meta:
        model = SdkKey
        fields: tuple[str, ...] = (
            "id",
            "project",
            "environment",
            "name",
            "side",
            "origins",
            "hint",
            "created_at",
            "last_used_on",
            "revoke_at",
            "revoked_at",
        )


class NewSdkKeySerializer(SdkKeySerializer):
    """A key with its clear text, which cannot be had again."""

    key = serializers.SerializerMethodField(
        help_text="Keep it now. Null where an `Idempotency-Key` is answered again."
    )
    dsn = serializers.SerializerMethodField(help_text="Configures a client whole: `COUNTERSIGN_DSN`.")

    class Meta(SdkKeySerializer.Meta):
        fields = (*SdkKeySerializer.Meta.fields, "key", "dsn")

    def get_key(self, row: SdkKey) -> str | None:
        return str(self.context["secret"])

    def get_dsn(self, row: SdkKey) -> str | None:
        return keys.dsn(row.environment, self.context["secret"])


class SdkKeyFilter(Body):
    """Filters of keys."""

    project = Key(required=False)
    environment = Key(required=False)


def _origins(**options: Any) -> serializers.ListField:
    return serializers.ListField(
        child=Text(max_length=300),
        max_length=MOST,
        help_text="Exact origins like `https://app.example.com`, or `*`. Of client-side keys only.",
        **options,
    )


class SdkKeyBody(Body):
    """A key to make."""

    project = Key()
    environment = Key()
    name = Text(max_length=128, help_text="Which service will use it.")
    side = Choice(choices=SdkKey.Side.choices, help_text="Client-side keys get answers, never rules.")
    origins = _origins(required=False)


class OriginsBody(Body):
    """Whose pages may use a key; left out, it stays as it is."""

    origins = _origins(required=False)


class SdkKeyRotation(Body):
    """How one key takes the place of another."""

    overlap = Whole(
        min_value=0,
        max_value=int(keys.LONGEST_OVERLAP.total_seconds()),
        help_text="Seconds for which the old one works yet.",
    )


class SdkKeys(Endpoint):
    """Keys of services and browsers. Administrators of the project make and revoke them."""

    shown_once = ("key", "dsn")

    @extend_schema(parameters=[SdkKeyFilter], responses=SdkKeySerializer(many=True))
    def list(self, request: Request) -> Response:
        """The keys in the projects that you see, revoked ones included."""
        given = self.filters(request, SdkKeyFilter)
        rows = SdkKey.objects.filter(environment__project__in=self.visible(request))
        for name, column in (("project", "environment__project__key"), ("environment", "environment__key")):
            if name in given:
                rows = rows.filter(**{column: given[name]})
        return self.page(request, rows.select_related("environment__project"), SdkKeySerializer)

    @extend_schema(
        request=SdkKeyBody,
        responses={201: NewSdkKeySerializer},
        examples=[
            OpenApiExample(
                "For a service",
                {"project": "shop", "environment": "production", "name": "checkout-api", "side": "server"},
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Make a key."""
        given = self.body(request, SdkKeyBody)
        environment = self.environment(request, given["project"], given["environment"])
        key, secret = keys.issue(
            self.actor(request), environment, given["name"], given["side"], given.get("origins", ())
        )
        return Response(NewSdkKeySerializer(key, context={"secret": secret}).data, 201)

    @extend_schema(request=OriginsBody, responses=SdkKeySerializer)
    def update(self, request: Request, id: int) -> Response:
        """Say whose pages may use a client-side key from a browser: the whole list."""
        given = self.body(request, OriginsBody)
        key = self._find(request, id)
        if "origins" in given:
            keys.allow_origins(self.actor(request), key, given["origins"])
        return Response(SdkKeySerializer(key).data)

    @extend_schema(request=None, responses=SdkKeySerializer)
    def revoke(self, request: Request, id: int) -> Response:
        """Make a key useless: within a second wherever a store is reachable. Again changes nothing."""
        self.body(request)
        key = self._find(request, id)
        keys.revoke(self.actor(request), key)
        key.refresh_from_db(fields=["revoked_at"])
        return Response(SdkKeySerializer(key).data)

    @extend_schema(
        request=SdkKeyRotation,
        responses={201: NewSdkKeySerializer},
        examples=[OpenApiExample("Within a week", {"overlap": 604_800}, request_only=True)],
    )
    def rotate(self, request: Request, id: int) -> Response:
        """Make a key that takes the place of this one, which is revoked when the overlap ends."""
        given = self.body(request, SdkKeyRotation)
        key, secret = keys.rotate(
            self.actor(request), self._find(request, id), timedelta(seconds=given["overlap"])
        )
        return Response(NewSdkKeySerializer(key, context={"secret": secret}).data, 201)

    def _find(self, request: Request, id: int) -> SdkKey:
        key = (
            SdkKey.objects.filter(environment__project__in=self.visible(request), pk=id)
            .select_related("environment__project")
            .first()
        )
        if key is None:
            raise NotFound(f"There is no SDK key {id} that you see.")
        return key
