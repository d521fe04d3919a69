"""Allowed origins of client-side keys: one form of each, refused by name, carried to the read plane."""

from __future__ import annotations

import json

import pytest

from access.permissions import ForbiddenError
from audit import keys as signing_keys
from audit.models import Event
from audit.signing import snapshots_name
from countersign.members import DocumentError
from distribution import keys
from distribution.models import Keyring, SdkKey
from distribution.origins import canonical_origins
from distribution.read_plane import keyring
from tests.cast import Cast

APP = "https://app.example.com"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        (APP, APP),
        ("HTTPS://App.Example.com", APP),
        (f"{APP}/", APP),
        (f"{APP}:443", APP),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:08080", "http://localhost:8080"),
        (f"{APP}:80", f"{APP}:80"),
        ("https://xn--flgs-moa.example", "https://xn--flgs-moa.example"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("http://192.0.2.1", "http://192.0.2.1"),
        ("*", "*"),
    ],
)
def test_an_origin_is_kept_as_browsers_write_it(written: str, canonical: str) -> None:
    assert canonical_origins([written]) == [canonical]


def test_the_same_origin_twice_is_kept_once_and_in_order() -> None:
    assert canonical_origins(["https://b.example", "https://a.example", "https://B.example/"]) == [
        "https://a.example",
        "https://b.example",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "app.example.com",
        "//app.example.com",
        "ftp://app.example.com",
        "https://",
        "https:///x",
        f"{APP}/page",
        f"{APP}?x",
        f"{APP}#x",
        f"{APP}:65536",
        f"{APP}:x",
        "https://user@app.example.com",
        "https://*.example.com",
        "https://app..example.com",
        "https://-app.example.com",
        "https://äpp.example.com",
        "https://app.example.com\n",
        "https://app\n.example.com",
        " https://app.example.com",
        "http://[::1",
        "http://[1.2.3.4]",
        "https://" + "a." * 200 + "com",
        "\ud800",
    ],
)
def test_what_is_no_origin_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(DocumentError, match="is no origin; write scheme, host") as refused:
        canonical_origins([APP, text])
    assert refused.value.member == "origins[1]"
    str(refused.value).encode()


def test_any_origin_beside_others_is_refused_as_unclear() -> None:
    with pytest.raises(DocumentError, match=r"\* beside others"):
        canonical_origins([APP, "*"])


def test_more_than_a_hundred_are_refused() -> None:
    with pytest.raises(DocumentError, match="more than 100"):
        canonical_origins([f"https://{number}.example" for number in range(101)])


def newest_keyring() -> keyring.Keyring:
    row = Keyring.objects.latest("version")
    return keyring.Keyring.parse(bytes(row.raw), verify=signing_keys.signing_now(snapshots_name()))


def test_origins_reach_the_signed_keyring_and_the_ledger(cast: Cast) -> None:
    actor = cast.actor("administrator")
    key, secret = keys.issue(actor, cast.production, "web", "client", [f"{APP}/"])
    assert newest_keyring().keys[keyring.hash_of(secret)].origins == {APP}
    keys.allow_origins(actor, key, ["https://other.example"])
    keys.allow_origins(actor, key, ["https://other.example"])
    read = newest_keyring()
    assert (read.version, read.keys[keyring.hash_of(secret)].origins) == (2, {"https://other.example"})
    events = Event.objects.filter(subject__endswith=f"/sdk-key/{key.pk}").order_by("index")
    issued, updated = (json.loads(event.line) for event in events)
    assert issued["data"]["origins"] == [APP]
    assert updated["type"] == "distribution.v1.sdk_key.updated"
    assert (updated["data"]["origins_before"], updated["data"]["origins"]) == (
        [APP],
        ["https://other.example"],
    )


def test_a_keyring_without_origins_is_written_as_before_there_were_any(cast: Cast) -> None:
    keys.issue(cast.actor("administrator"), cast.production, "web", "client")
    body = bytes(Keyring.objects.get().raw).rpartition(b"\n\n")[2]
    assert set(json.loads(body)["keys"][0]) == {"hash", "id", "side"}


def test_a_server_side_key_has_no_origins(cast: Cast) -> None:
    actor = cast.actor("administrator")
    with pytest.raises(DocumentError, match="origins: belong to client-side keys"):
        keys.issue(actor, cast.production, "api", "server", [APP])
    assert not SdkKey.objects.exists()
    key, _ = keys.issue(actor, cast.production, "api", "server")
    with pytest.raises(DocumentError, match="origins: belong to client-side keys"):
        keys.allow_origins(actor, key, [APP])


def test_a_revoked_key_gets_no_origins(cast: Cast) -> None:
    actor = cast.actor("administrator")
    key, _ = keys.issue(actor, cast.production, "web", "client")
    keys.revoke(actor, key)
    with pytest.raises(DocumentError, match="revoked"):
        keys.allow_origins(actor, key, [APP])
    assert Keyring.objects.count() == 2


@pytest.mark.parametrize("name", ["author", "reviewer", "outsider"])
def test_who_may_not_manage_keys_may_not_open_them_to_pages(cast: Cast, name: str) -> None:
    key, _ = keys.issue(cast.actor("administrator"), cast.production, "web", "client")
    with pytest.raises(ForbiddenError):
        keys.allow_origins(cast.actor(name), key, [APP])
    assert SdkKey.objects.get().origins == []
