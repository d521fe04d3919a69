"""Bearer tokens for the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from access.models import ApiToken, ServiceAccount, User
from access.permissions import request_id, service_actor, user_actor


class ServicePrincipal(AnonymousUser):
    """A signed-in service account, as Django REST framework wants it: authenticated, but no user row."""

    def __init__(self, account: ServiceAccount) -> None:
        super().__init__()
        self.account = account

    @property
    def is_authenticated(self) -> bool:  # type: ignore[override]
        return True


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer cst_…`. Sets `countersign_actor` on the request."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = (
            ApiToken.objects.select_related("user", "service_account")
            .filter(hash=ApiToken.hash_of(secret.strip()))
            .first()
        )
        holder = (token.user or token.service_account) if token else None
        if token is None or holder is None or not token.is_usable or not holder.is_active:
            raise AuthenticationFailed("The token is unknown, expired or revoked; make a new one.")
        now = timezone.now()
        # Once a minute is enough to see an unused token, and spares a write per request.
        if token.last_used_at is None or token.last_used_at < now - timedelta(minutes=1):
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        principal: User | ServicePrincipal
        if isinstance(holder, User):
            actor, principal = user_actor(holder, "api", request_id(request.headers)), holder
        else:
            actor, principal = (
                service_actor(holder, "api", request_id(request.headers)),
                ServicePrincipal(holder),
            )
        request._request.countersign_actor = actor  # type: ignore[attr-defined]  # see request_actor
        return principal, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):
    """How the token appears in the OpenAPI document."""

    target_class = "access.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
