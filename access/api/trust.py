"""Trust rules: whose identity tokens count as a service account's."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access import machines, workload
from access.api.body import Body, Document, Text
from access.api.endpoint import Endpoint
from access.api.tokens import ScopeBody, ScopeSerializer
from access.models import TrustRule


class TrustRuleSerializer(serializers.ModelSerializer[TrustRule]):
    """A rule, which has no secret in it."""

    service_account = serializers.CharField(source="service_account.pseudonym")
    claims = serializers.DictField(help_text="What each claim must be: `equals` or `starts_with`.")
    scope = ScopeSerializer()

    class Meta:
        model = TrustRule
        fields = (
            "id",
            "service_account",
            "name",
            "issuer",
            "audience",
            "claims",
            "scope",
            "created_at",
            "last_used_at",
            "revoked_at",
        )


_TEXT = {"type": "string", "pattern": r"^[^\u0000]+$"}


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": dict.fromkeys(("equals", "starts_with"), _TEXT),
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
        "propertyNames": _TEXT,
        "minProperties": 1,
    }
)
class ClaimsDocument(Document):
    """What `workload.trust` takes."""


class TrustRuleBody(Body):
    """A rule to make."""

    service_account = Text(max_length=64, help_text="The id of a service account that you answer for.")
    name = Text(max_length=128, help_text="Which pipeline is meant.")
    issuer = Text(max_length=500, help_text="As `iss` of its tokens has it, character by character.")
    audience = Text(max_length=500, help_text="What the pipeline asks its token for.")
    claims = ClaimsDocument(
        help_text='By name, `{"equals": text}` or `{"starts_with": text}`; all must hold, one at least.'
    )
    scope = ScopeBody(required=False)


class TrustRules(Endpoint):
    """Whose identity tokens count as a service account's, so that a pipeline needs no stored secret."""

    @extend_schema(responses=TrustRuleSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The rules of the service accounts that you answer for, revoked ones included."""
        self.filters(request)
        return self.page(request, self._seen(request), TrustRuleSerializer)

    @extend_schema(
        request=TrustRuleBody,
        responses={201: TrustRuleSerializer},
        examples=[
            OpenApiExample(
                "A repository's releases",
                {
                    "service_account": "service:3f9a0c1d2e4b",
                    "name": "release",
                    "issuer": "https://token.actions.githubusercontent.com",
                    "audience": "https://flags.example.com",
                    "claims": {
                        "repository": {"equals": "shop/site"},
                        "ref": {"starts_with": "refs/heads/release-"},
                    },
                    "scope": {"projects": ["shop"], "verbs": ["change.propose"]},
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Let a pipeline's identity tokens act as a service account."""
        given = self.body(request, TrustRuleBody)
        actor = self.actor(request)
        account = machines.answered_for(actor).filter(pseudonym=given["service_account"]).first()
        if account is None:
            raise NotFound(f"You answer for no service account {given['service_account']!r}.")
        rule = workload.trust(
            actor,
            account,
            given["name"],
            issuer=given["issuer"],
            audience=given["audience"],
            claims=given["claims"],
            scope=given.get("scope"),
        )
        return Response(TrustRuleSerializer(rule).data, 201)

    @extend_schema(request=None, responses=TrustRuleSerializer)
    def revoke(self, request: Request, id: int) -> Response:
        """Take a rule back, at once. Again changes nothing."""
        self.body(request)
        rule = self._seen(request).filter(pk=id).first()
        if rule is None:
            raise NotFound(f"You have no trust rule {id}.")
        workload.distrust(self.actor(request), rule)
        rule.refresh_from_db()
        return Response(TrustRuleSerializer(rule).data)

    def _seen(self, request: Request) -> Any:
        accounts = machines.answered_for(self.actor(request))
        return TrustRule.objects.filter(service_account__in=accounts).select_related("service_account")
