"""Bearer tokens for the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from access import workload
from access.models import ApiToken, ServiceAccount, TrustRule, User
from access.permissions import bearing, request_id, service_actor, user_actor
from access.scopes import Bearer, address_of, is_inside


class ServicePrincipal(AnonymousUser):
    """A signed-in service account, as Django REST framework wants it: authenticated, but no user row."""

    def __init__(self, account: ServiceAccount) -> None:
        super().__init__()
        self.account = account

    @property
    def is_authenticated(self) -> bool:  # type: ignore[override]
        return True


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer cst_…`, or a pipeline's identity token. Sets `countersign_actor` on the request."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken | TrustRule] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        secret = secret.strip()
        credential: ApiToken | TrustRule
        holder: User | ServiceAccount
        if workload.looks_like_one(secret):
            credential, holder, bearer = self._identity(secret)
            named = f"trust-rule/{credential.pk}"
        else:
            credential, holder, bearer = self._token(request, secret)
            named = f"token/{credential.pk}"
        name = request_id(request.headers)
        principal: User | ServicePrincipal
        if isinstance(holder, User):
            actor, principal = user_actor(holder, "api", name), holder
        else:
            actor, principal = service_actor(holder, "api", name), ServicePrincipal(holder)
        request._request.countersign_actor = bearing(actor, named, bearer)  # type: ignore[attr-defined]
        return principal, credential

    def _token(self, request: Request, secret: str) -> tuple[ApiToken, User | ServiceAccount, Bearer]:
        if not ApiToken.is_whole(secret):
            raise AuthenticationFailed(
                "The token is mistyped or cut off: it is no `cst_…` of ours, as its checksum says."
            )
        rows = ApiToken.objects.select_related("user", "service_account")
        token = rows.filter(hash=ApiToken.hash_of(secret)).first()
        if token is None or not token.is_usable or not token.holder.is_active:
            raise AuthenticationFailed("The token is unknown, expired or revoked; make a new one.")
        address = address_of(request.META, behind_proxy=settings.BEHIND_TLS_PROXY)
        bearer = token.bearer
        if not is_inside(address, bearer.addresses):
            raise AuthenticationFailed(
                f"The token works from {', '.join(map(str, bearer.addresses))} only, and this came from "
                f"{address or 'an unknown address'}. Whoever made it can make one for other addresses."
            )
        if _is_news(token.last_used_at):
            ApiToken.objects.filter(pk=token.pk).update(
                last_used_at=timezone.now(), last_used_from=None if address is None else str(address)
            )
        return token, token.holder, bearer

    def _identity(self, secret: str) -> tuple[TrustRule, ServiceAccount, Bearer]:
        try:
            rule, ends = workload.recognise(secret)
        except workload.UntrustedError as error:
            raise AuthenticationFailed(str(error)) from error
        if not rule.service_account.is_active:
            raise AuthenticationFailed("The service account of this identity is not active; ask its team.")
        if _is_news(rule.last_used_at):
            TrustRule.objects.filter(pk=rule.pk).update(last_used_at=timezone.now())
        return rule, rule.service_account, Bearer(rule.reach, ends)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _is_news(last: datetime | None) -> bool:
    """Once a minute is enough to see an unused token, and spares a write per request."""
    return last is None or last < timezone.now() - timedelta(minutes=1)


class TokenScheme(OpenApiAuthenticationExtension):
    """How the token appears in the OpenAPI document."""

    target_class = "access.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
