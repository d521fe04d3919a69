"""A pipeline comes with the identity token that its own platform signed: real keys, a real server for them."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.utils import timezone

from access import issuers, outgoing, workload
from access.limits import LimitsError
from access.models import ServiceAccount, TrustRule
from access.permissions import ForbiddenError
from audit.models import Event
from tests.api.conftest import Answer, Api
from tests.cast import ON

REPOSITORY = {"repository": {"equals": "shop/site"}, "ref": {"starts_with": "refs/heads/release-"}}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


def public(kid: str, key: Any) -> dict[str, Any]:
    algorithm: Any = (
        jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    )
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


class Issuer:
    """An issuer on loopback: its description, its keys, and how often it was asked."""

    def __init__(self) -> None:
        self.keys = [public("rsa", RSA), public("ec", CURVE)]
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                status, headers, body = issuer.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.answers:
            return self.answers[path]
        known = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": self.keys},
        }
        return (200, {}, json.dumps(known[path]).encode()) if path in known else (404, {}, b"{}")

    def token(self, key: Any = RSA, kid: str = "rsa", algorithm: str = "RS256", **claims: Any) -> str:
        now = int(time.time())
        whole = {
            "iss": self.url,
            "aud": "countersign",
            "sub": "repo:shop/site:environment:production",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "repository": "shop/site",
            "ref": "refs/heads/release-7",
            **claims,
        }
        present = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(present, key, algorithm, headers={"kid": kid})


@pytest.fixture
def issuer(settings: Any) -> Iterator[Issuer]:
    made = Issuer()
    settings.PRIVATE_ISSUERS = [made.url]
    issuers.forget()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def rule(api: Api, pipeline: ServiceAccount, issuer: Issuer) -> TrustRule:
    return workload.trust(
        api.cast.actor("root"),
        pipeline,
        "release",
        issuer=issuer.url,
        audience="countersign",
        claims=REPOSITORY,
        scope={"projects": ["shop"]},
    )


def me(api: Api, token: str) -> Answer:
    return api.get(None, "me", Authorization=f"Bearer {token}")


def test_a_pipelines_token_acts_as_the_service_account(
    api: Api, rule: TrustRule, issuer: Issuer, pipeline: ServiceAccount
) -> None:
    for token in (issuer.token(), issuer.token(CURVE, "ec", "ES256")):
        assert me(api, token).body["id"] == pipeline.pseudonym
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"], "the keys are kept"
    bearer = {"Authorization": f"Bearer {issuer.token()}"}
    assert api.post(None, "change-requests", api.change(ON), **bearer).status == 201
    event = Event.objects.get(type="approvals.v1.change_request.proposed", line__contains="production")
    assert f'"credential":"trust-rule/{rule.pk}","id":"{pipeline.pseudonym}"' in event.line
    assert "repo:shop/site" not in event.line
    assert api.get(None, "projects/other", **bearer).status == 404
    rule.refresh_from_db()
    assert rule.last_used_at is not None


def test_what_it_makes_ends_with_it(api: Api, rule: TrustRule, issuer: Issuer) -> None:
    bearer = {"Authorization": f"Bearer {issuer.token()}"}
    late = {"name": "keep", "expires_at": "2099-01-01T00:00:00Z"}
    assert api.post(None, "tokens", late, **bearer).status in (403, 422)
    kept = api.post(None, "tokens", {"name": "keep"}, **bearer).body
    assert datetime.fromisoformat(kept["expires_at"]) < timezone.now() + timedelta(days=1)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "has expired"),
        ({"exp": None}, '"exp"'),
        ({"iat": None}, '"iat"'),
        ({"nbf": int(time.time()) + 3600}, "not yet valid"),
        ({"iat": int(time.time()) + 3600, "exp": int(time.time()) + 3900}, "not yet valid"),
        ({"exp": int(time.time()) + 90_000}, "longer than a day"),
        ({"aud": "somebody-else"}, "has this audience"),
        ({"aud": None}, '"aud"'),
        ({"repository": "shop/site2"}, "matches the claims"),
        ({"repository": ["shop/site"]}, "matches the claims"),
        ({"repository": None}, "matches the claims"),
        ({"ref": "refs/heads/main"}, "matches the claims"),
        ({"iss": "https://issuer.example.com"}, "trusts this issuer"),
        ({"iss": None}, "trusts this issuer"),
    ],
)
def test_a_token_that_is_not_the_pipelines_is_refused(
    api: Api, rule: TrustRule, issuer: Issuer, claims: dict[str, Any], reason: str
) -> None:
    answer = me(api, issuer.token(**claims))
    assert answer.status == 401
    assert reason in answer.body["detail"]


def _by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, claims)]
    signature = hmac.digest(secret, b".".join(parts), hashlib.sha256) if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def _nested() -> str:
    return base64.urlsafe_b64encode(b'{"a":' + b"[" * 3_000 + b"]" * 3_000 + b"}").rstrip(b"=").decode()


def test_forgeries_are_refused(api: Api, rule: TrustRule, issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, signature = issuer.token().split(".")
    wider = base64.urlsafe_b64encode(json.dumps({**claims, "repository": "evil/site"}).encode()).rstrip(b"=")
    forged = {
        "alg none": _by_hand({"alg": "none", "kid": "rsa"}, claims, None),
        "alg None in capitals": _by_hand({"alg": "NONE", "kid": "rsa"}, claims, None),
        "HS256 with the public key": _by_hand({"alg": "HS256", "kid": "rsa"}, claims, pem),
        "another key": issuer.token(OTHER),
        "an unknown key": issuer.token(OTHER, kid="mine"),
        "no key named": _by_hand({"alg": "RS256"}, claims, pem),
        "the other kind of key": issuer.token(OTHER, kid="ec"),
        "a changed claim": f"{head}.{wider.decode()}.{signature}",
        "no signature": f"{head}.{body}.",
        "a key of its own": jwt.encode(
            claims, OTHER, "RS256", headers={"kid": "rsa", "jwk": public("rsa", OTHER)}
        ),
        "keys elsewhere": jwt.encode(
            claims, OTHER, "RS256", headers={"kid": "rsa", "jku": "https://evil.example.com/keys"}
        ),
        "huge": issuer.token(padding="x" * 9_000),
        "nothing": "ey..",
        "claims nested without end": f"{head}.{_nested()}.{signature}",
        "a header nested without end": f"{_nested()}.{body}.{signature}",
        "an endless number": issuer.token(iat=10**400),
        "infinity": issuer.token(exp=float("inf")),
        "no JSON": "eyJ.eyJ.eyJ",
    }
    for what, token in forged.items():
        assert me(api, token).status == 401, what
    assert me(api, issuer.token()).status == 200


def test_nobody_else_is_asked_and_the_issuer_seldom(api: Api, rule: TrustRule, issuer: Issuer) -> None:
    stranger = Issuer()
    try:
        assert me(api, stranger.token()).status == 401
        assert stranger.asked == []
    finally:
        stranger.server.shutdown()
        stranger.server.server_close()
    for number in range(5):
        assert me(api, issuer.token(OTHER, kid=f"unknown-{number}")).status == 401
    assert len(issuer.asked) == 2


def test_a_new_key_of_the_issuer_is_found(
    api: Api, rule: TrustRule, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert me(api, issuer.token()).status == 200
    issuer.keys = [public("next", OTHER)]
    assert me(api, issuer.token(OTHER, "next")).status == 401
    monkeypatch.setattr(issuers, "PAUSE", 0.0)
    assert me(api, issuer.token(OTHER, "next")).status == 200
    assert me(api, issuer.token()).status == 401, "the key that it took back counts no more"


def test_an_issuer_that_is_slow_holds_up_nobody_whose_key_is_known(
    api: Api, rule: TrustRule, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuers.signing_key(issuer.url, "rsa", "RS256")
    monkeypatch.setattr(issuers, "KEPT", 0.0)
    monkeypatch.setattr(outgoing, "STEP", 0.1)
    asked, answered = threading.Event(), threading.Event()
    answer = issuer.answer

    def slow(path: str) -> Any:
        asked.set()
        assert answered.wait(10)
        return answer(path)

    monkeypatch.setattr(issuer, "answer", slow)
    monkeypatch.setattr(outgoing, "_connect", functools.partial(_patiently, outgoing._connect))
    first = threading.Thread(target=issuers.signing_key, args=(issuer.url, "rsa", "RS256"))
    first.start()
    try:
        assert asked.wait(10)
        assert issuers.signing_key(issuer.url, "rsa", "RS256")
        with pytest.raises(issuers.IssuerError):
            issuers.signing_key(issuer.url, "just-made", "RS256")
    finally:
        answered.set()
        first.join()
    assert len(issuer.asked) == 4, "one asked anew, nobody else"


def _patiently(connect: Any, *args: Any) -> Any:
    connection = connect(*args)
    connection.sock.settimeout(10)
    return connection


@pytest.mark.parametrize(
    "answer",
    [
        (302, {"Location": "/keys"}, b""),
        (200, {}, b"[]"),
        (200, {}, b"{"),
        (200, {}, b" " * (issuers.LONGEST_ANSWER + 1)),
        (500, {}, b"{}"),
    ],
)
def test_an_issuer_that_answers_anything_else_is_not_believed(
    api: Api, rule: TrustRule, issuer: Issuer, answer: Any
) -> None:
    issuer.answers["/.well-known/openid-configuration"] = answer
    assert me(api, issuer.token()).status == 401


def test_an_issuer_that_is_not_named_as_private_is_not_reached(
    api: Api, rule: TrustRule, issuer: Issuer, settings: Any
) -> None:
    settings.PRIVATE_ISSUERS = []
    assert me(api, issuer.token()).status == 401
    assert issuer.asked == []
    for url in ("https://localhost", "https://127.0.0.1:9", "https://[::1]", "https://169.254.169.254"):
        with pytest.raises(issuers.IssuerError, match="not public"):
            issuers.signing_key(url, "rsa", "RS256")


def test_a_rule_says_whose_pipelines_are_meant(api: Api, pipeline: ServiceAccount, issuer: Issuer) -> None:
    root = api.cast.actor("root")
    whole: dict[str, Any] = {"issuer": issuer.url, "audience": "countersign", "claims": REPOSITORY}
    for member, value in {
        "claims": {},
        "claims.repository": {"repository": "shop/site"},
        "claims.ref": {"ref": {"starts_with": ""}},
    }.items():
        with pytest.raises(LimitsError) as refused:
            workload.trust(root, pipeline, "wrong", **{**whole, "claims": value})
        assert refused.value.member == member
    for url in (
        "http://issuer.example.com",
        "https://user@issuer.example.com",
        "https://",
        "file:///etc/passwd",
    ):
        with pytest.raises(LimitsError, match="issuer"):
            workload.trust(root, pipeline, "wrong", **{**whole, "issuer": url})
    with pytest.raises(ForbiddenError):
        workload.trust(api.cast.actor("administrator"), pipeline, "mine", **whole)


def test_a_rule_that_was_taken_back_and_an_account_that_was_stopped_let_nobody_in(
    api: Api, rule: TrustRule, issuer: Issuer, pipeline: ServiceAccount
) -> None:
    ServiceAccount.objects.filter(pk=pipeline.pk).update(is_active=False)
    assert me(api, issuer.token()).status == 401
    ServiceAccount.objects.filter(pk=pipeline.pk).update(is_active=True)
    assert me(api, issuer.token()).status == 200
    workload.distrust(api.cast.actor("root"), rule)
    assert me(api, issuer.token()).status == 401
    assert timezone.now() > TrustRule.objects.get().revoked_at
    kinds = Event.objects.filter(type__startswith="access.v1.trust_rule").values_list("type", flat=True)
    assert list(kinds) == ["access.v1.trust_rule.made", "access.v1.trust_rule.revoked"]
