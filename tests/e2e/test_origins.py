"""An administrator opens a client-side key to a page, and a running server answers the page's browser."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from tests.e2e.installation import Installation, eventually

PATH = "/ofrep/v1/evaluate/flags"
APP = "https://app.example.com"


def test_an_origin_that_is_allowed_reaches_the_browsers_and_one_that_is_taken_back_does_not(
    embedded: Installation,
) -> None:
    _, found = embedded.api("administrator", "GET", "sdk-keys?project=shop&environment=production")
    [key] = [each for each in found["results"] if each["side"] == "client"]

    def allowed() -> str | None:
        connection = http.client.HTTPConnection(urlsplit(embedded.base_url).netloc, timeout=10)
        try:
            fields = {"Origin": APP, "Access-Control-Request-Method": "POST"}
            connection.request("OPTIONS", PATH, headers=fields)
            return connection.getresponse().getheader("Access-Control-Allow-Origin")
        finally:
            connection.close()

    assert allowed() is None
    address = f"sdk-keys/{key['id']}"
    assert embedded.api("administrator", "PATCH", address, {"origins": [APP]})[0] == 200
    eventually(lambda: allowed() == APP, "the origin is allowed", 10)
    assert embedded.api("administrator", "PATCH", address, {"origins": []})[0] == 200
    eventually(lambda: allowed() is None, "the origin is not allowed any more", 10)
