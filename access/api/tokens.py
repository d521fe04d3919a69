"""Bearer tokens: one's own, and those of service accounts. The clear text is shown once, when one is made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access import machines
from access.api.body import Body, Moment, Text, Whole
from access.api.endpoint import Endpoint
from access.api.people import service_accounts_seen
from access.models import ApiToken, ServiceAccount, User
from access.scopes import MOST


class ScopeSerializer(serializers.Serializer[Any]):
    """What a token may be used for at most. A member that is left out limits nothing."""

    verbs = serializers.ListField(child=serializers.CharField(), required=False)
    projects = serializers.ListField(child=serializers.CharField(), required=False)
    environments = serializers.ListField(child=serializers.CharField(), required=False)

    def to_representation(self, instance: Any) -> Any:
        return dict(instance)


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token, without what makes it work."""

    holder = serializers.SerializerMethodField(help_text="The id of the person or service account.")
    scope = ScopeSerializer()
    addresses = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = ApiToken
        fields: tuple[str, ...] = (
            "id",
            "holder",
            "name",
            "hint",
            "scope",
            "addresses",
            "created_at",
            "expires_at",
            "last_used_at",
            "last_used_from",
            "revoked_at",
        )

    def get_holder(self, row: ApiToken) -> str:
        return row.holder.pseudonym


class NewTokenSerializer(TokenSerializer):
    """A token with its clear text, which cannot be had again."""

    token = serializers.SerializerMethodField(
        help_text="Keep it now. Null where an `Idempotency-Key` is answered again."
    )

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")

    def get_token(self, row: ApiToken) -> str | None:
        return str(self.context["secret"])


def _names(meaning: str) -> serializers.ListField:
    return serializers.ListField(
        child=Text(max_length=128), max_length=MOST, required=False, help_text=meaning
    )


class ScopeBody(Body):
    """What a token may be used for at most, within what its holder may. What is left out limits nothing."""

    verbs = _names("Verbs of the table of roles, such as `change.propose`.")
    projects = _names("Keys of projects that you see. Others do not exist for the token.")
    environments = _names("Keys of environments in which it may act.")


class TokenBody(Body):
    """A token to make."""

    name = Text(max_length=128, help_text="What it is for.")
    expires_at = Moment(
        required=False,
        allow_null=True,
        help_text="Left out or null: as late as the settings of the installation allow.",
    )
    scope = ScopeBody(required=False)
    addresses = serializers.ListField(
        child=Text(max_length=64),
        max_length=MOST,
        required=False,
        help_text="From where it works, as ranges such as `192.0.2.0/24`; left out: from everywhere.",
    )
    service_account = Text(
        required=False,
        max_length=64,
        help_text="The id of a service account that you answer for; left out: yourself.",
    )


class RotationBody(Body):
    """How one token takes the place of another."""

    overlap = Whole(
        min_value=0,
        max_value=int(machines.LONGEST_OVERLAP.total_seconds()),
        help_text="Seconds for which the old one works yet.",
    )
    expires_at = Moment(
        required=False, help_text="Of the new one. Left out: it lives as long as the old one was made for."
    )


class Tokens(Endpoint):
    """Your tokens, and those of the service accounts that you answer for."""

    shown_once = ("token",)

    @extend_schema(responses=TokenSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Your tokens, revoked ones included."""
        self.filters(request)
        return self.page(request, machines.tokens_seen(self.actor(request)), TokenSerializer)

    @extend_schema(
        request=TokenBody,
        responses={201: NewTokenSerializer},
        examples=[
            OpenApiExample(
                "For a laptop, until new year",
                {"name": "laptop", "expires_at": "2027-01-01T00:00:00Z"},
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Make a token. One made with another token reaches no further, and lives no longer."""
        given = self.body(request, TokenBody)
        token, secret = machines.issue_token(
            self.actor(request),
            self._holder(request, given),
            given["name"],
            given.get("expires_at"),
            scope=given.get("scope"),
            addresses=given.get("addresses", ()),
        )
        return Response(NewTokenSerializer(token, context={"secret": secret}).data, 201)

    @extend_schema(request=None, responses=TokenSerializer)
    def revoke(self, request: Request, id: int) -> Response:
        """Make a token useless, at once. Again changes nothing."""
        self.body(request)
        token = self._find(request, id)
        machines.revoke_token(self.actor(request), token)
        token.refresh_from_db()
        return Response(TokenSerializer(token).data)

    @extend_schema(
        request=RotationBody,
        responses={201: NewTokenSerializer},
        examples=[OpenApiExample("Within a day", {"overlap": 86_400}, request_only=True)],
    )
    def rotate(self, request: Request, id: int) -> Response:
        """Make a token that takes the place of this one, which works for a while yet."""
        given = self.body(request, RotationBody)
        token, secret = machines.rotate_token(
            self.actor(request),
            self._find(request, id),
            timedelta(seconds=given["overlap"]),
            given.get("expires_at"),
        )
        return Response(NewTokenSerializer(token, context={"secret": secret}).data, 201)

    def _find(self, request: Request, id: int) -> ApiToken:
        token = machines.tokens_seen(self.actor(request)).filter(pk=id).first()
        if token is None:
            raise NotFound(f"You have no token {id}.")
        return token

    def _holder(self, request: Request, given: dict[str, Any]) -> User | ServiceAccount:
        if "service_account" in given:
            seen = service_accounts_seen(self, request) | machines.answered_for(self.actor(request))
            account = seen.filter(pseudonym=given["service_account"]).first()
            if account is None:
                raise NotFound(f"There is no service account {given['service_account']!r} that you see.")
            return account
        if isinstance(request.user, User):
            return request.user
        return ServiceAccount.objects.get(pseudonym=self.actor(request).id)
