"""Accounts over HTTP, for organisation administrators: made, changed, given passwords, linked to identities.

What shows who one is oneself (one's own password, second factors, linking) is done in the browser.
"""

from __future__ import annotations

from allauth.socialaccount.models import SocialAccount
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access import accounts
from access.accounts import PERSONAL
from access.api.body import Body, Text, Truth
from access.api.endpoint import Endpoint
from access.models import User
from access.permissions import require_in_organisation
from access.signin import linking
from access.signin.factors import kind_names
from access.signin.models import IdentityProvider


class IdentitySerializer(serializers.ModelSerializer[SocialAccount]):
    """An identity that signs in as somebody."""

    subject = serializers.CharField(source="uid", help_text="What the provider gives as `sub`.")

    class Meta:
        model = SocialAccount
        fields = ("provider", "subject")


class AccountSerializer(serializers.ModelSerializer[User]):
    """An account of a person. Their roles are `memberships`."""

    id = serializers.CharField(source="pseudonym", help_text="Pseudonymous, as in changes and events.")
    second_factors = serializers.SerializerMethodField(help_text="What they have set up, by kind.")
    identities = IdentitySerializer(many=True, source="socialaccount_set")

    class Meta:
        model = User
        fields = ("id", *PERSONAL, "is_active", "is_superuser", "erased_at", "second_factors", "identities")

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_second_factors(self, row: User) -> list[str]:
        return kind_names(row.authenticator_set.all())  # type: ignore[attr-defined]


class AccountFilter(Body):
    """Filters of accounts."""

    q = Text(
        required=False, max_length=254, help_text="Words that are in the user name, name or e-mail address."
    )
    is_active = serializers.BooleanField(required=False, allow_null=True, default=None)


class PersonalBody(Body):
    """What is known of a person."""

    username = Text(max_length=150, required=False)
    first_name = Text(max_length=150, required=False, allow_blank=True)
    last_name = Text(max_length=150, required=False, allow_blank=True)
    email = Text(max_length=254, required=False, allow_blank=True)


class NewAccountBody(PersonalBody):
    """An account to make."""

    username = Text(max_length=150)
    password = Text(
        max_length=4096,
        required=False,
        trim_whitespace=False,
        help_text="Their first one. Left out: they sign in through a provider, or are given one later.",
    )


class AccountChange(PersonalBody):
    """What to change; what is left out stays."""

    is_active = Truth(
        required=False, help_text="False: it does not sign in, and its approvals stop counting."
    )
    is_superuser = Truth(
        required=False, help_text="Administers the organisation whatever its roles say; a role is better."
    )


class PasswordBody(Body):
    """A password to set."""

    password = Text(max_length=4096, trim_whitespace=False)


class IdentityBody(Body):
    """Whose identity it is at the provider."""

    subject = Text(max_length=191, help_text="What the provider gives as `sub`: not a name or an address.")


class Accounts(Endpoint):
    """Accounts of people. Nobody is deleted: they are made inactive, or erased (`people/<id>/erasure`)."""

    @extend_schema(parameters=[AccountFilter], responses=AccountSerializer(many=True))
    def list(self, request: Request) -> Response:
        """All accounts."""
        given = self.filters(request, AccountFilter)
        require_in_organisation(self.actor(request), "account.manage", reading=True)
        rows = accounts.search(given.get("q", "")).prefetch_related("authenticator_set", "socialaccount_set")
        if given["is_active"] is not None:
            rows = rows.filter(is_active=given["is_active"])
        return self.page(request, rows, AccountSerializer)

    @extend_schema(responses=AccountSerializer)
    def retrieve(self, request: Request, person: str) -> Response:
        """An account."""
        self.filters(request)
        return self._shown(self._find(request, person, reading=True))

    @extend_schema(
        request=NewAccountBody,
        responses={201: AccountSerializer},
        examples=[
            OpenApiExample(
                "For somebody who signs in through a provider",
                {"username": "nadja", "first_name": "Nadja", "email": "nadja@example.com"},
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Make an account. It has no role yet."""
        given = self.body(request, NewAccountBody)
        made = accounts.create_account(self.actor(request), given.pop("password", None), **given)
        return Response(AccountSerializer(made).data, 201)

    @extend_schema(request=AccountChange, responses=AccountSerializer)
    def partial_update(self, request: Request, person: str) -> Response:
        """Change what is known of a person, make the account inactive or active again."""
        given = self.body(request, AccountChange)
        row = self._find(request, person)
        accounts.change_account(
            self.actor(request),
            row,
            is_active=given.pop("is_active", row.is_active),
            is_superuser=given.pop("is_superuser", row.is_superuser),
            personal={name: given.get(name, getattr(row, name)) for name in PERSONAL},
        )
        return self._shown(self._find(request, person))

    @extend_schema(operation_id="accounts_password", request=PasswordBody, responses={204: None})
    def password(self, request: Request, person: str) -> Response:
        """Set somebody's password: their sessions end, and their API tokens are revoked."""
        given = self.body(request, PasswordBody)
        accounts.set_password(self.actor(request), self._find(request, person), given["password"])
        return Response(status=204)

    @extend_schema(operation_id="accounts_link", request=IdentityBody, responses=AccountSerializer)
    def link(self, request: Request, person: str, provider: str) -> Response:
        """Let an identity at a provider sign in as somebody. Again changes nothing."""
        given = self.body(request, IdentityBody)
        row = self._find(request, person)
        known = SocialAccount.objects.filter(user=row, provider=provider, uid=given["subject"])
        if not known.exists():
            linking.link(self.actor(request), row, self._provider(provider), given["subject"])
        return self._shown(self._find(request, person))

    @extend_schema(operation_id="accounts_unlink", responses={204: None})
    def unlink(self, request: Request, person: str, provider: str) -> Response:
        """Unlink somebody's identity: what its groups gave is taken back, the sessions that it opened end."""
        self.body(request)
        row = self._find(request, person)
        linking.unlink(self.actor(request), row, self._provider(provider))
        return Response(status=204)

    def _find(self, request: Request, person: str, *, reading: bool = False) -> User:
        # First of all: whether somebody exists is nobody else's business.
        require_in_organisation(self.actor(request), "account.manage", reading=reading)
        row = User.objects.filter(pseudonym=person).first()
        if row is None:
            raise NotFound(f"Nobody has the id {person!r}.")
        return row

    def _provider(self, key: str) -> IdentityProvider:
        rows: QuerySet[IdentityProvider] = IdentityProvider.objects.filter(key=key)
        row = rows.first()
        if row is None:
            raise NotFound(f"There is no identity provider {key!r}.")
        return row

    def _shown(self, row: User) -> Response:
        return Response(AccountSerializer(row).data)
