"""Second factors over HTTP: what the organisation asks of them, and resetting somebody's."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Text, Whole
from access.api.endpoint import Endpoint
from access.models import FactorPolicy, User
from access.permissions import require_in_organisation
from access.signin import factors
from access.signin.factor_policy import factor_policy, set_factor_policy
from audit.history import version_of


class FactorPolicySerializer(serializers.Serializer[Any]):
    """What is asked of second factors."""

    roles = serializers.ListField(
        child=serializers.CharField(), help_text="Roles that count for people with a second factor only."
    )
    fresh_minutes = serializers.IntegerField(
        help_text="How old the second factor may be for verbs that ask for a fresh one, in sessions; 0: not asked."
    )
    version = serializers.IntegerField(help_text="How often it was written: the `base` of a change.")


class FactorPolicyBody(Body):
    """The whole policy."""

    roles = serializers.ListField(child=Text(max_length=32), max_length=1000)
    fresh_minutes = Whole(min_value=0, max_value=1440)
    base = Whole(required=False, min_value=0, help_text="The `version` that you saw; without it, 409.")


class FactorPolicies(Endpoint):
    """Who needs a second factor, and for what a fresh one. For organisation administrators."""

    @extend_schema(operation_id="factor_policy", responses=FactorPolicySerializer)
    def retrieve(self, request: Request) -> Response:
        """What is asked of second factors."""
        self.filters(request)
        require_in_organisation(self.actor(request), "organisation.manage", reading=True)
        return self._shown(factor_policy())

    @extend_schema(
        operation_id="factor_policy_update",
        request=FactorPolicyBody,
        responses=FactorPolicySerializer,
        examples=[
            OpenApiExample(
                "Reviewers and administrators, and again after a quarter of an hour",
                {"roles": ["administrator", "reviewer"], "fresh_minutes": 15, "base": 0},
                request_only=True,
            )
        ],
    )
    def update(self, request: Request) -> Response:
        """Replace it. It holds at once, also for whoever is signed in."""
        given = self.body(request, FactorPolicyBody)
        base = self.based(given, factor_policy().ledger_subject)
        return self._shown(set_factor_policy(self.actor(request), given, base=base))

    def _shown(self, policy: FactorPolicy) -> Response:
        return Response(FactorPolicySerializer({**policy.document, "version": version_of(policy)}).data)


class FactorResets(Endpoint):
    """Removing the second factors of somebody who lost them."""

    @extend_schema(operation_id="people_reset_factors", request=None, responses={204: None})
    def reset(self, request: Request, person: str) -> Response:
        """Remove somebody else's second factors; their sessions end, and they are told."""
        self.body(request)
        actor = self.actor(request)
        # First of all: whether somebody exists is nobody else's business.
        require_in_organisation(actor, "factor.reset")
        row = User.objects.filter(pseudonym=person).first()
        if row is None:
            raise NotFound(f"Nobody has the id {person!r}.")
        factors.reset(actor, row)
        return Response(status=204)
