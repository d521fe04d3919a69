"""An OpenID provider on loopback, over real HTTP, that can be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from django.http import HttpResponse
from django.test import Client
from jwt.algorithms import RSAAlgorithm

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SECRET = "client-secret-9f2c-of-32-bytes-or-more"
ANOTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class OpenIdProvider:
    """Knows people by subject; `claims` and the other members may be changed between sign-ins."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.says_issuer = self.issuer
        self.key: Any = KEY
        self.algorithm = "RS256"
        # Put over the claims of the id token.
        self.forged: dict[str, Any] = {}
        self.endpoints: dict[str, str] = {}
        self.userinfo: dict[str, Any] = {}
        self.asked: dict[str, str] = {}
        self.token_body: dict[str, str] = {}
        self.down = False
        self._codes: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def consent(self, address: str, subject: str, **claims: Any) -> str:
        """What a person does there: signs in and agrees. Returns the query with which they come back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self.asked = asked
        code = secrets.token_urlsafe(8)
        self._codes[code] = (asked, {"sub": subject, **claims})
        return f"code={code}&state={asked['state']}"

    def _answer(self, path: str, body: dict[str, str]) -> dict[str, Any] | None:
        if path.endswith("/.well-known/openid-configuration"):
            return {
                "issuer": self.says_issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                **({"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.userinfo else {}),
                **self.endpoints,
            }
        if path == "/keys":
            return {
                "keys": [{**json.loads(RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "1", "alg": "RS256"}]
            }
        if path == "/userinfo":
            return self.userinfo
        if path == "/token":
            self.token_body = body
            asked, claims = self._codes.pop(body["code"])
            digest = hashlib.sha256(body["code_verifier"].encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
                return None
            now = int(time.time())
            token = {
                "iss": self.issuer,
                "aud": asked["client_id"],
                "iat": now,
                "exp": now + 300,
                "nonce": asked["nonce"],
                **claims,
                **self.forged,
            }
            signed = jwt.encode(token, self.key, self.algorithm, headers={"kid": "1"})
            return {"access_token": "at", "token_type": "Bearer", "id_token": signed}
        return None

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send({})

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._send({name: values[0] for name, values in parse_qs(raw).items()})

            def _send(self, body: dict[str, str]) -> None:
                answer = None if provider.down else provider._answer(urlsplit(self.path).path, body)
                self.send_response(500 if provider.down else 400 if answer is None else 200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer or {"error": "invalid_grant"}).encode())

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


def browser() -> Client:
    return Client(headers={"Host": "localhost:8000"})


def begin(client: Client, **form: str) -> str:
    """Choose Acme on the sign-in page; returns the address at Acme that the browser goes to."""
    return page_to(client.post("/sign-in/acme/", form))


def page_to(answer: Any) -> str:
    """Where the page goes that an answer is."""
    assert answer.status_code == 200, answer.headers
    found = re.search(r'<a href="([^"]+)"', answer.content.decode())
    assert found
    return html.unescape(found[1])


def sign_in(client: Client, openid: OpenIdProvider, subject: str, **claims: Any) -> HttpResponse:
    query = openid.consent(begin(client), subject, **claims)
    return client.get(f"/sign-in/acme/callback/?{query}")
