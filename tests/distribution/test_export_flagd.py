"""An environment for flagd: the command, and the page that says what is left out."""

from __future__ import annotations

import io
import json

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from countersign.flagd import export
from countersign.snapshot import Snapshot as SnapshotFile
from distribution.models import Snapshot
from distribution.publish import publish
from tests.cast import ON, Cast, split, standing
from tests.replay import Replay

PAGE = "/admin/p/shop/environments/production/flagd/"


def publishing() -> None:
    cast = standing()
    by_address = [{"attribute": "ip", "operator": "ip_in", "values": ["10.0.0.0/8"]}]
    rules = [{"id": "office", "constraints": by_address, "serve": {"variant": "on"}}]
    cbor = split(10, seed="cbor")
    cbor["default"]["split"]["hash"] = "murmur3-cbor"
    for key, after in {"banner": ON, "office": {**ON, "rules": rules}, "cbor": cbor}.items():
        cast.flag(key)
        cast.approve(cast.propose(after, key=key))
    publish(cast.production.pk)


_publishing = Replay(publishing)


@pytest.fixture
def published(cast: Cast) -> Cast:
    """Production serves a flag that flagd can say and two that it cannot, and was published."""
    _publishing.write()
    return cast


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("export_flagd", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def page(cast: Cast, name: str, query: str = "") -> str:
    client = Client(headers={"Host": "localhost"})
    client.force_login(cast.users[name])
    return client.get(PAGE + query).content.decode()


def test_the_command_writes_what_the_read_plane_serves(published: Cast) -> None:
    out, err = run("shop/production")
    raw = Snapshot.objects.filter(environment=published.production).latest("version").raw
    assert out.encode() == export(SnapshotFile.parse(raw)).document
    assert list(json.loads(out)["flags"]) == ["banner"]
    assert "left out: office: rules[0].constraints[0].operator: ip_in" in err


def test_the_command_takes_the_hash_of_the_clients(published: Cast) -> None:
    out, err = run("shop/production", "--hash", "murmur3-cbor")
    assert list(json.loads(out)["flags"]) == ["banner", "cbor"]
    assert "cbor" not in err


@pytest.mark.parametrize("name", ["shop/nowhere", "shop", ""])
def test_the_command_says_what_it_does_not_find(published: Cast, name: str) -> None:
    with pytest.raises(CommandError, match="There is no environment"):
        run(name)


def test_before_the_first_snapshot_command_and_page_say_so(cast: Cast) -> None:
    with pytest.raises(CommandError, match="not published yet"):
        run("shop/production")
    assert "Not published yet" in page(cast, "viewer")


def test_the_page_lists_what_is_left_out_with_the_reasons(published: Cast) -> None:
    html = page(published, "viewer")
    assert "2 flags are left out" in html
    assert "rules[0].constraints[0].operator: ip_in" in html
    assert f'value="{settings.BASE_URL}/flagd/v1/flags"' in html
    html = page(published, "viewer", "?hash=murmur3-cbor")
    assert "1 flag is left out" in html
    assert "/flagd/v1/flags?hash=murmur3-cbor" in html


def test_the_page_starts_with_the_hash_of_the_environments_new_splits(published: Cast) -> None:
    published.settings("production", bucketing="murmur3-cbor")
    assert "1 flag is left out" in page(published, "viewer")


def test_the_page_is_for_those_who_see_the_project(published: Cast) -> None:
    client = Client(headers={"Host": "localhost"})
    client.force_login(published.users["outsider"])
    assert client.get(PAGE).status_code == 404


def test_the_page_takes_the_same_number_of_queries_however_much_is_left_out(published: Cast) -> None:
    def counted(query: str) -> int:
        page(published, "viewer", query)
        with CaptureQueriesContext(connection) as queries:
            page(published, "viewer", query)
        return len(queries)

    assert counted("?hash=murmur3") == counted("?hash=murmur3-cbor")
