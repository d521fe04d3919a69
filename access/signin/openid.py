"""OpenID Connect, on django-allauth's authorization code flow: what it leaves open is decided here.

Always PKCE (S256), state and nonce; the id token's signature, issuer, audience and times are checked though it came
by TLS; an issuer that names itself otherwise than it was connected is refused; nothing of the request reaches the
provider's address but `next`, which stays with us.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import jwt
import requests
from allauth.socialaccount.models import SocialApp, SocialToken
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from requests.adapters import BaseAdapter

from access import outgoing
from access.signin.models import IdentityProvider
from access.signin.providers import callback_address, may_be_private, refuse_unsafe
from access.signin.sealing import SealError, unseal

logger = logging.getLogger(__name__)
# Signatures with a private key only: with a shared secret, whoever can check could also make them.
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
# Clocks differ, in seconds.
_LEEWAY = 60
NOTHING: Mapping[str, str] = MappingProxyType({})
_LARGEST_ANSWER = 1024 * 1024
# Members of a sign-in's state: whose session it confirms anew, when (Unix time) it began, and when a second factor
# was shown.
CONFIRMS, BEGUN, FACTOR_AT = "confirms", "begun", "factor_at"
# What is asked of a provider at which somebody has to sign in anew.
ANEW: Mapping[str, str] = MappingProxyType({"prompt": "login", "max_age": "0"})


class Session(requests.Session):
    """Requests to a provider, by `access.outgoing`: to public addresses over TLS, but for hosts that are named."""

    def __init__(self) -> None:
        super().__init__()
        self.headers.clear()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Outgoing())

    def request(self, method: str, address: str, *args: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        try:
            refuse_unsafe(address.partition("?")[0], "address")
        except ValidationError as error:
            raise OAuth2Error(f"{address}: {'; '.join(error.messages)}") from error
        return super().request(method, address, *args, **{**options, "allow_redirects": False})


class _Outgoing(BaseAdapter):
    """How a session's requests leave. What providers are asked for is JSON, whatever they call it."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        address, body = str(request.url), cast(str | bytes | None, request.body)
        headers = cast(Mapping[str, str], request.headers)
        try:
            answer = outgoing.ask(
                str(request.method),
                address,
                headers={**headers, "Accept": "application/json"},
                body=body.encode() if isinstance(body, str) else body,
                longest=_LARGEST_ANSWER,
                private=may_be_private(address),
            )
        except outgoing.PrivateAddressError as error:
            raise OAuth2Error(
                f"{error}; whoever runs the server names the issuer in COUNTERSIGN_PRIVATE_ISSUERS"
            ) from error
        except outgoing.NoAnswerError as error:
            raise requests.ConnectionError(f"{address} {error}") from error
        if len(answer.body) > _LARGEST_ANSWER:
            raise OAuth2Error(f"{address} answers with more than {_LARGEST_ANSWER} bytes.")
        response = requests.Response()
        response.request, response.url, response.status_code = request, address, answer.status
        response.headers["Content-Type"] = "application/json"
        response._content = answer.body
        return response

    def close(self) -> None:
        """Nothing is kept open."""


def _json(answer: requests.Response) -> dict[str, Any]:
    """The object in an answer. Raises OAuth2Error or requests' own."""
    answer.raise_for_status()
    try:
        found = answer.json()
    except ValueError as error:
        raise OAuth2Error(f"{answer.url} answers with no JSON.") from error
    if not isinstance(found, dict):
        raise OAuth2Error(f"{answer.url} answers with no object.")
    return found


class Exchange(OpenIDConnectOAuth2Adapter):
    """From the code that the provider sent back to who signed in."""

    # What was put aside when the sign-in began.
    state: dict[str, Any]

    @property
    def openid_config(self) -> dict[str, Any]:
        if not hasattr(self, "_openid_config"):
            provider = self.get_provider()
            with Session() as session:
                found = _json(session.get(provider.server_url))
            if found.get("issuer") != provider.row.issuer:
                raise OAuth2Error(
                    f"{provider.server_url} speaks for {found.get('issuer')!r}, not for {provider.row.issuer!r}."
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
                if name in found or name != "userinfo_endpoint":
                    refuse_endpoint(name, str(found.get(name, "")), provider.row.issuer)
            self._openid_config = found
        return self._openid_config

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return callback_address(self.get_provider().row)

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> Any:
        provider = self.get_provider()
        claims = self._verified(app, kwargs["response"].get("id_token"))
        vouched = _factor_at(provider.row, claims)
        if CONFIRMS in self.state and not signed_in_since(claims, self.state[BEGUN]):
            raise OAuth2Error("The id token does not say, in auth_time, that somebody signed in anew.")
        if self.openid_config.get("userinfo_endpoint"):
            more = self._fetch_user_info(token.token)
            if more.get("sub") != claims["sub"]:
                raise OAuth2Error("The userinfo is about somebody else than the id token.")
            claims = {**more, **claims}
        login = provider.sociallogin_from_response(request, claims)
        login.claims = claims
        if vouched is not None:
            # In the state, which allauth takes along while more is asked of whoever signs in.
            self.state[FACTOR_AT] = vouched
        return login

    def _fetch_user_info(self, access_token: str) -> dict[str, Any]:
        with Session() as session:
            return _json(session.get(self.profile_url, headers={"Authorization": f"Bearer {access_token}"}))

    def _verified(self, app: SocialApp, id_token: Any) -> dict[str, Any]:
        """The claims of an id token that is signed, for us, of now, and of this sign-in. Raises OAuth2Error."""
        if not isinstance(id_token, str):
            raise OAuth2Error("There is no id token.")
        with Session() as session:
            keys = _json(session.get(self.openid_config["jwks_uri"]))
        try:
            claims: dict[str, Any] = jwt.decode(
                id_token,
                _signing_key(keys, jwt.get_unverified_header(id_token)),
                algorithms=sorted(ALGORITHMS),
                issuer=self.get_provider().row.issuer,
                audience=app.client_id,
                leeway=_LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"The id token is refused: {error}") from error
        if claims.get("azp", app.client_id) != app.client_id:
            raise OAuth2Error("The id token was made for another client.")
        expected = self.state.get("nonce")
        if not expected or not secrets.compare_digest(str(claims.get("nonce", "")), expected):
            raise OAuth2Error("The id token belongs to another sign-in: its nonce is not ours.")
        return claims


def _factor_at(row: IdentityProvider, claims: dict[str, Any]) -> float | None:
    """When, as the signed claims say, a second factor was shown; None where they do not, or are not believed."""
    methods = claims.get("amr")
    said = {
        each
        for each in (claims.get("acr"), *(methods if isinstance(methods, list) else ()))
        if isinstance(each, str)
    }
    if not said & set(row.second_factor):
        return None
    at = claims.get("auth_time")
    # Without a time it was shown, but not lately.
    return min(float(at), time.time()) if isinstance(at, int) and not isinstance(at, bool) else 0.0


def refuse_endpoint(name: str, address: str, issuer: str) -> None:
    """Raise OAuth2Error for one that others could listen to, or by which a provider elsewhere reaches inside."""
    try:
        refuse_unsafe(address.partition("?")[0], name)
    except ValidationError as error:
        raise OAuth2Error(f"{name} {address!r}: {'; '.join(error.messages)}") from error
    if may_be_private(address) and not may_be_private(issuer):
        raise OAuth2Error(f"{name} {address!r} is inside, where the provider is not.")


def _signing_key(keys: dict[str, Any], header: dict[str, Any]) -> jwt.PyJWK:
    """The provider's key that the token names; without a name, its only one. Raises PyJWTError."""
    if header.get("alg") not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError(f"the algorithm {header.get('alg')!r} is none of public keys")
    usable = [key for key in jwt.PyJWKSet.from_dict(keys).keys if key.public_key_use in (None, "sig")]
    named = [key for key in usable if "kid" not in header or key.key_id == header["kid"]]
    if len(named) != 1 or named[0].algorithm_name not in ALGORITHMS:
        raise jwt.InvalidKeyError(f"no key {header.get('kid')!r} of the provider")
    return named[0]


class Provider(OpenIDConnectProvider):
    """A connected provider, as allauth's flow sees it."""

    oauth2_adapter_class = Exchange
    pkce_enabled_default = True
    supports_token_authentication = False

    def __init__(self, request: HttpRequest, row: IdentityProvider) -> None:
        self.row = row
        super().__init__(request, app=as_app(row))

    @property
    def server_url(self) -> str:
        return f"{self.row.issuer.rstrip('/')}/.well-known/openid-configuration"

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if "confirm" in request.POST and request.user.is_authenticated:
            whose = {CONFIRMS: str(request.user.pk), BEGUN: int(time.time())}
            return self._redirect(request, next_url, ANEW, **whose)
        return self._redirect(request, next_url)

    def redirect_to_link(self, request: HttpRequest, member: str) -> HttpResponse:
        """Out to the provider, to link an identity to the account of `member`, who has to sign in there anew."""
        return self._redirect(request, None, ANEW, links=member, **{BEGUN: int(time.time())})

    def _redirect(
        self, request: HttpRequest, next_url: str | None, asked: Mapping[str, str] = NOTHING, **kept: Any
    ) -> HttpResponse:
        """Whatever the request asks for: a sign-in, our scopes, and a nonce that only this browser's session knows.

        `kept`: put aside in the session until the provider answers.
        """
        nonce = secrets.token_urlsafe(32)
        answer: HttpResponse = super().redirect(
            request,
            AuthProcess.LOGIN,
            next_url,
            scope=list(self.row.scopes),
            auth_params={"nonce": nonce, **asked},
            nonce=nonce,
            **kept,
        )
        return answer

    def extract_uid(self, data: dict[str, Any]) -> str:
        return str(data["sub"])

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        return {}  # who somebody is stands in their row alone

    def extract_email_addresses(self, data: dict[str, Any]) -> list[Any]:
        return []

    def cleanup_email_addresses(self, email: str | None, addresses: list[Any], **_: Any) -> str | None:
        return email if isinstance(email, str) else None

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        names = ("email", "name", "family_name", "given_name", "preferred_username")
        told = {name: data[name] for name in names if isinstance(data.get(name), str)}
        return {
            "email": told.get("email"),
            "name": told.get("name"),
            "last_name": told.get("family_name"),
            "first_name": told.get("given_name"),
            "username": told.get("preferred_username"),
        }


def signed_in_since(claims: Mapping[str, Any], moment: int) -> bool:
    """Whether the provider says that the person signed in there after a moment (seconds since the epoch)."""
    told = claims.get("auth_time")
    return isinstance(told, int) and not isinstance(told, bool) and told >= moment - _LEEWAY


class Callback(OAuth2CallbackView):
    """The provider's answer; what was put aside for it is used once."""

    adapter: Exchange

    def _get_state(self, request: HttpRequest, provider: Provider) -> tuple[dict[str, Any] | None, Any]:
        state, answer = super()._get_state(request, provider)
        self.adapter.state = state or {}
        return state, answer


def as_app(row: IdentityProvider) -> SocialApp:
    """The provider as allauth has it, in memory: its own table of them stays empty. Raises OAuth2Error."""
    try:
        secret = unseal(row.sealed_secret) if row.sealed_secret else ""
    except SealError as error:
        raise OAuth2Error(str(error)) from error
    return SocialApp(
        provider="openid_connect",
        provider_id=row.key,
        name=row.name,
        client_id=row.client_id,
        secret=secret,
        settings={"server_url": row.issuer},
    )
