"""An installation behind https is clean for Django's own deployment check, and sends what keeps pages safe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = "https://flags.example.com"

PAGES = """
import json, django
django.setup()
from django.test import Client
found = {}
for name, path in (("page", "/admin/login/"), ("api", "/api/v1/me")):
    answer = Client(headers={"host": "flags.example.com"}).get(path, secure=True)
    found[name] = [answer.status_code, dict(answer.headers), {n: dict(c) for n, c in answer.cookies.items()}]
plain = Client(headers={"host": "flags.example.com"}).get("/admin/login/")
found["plain"] = [plain.status_code, dict(plain.headers), {}]
from django.conf import settings
found["session"] = [settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "COUNTERSIGN_BASE_URL": BASE,
        "COUNTERSIGN_DATA": str(tmp_path_factory.mktemp("deployment")),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_the_deployment_check_finds_nothing(environment: dict[str, str]) -> None:
    done = run(environment, "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_pages_are_sent_with_what_keeps_them_safe(environment: dict[str, str]) -> None:
    assert run(environment, "manage.py", "migrate", "-v0").returncode == 0
    done = run(environment, "-c", PAGES)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for name in ("page", "api"):
        _, headers, _ = found[name]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";")
        )
        assert policy["script-src"] == "'self' 'unsafe-eval'"
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == policy["default-src"] == "'self'"
    assert found["page"][0] == 200
    assert found["api"][0] == 401
    csrf = found["page"][2]["csrftoken"]
    assert csrf["secure"] is True
    assert csrf["samesite"] == "Lax"
    assert found["session"] == [True, True, "Lax"]
    assert found["plain"][0] == 301
    assert found["plain"][1]["Location"] == f"{BASE}/admin/login/"
