"""Identity providers over HTTP, for organisation administrators. The secret goes in and never comes out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Document, Text, Truth
from access.api.endpoint import Endpoint
from access.api.people import LIMITS, NAME
from access.models import IdentityProvider
from access.permissions import require_in_organisation
from access.signin import providers
from access.signin.taking_back import given_by
from approvals.waiting import approvals_by


class IdentityProviderSerializer(serializers.ModelSerializer[IdentityProvider]):
    """Where people sign in, and what their groups give."""

    has_secret = serializers.SerializerMethodField(help_text="Whether a client secret is stored.")
    redirect_uri = serializers.SerializerMethodField(help_text="To register at the provider.")
    scopes = serializers.ListField(child=serializers.CharField())
    rules = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = IdentityProvider
        fields = (
            "key",
            "name",
            "issuer",
            "client_id",
            "has_secret",
            "redirect_uri",
            "is_enabled",
            "creates_accounts",
            "scopes",
            "groups_claim",
            "second_factor",
            "rules",
        )

    def get_has_secret(self, row: IdentityProvider) -> bool:
        return bool(row.sealed_secret)

    def get_redirect_uri(self, row: IdentityProvider) -> str:
        return providers.callback_address(row)


def _rule(*required: str, **optional: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"group": {**NAME, "maxLength": 500}, **dict.fromkeys(required, NAME), **optional},
        "required": ["group", *required],
        "additionalProperties": False,
    }


@extend_schema_field({"oneOf": [_rule("team"), _rule("role"), _rule("role", "project", limits=LIMITS)]})
class GroupRuleDocument(Document):
    """What `rules.checked_rules` takes."""


class IdentityProviderBody(Body):
    """Members that are left out stay as they stand."""

    name = Text(max_length=128, required=False)
    issuer = Text(max_length=500, required=False, help_text="To the letter as in id tokens. Set once.")
    client_id = Text(max_length=255, required=False)
    secret = Text(max_length=1000, required=False, allow_blank=True, help_text="Stored encrypted.")
    is_enabled = Truth(required=False)
    creates_accounts = Truth(
        required=False, help_text="Whether somebody who signs in for the first time gets an account."
    )
    scopes = serializers.ListField(child=Text(max_length=128), required=False)
    groups_claim = Text(max_length=128, required=False, allow_blank=True)
    second_factor = serializers.ListField(
        child=Text(max_length=500),
        required=False,
        max_length=100,
        help_text="Values of `acr` or `amr` in id tokens that stand for a second factor; empty: it is not believed.",
    )
    rules = serializers.ListField(
        child=GroupRuleDocument(),
        required=False,
        max_length=1000,
        help_text="Each `{group, project, role, limits?}`, `{group, team}`, or `{group, role}` for a role of the "
        "organisation.",
    )


class GivenSerializer(serializers.Serializer[Any]):
    """What disabling a provider, or taking it away, takes at once."""

    people = serializers.IntegerField(help_text="Who lose something.")
    roles = serializers.IntegerField(help_text="In projects. The last administrator of one stays.")
    teams = serializers.IntegerField(help_text="Places in teams.")
    organisation_roles = serializers.IntegerField()
    sessions = serializers.IntegerField(help_text="That end.")
    approvals = serializers.IntegerField(
        help_text="Of requests that are not applied yet, by these people; they count while the giver may review."
    )
    shut_out = serializers.IntegerField(help_text="People without another way to sign in.")


class IdentityProviders(Endpoint):
    """Connecting identity providers. Organisation administrators only; for others there are none."""

    @extend_schema(responses=IdentityProviderSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The providers of the organisation."""
        self.filters(request)
        require_in_organisation(self.actor(request), "organisation.manage", reading=True)
        return self.page(request, IdentityProvider.objects.all(), IdentityProviderSerializer)

    @extend_schema(responses=IdentityProviderSerializer)
    def retrieve(self, request: Request, key: str) -> Response:
        """One provider."""
        self.filters(request)
        return Response(IdentityProviderSerializer(self._find(request, key)).data)

    @extend_schema(
        request=IdentityProviderBody,
        responses=IdentityProviderSerializer,
        examples=[
            OpenApiExample(
                "Keycloak",
                {
                    "name": "Acme",
                    "issuer": "https://login.example.com/realms/acme",
                    "client_id": "countersign",
                    "secret": "…",
                    "rules": [{"group": "shop-developers", "project": "shop", "role": "editor"}],
                },
                request_only=True,
            )
        ],
    )
    def update(self, request: Request, key: str) -> Response:
        """Connect a provider, or change the members given. Rules count from each person's next sign-in.

        One that is disabled loses at once what its rules gave, and the sessions that it opened; see `given`.
        """
        given = self.body(request, IdentityProviderBody)
        secret = given.pop("secret", None)
        row = providers.save_provider(self.actor(request), key, given, secret=secret)
        return Response(IdentityProviderSerializer(row).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, key: str) -> Response:
        """Take a provider away, with what its rules gave, its sessions and its links to accounts."""
        self.body(request)
        providers.delete_provider(self.actor(request), self._find(request, key))
        return Response(status=204)

    @extend_schema(responses=GivenSerializer)
    def given(self, request: Request, key: str) -> Response:
        """What disabling it or taking it away takes, in numbers."""
        self.filters(request)
        held = given_by(self._find(request, key))
        return Response(GivenSerializer({**held.numbers, "approvals": approvals_by(held.members)}).data)

    def _find(self, request: Request, key: str) -> IdentityProvider:
        require_in_organisation(self.actor(request), "organisation.manage", reading=True)
        row = IdentityProvider.objects.filter(key=key).first()
        if row is None:
            raise NotFound(f"There is no identity provider {key!r}.")
        return row
