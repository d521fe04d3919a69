"""Erasing a person over HTTP: what it would do, and doing it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access import erasure
from access.api.endpoint import Endpoint
from access.erasure import Erasure
from access.models import User
from approvals.models import ChangeRequest


class ErasureSerializer(serializers.Serializer[Any]):
    """What erasing a person does, in numbers."""

    id = serializers.CharField(help_text="The pseudonymous id, which stays.")
    name = serializers.CharField(help_text="As known now.")
    erased_at = serializers.DateTimeField(allow_null=True)
    disclosures = serializers.IntegerField(help_text="Of their name, beside the ledger's events.")
    memberships = serializers.IntegerField()
    tokens = serializers.IntegerField()
    sessions = serializers.IntegerField()
    open_requests = serializers.IntegerField(help_text="They stay open, under the pseudonym.")
    owned_flags = serializers.IntegerField(help_text="They stay, under the pseudonym.")
    taken_over = serializers.ListField(
        child=serializers.CharField(),
        help_text="Projects without another administrator: whoever erases becomes one.",
    )


class Erasures(Endpoint):
    """Erasing a person, for organisation administrators. Everything they did stays, under a pseudonym."""

    @extend_schema(operation_id="people_erasure", responses=ErasureSerializer)
    def retrieve(self, request: Request, person: str) -> Response:
        """What erasing this person would do."""
        self.filters(request)
        row = self._find(request, person)
        return self._shown(row, erasure.examine(self.actor(request), row))

    @extend_schema(operation_id="people_erase", request=None, responses=ErasureSerializer)
    def erase(self, request: Request, person: str) -> Response:
        """Erase this person, for good; the numbers are of what was done."""
        self.body(request)
        row = self._find(request, person)
        actor = self.actor(request)
        acting = User.objects.filter(pseudonym=actor.id).first()
        done = erasure.erase(actor, row, successor=acting)
        row.refresh_from_db()
        return self._shown(row, done)

    def _find(self, request: Request, person: str) -> User:
        # First of all: whether somebody exists is nobody else's business.
        erasure.require_eraser(self.actor(request), reading=True)
        row = User.objects.filter(pseudonym=person).first()
        if row is None:
            raise NotFound(f"Nobody has the id {person!r}.")
        return row

    def _shown(self, row: User, numbers: Erasure) -> Response:
        requests = ChangeRequest.objects.filter(proposer=row.pseudonym, state__in=ChangeRequest.OPEN)
        shown = {
            "id": row.pseudonym,
            "name": str(row),
            "erased_at": row.erased_at,
            "disclosures": numbers.disclosures,
            "memberships": numbers.memberships,
            "tokens": numbers.tokens,
            "sessions": numbers.sessions,
            "open_requests": requests.count(),
            "owned_flags": numbers.owned_flags,
            "taken_over": [project.key for project in numbers.sole_administrator_of],
        }
        return Response(ErasureSerializer(shown).data)
