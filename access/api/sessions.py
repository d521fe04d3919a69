"""Where people are signed in, and who is locked out, over HTTP."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Text
from access.api.endpoint import Endpoint
from access.models import SignedInSession, User
from access.permissions import ForbiddenError, require_in_organisation
from access.scopes import scope_of
from access.signin import lockout
from access.signin.lockout import Lockout
from access.signin.sessions import end_sessions, sessions_of


class SessionSerializer(serializers.ModelSerializer[SignedInSession]):
    """A browser in which somebody is signed in."""

    account = serializers.CharField(source="user.pseudonym")
    is_this = serializers.SerializerMethodField(help_text="Whether this request came with it.")

    class Meta:
        model = SignedInSession
        fields = ("id", "account", "device", "address", "started_at", "seen_at", "is_this")

    def get_is_this(self, row: SignedInSession) -> bool:
        return bool(row.session_key == self.context["mine"])


class SessionFilter(Body):
    """Whose sessions."""

    account = Text(
        required=False, max_length=64, help_text="Somebody's id, for organisation administrators; else yours."
    )


class EndedSerializer(serializers.Serializer[Any]):
    """What ended."""

    ended = serializers.IntegerField()


class Sessions(Endpoint):
    """One's own sessions; organisation administrators see and end other people's. Tokens are no sessions."""

    @extend_schema(parameters=[SessionFilter], responses=SessionSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Where somebody is signed in now."""
        person = self._person(request, self.filters(request, SessionFilter), reading=True)
        rows = sessions_of(person).select_related("user")
        return self.page(request, rows, SessionSerializer, {"mine": _key(request)})

    @extend_schema(operation_id="sessions_end", request=None, responses=EndedSerializer)
    def end(self, request: Request, id: int) -> Response:
        """End one session, at once."""
        self.body(request)
        row = SignedInSession.objects.filter(pk=id).select_related("user").first()
        own = row is not None and row.user.pseudonym == self.actor(request).id
        account = "" if row is None or own else row.user.pseudonym
        if not own:
            # First of all: which sessions there are is nobody else's business.
            require_in_organisation(self.actor(request), "organisation.manage")
        if row is None:
            raise NotFound(f"There is no session {id}.")
        person = self._person(request, {"account": account} if account else {})
        return Response({"ended": end_sessions(self.actor(request), person, only=id)})

    @extend_schema(operation_id="sessions_end_all", request=SessionFilter, responses=EndedSerializer)
    def end_all(self, request: Request) -> Response:
        """End all of somebody's sessions, but the one with which this request came."""
        person = self._person(request, self.body(request, SessionFilter))
        return Response({"ended": end_sessions(self.actor(request), person, but=_key(request))})

    def _person(self, request: Request, given: dict[str, Any], *, reading: bool = False) -> User:
        actor = self.actor(request)
        whose = given.get("account", actor.id)
        if whose != actor.id:
            # First of all: whether somebody exists is nobody else's business.
            require_in_organisation(actor, "organisation.manage", reading=reading)
        elif scope := scope_of(actor).document:
            raise ForbiddenError(f"Your sessions: a token that is limited ({scope}) does not reach them.")
        row = User.objects.filter(pseudonym=whose).first()
        if row is None:
            raise NotFound(f"Nobody has the id {whose!r}; only people are signed in.")
        return row


class LockoutSerializer(serializers.Serializer[Any]):
    """An account or an address that stays out of local sign-in for a while."""

    account = serializers.SerializerMethodField(help_text="Somebody's id; null for an address.")
    address = serializers.CharField(help_text="Of IPv6, the network of 64 bits. Empty for an account.")
    failures = serializers.IntegerField()
    until = serializers.DateTimeField()

    def get_account(self, row: Lockout) -> str | None:
        return row.person.pseudonym if row.person else None


class LockoutList(serializers.Serializer[Any]):
    """Whoever is locked out now."""

    results = LockoutSerializer(many=True)


class UnlockBody(Body):
    """Whom to let try again: one of the two."""

    account = Text(required=False, max_length=64, help_text="Somebody's id.")
    address = Text(required=False, max_length=64, help_text="As in `lockouts`.")


class Lockouts(Endpoint):
    """Too many wrong passwords, for organisation administrators. Names that nobody has are not shown."""

    @extend_schema(operation_id="lockouts", responses=LockoutList)
    def listed(self, request: Request) -> Response:
        """Whoever is locked out now."""
        self.filters(request)
        require_in_organisation(self.actor(request), "organisation.manage", reading=True)
        return Response(LockoutList({"results": lockout.lockouts()}).data)

    @extend_schema(operation_id="lockouts_unlock", request=UnlockBody, responses={204: None})
    def unlock(self, request: Request) -> Response:
        """Forget the wrong passwords for an account or from an address. Again changes nothing."""
        given, actor = self.body(request, UnlockBody), self.actor(request)
        # First of all: whether somebody exists is nobody else's business.
        require_in_organisation(actor, "organisation.manage")
        if len(given) != 1:
            raise ValidationError({"account": "name an account or an address, and not both"})
        if "address" in given:
            lockout.unlock_address(actor, given["address"])
            return Response(status=204)
        person = User.objects.filter(pseudonym=given["account"]).first()
        if person is None:
            raise NotFound(f"Nobody has the id {given['account']!r}.")
        lockout.unlock_person(actor, person)
        return Response(status=204)


def _key(request: Request) -> str:
    return request._request.session.session_key or ""
