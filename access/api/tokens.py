"""Bearer tokens: one's own, and those of service accounts. The clear text is shown once, when one is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access import machines
from access.api.body import Body, Moment, Text
from access.api.endpoint import Endpoint
from access.api.people import service_accounts_seen
from access.models import ApiToken, ServiceAccount, User
from access.permissions import ForbiddenError, is_organisation_administrator


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token, without what makes it work."""

    holder = serializers.SerializerMethodField(help_text="The id of the person or service account.")

    class Meta:
        model = ApiToken
        fields: tuple[str, ...] = (
            "id",
            "holder",
            "name",
            "hint",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        )

    def get_holder(self, row: ApiToken) -> str:
        holder = row.user or row.service_account
        return holder.pseudonym if holder else ""


class NewTokenSerializer(TokenSerializer):
    """A token with its clear text, which cannot be had again."""

    token = serializers.SerializerMethodField(
        help_text="Keep it now. Null where an `Idempotency-Key` is answered again."
    )

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "token")

    def get_token(self, row: ApiToken) -> str | None:
        return str(self.context["secret"])


class TokenBody(Body):
    """A token to make."""

    name = Text(max_length=128, help_text="What it is for.")
    expires_at = Moment(required=False, allow_null=True, help_text="Left out or null: it does not expire.")
    service_account = Text(
        required=False,
        max_length=64,
        help_text="The id of a service account, for organisation administrators; left out: yourself.",
    )


class Tokens(Endpoint):
    """Your tokens; organisation administrators have those of service accounts as well."""

    shown_once = ("token",)

    @extend_schema(responses=TokenSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Your tokens, revoked ones included."""
        self.filters(request)
        return self.page(request, self._seen(request), TokenSerializer)

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
        """Make a token. One made with another token cannot outlive that one."""
        given = self.body(request, TokenBody)
        expires_at: datetime | None = given.get("expires_at")
        by = request.auth
        if isinstance(by, ApiToken) and by.expires_at and (expires_at is None or expires_at > by.expires_at):
            raise ForbiddenError(
                f"The token you use ends at {by.expires_at.isoformat()}; one made with it ends no later. "
                "Name an earlier `expires_at`, or sign in."
            )
        token, secret = machines.issue_token(
            self.actor(request), self._holder(request, given), given["name"], expires_at
        )
        return Response(NewTokenSerializer(token, context={"secret": secret}).data, 201)

    @extend_schema(request=None, responses=TokenSerializer)
    def revoke(self, request: Request, id: int) -> Response:
        """Make a token useless, at once. Again changes nothing."""
        self.body(request)
        token = self._seen(request).filter(pk=id).first()
        if token is None:
            raise NotFound(f"You have no token {id}.")
        machines.revoke_token(self.actor(request), token)
        token.refresh_from_db()
        return Response(TokenSerializer(token).data)

    def _seen(self, request: Request) -> QuerySet[ApiToken]:
        actor = self.actor(request)
        mine = Q(user__pseudonym=actor.id) | Q(service_account__pseudonym=actor.id)
        if is_organisation_administrator(actor):
            mine |= Q(service_account__isnull=False)
        return ApiToken.objects.filter(mine).select_related("user", "service_account")

    def _holder(self, request: Request, given: dict[str, Any]) -> User | ServiceAccount:
        if "service_account" in given:
            account = service_accounts_seen(self, request).filter(pseudonym=given["service_account"]).first()
            if account is None:
                raise NotFound(f"There is no service account {given['service_account']!r} that you see.")
            return account
        if isinstance(request.user, User):
            return request.user
        return ServiceAccount.objects.get(pseudonym=self.actor(request).id)
