"""The playground: one context, many flags, several environments, now and in the past."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flags.models import FlagConfiguration
from tests.cast import OFF, ON, Cast
from tests.ui.conftest import Browser

URL = "/admin/p/shop/playground/"
GERMANS = {
    **OFF,
    "enabled": True,
    "default": {"variant": "off"},
    "rules": [
        {
            "id": "germans",
            "constraints": [{"attribute": "country", "operator": "in", "values": ["DE"]}],
            "serve": {"variant": "on"},
        }
    ],
}


def ask(browser: Browser, name: str = "viewer", **data: Any) -> Any:
    return browser(name).post(URL, {"attributes": '{"country": "DE"}', **data})


def test_a_context_is_asked_of_every_flag_in_every_environment(cast: Cast, browser: Browser) -> None:
    cast.flag("banner")
    cast.flag("plain")
    cast.propose(GERMANS, key="banner", environment="development")
    cast.propose(ON, key="plain", environment="development")
    rows = {row.flag.key: row for row in ask(browser).context["rows"]}
    assert [answer.words for answer in rows["banner"].answers] == ["on", "not configured"]
    assert rows["banner"].answers[0].cause == "germans"
    elsewhere = ask(browser, attributes='{"country": "FR"}').context["rows"]
    assert elsewhere[0].answers[0].words == "off"


def test_a_click_tells_the_way_to_an_answer(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.propose(GERMANS, environment="development")
    page = ask(browser, why="banner:development")
    words = " ".join(page.content.decode().split())
    assert "Why banner answers so in Development" in words
    assert "country is one of DE: holds" in words


def test_only_flags_that_differ_between_environments(cast: Cast, browser: Browser) -> None:
    cast.flag("alike")
    cast.flag("other")
    cast.propose(ON, key="other", environment="development")
    rows = ask(browser, different="on").context["rows"]
    assert [row.flag.key for row in rows] == ["other"]
    assert not ask(browser, different="on", environments=["development"]).context["rows"]


def test_any_past_moment_is_evaluated_again(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.propose(ON, environment="development")
    before = timezone.now()
    row = FlagConfiguration.objects.get()
    cast.propose(
        {**ON, "enabled": False},
        environment="development",
        base={str(cast.subject(environment="development")): row.version},
    )
    now = ask(browser).context["rows"]
    then = ask(browser, at=before.isoformat()).context["rows"]
    assert [rows[0].answers[0].words for rows in (now, then)] == ["off", "on"]
    long_ago = ask(browser, at=(before - timedelta(days=900)).isoformat()).context["rows"]
    assert long_ago[0].answers[0].words == "not configured"


def test_what_was_typed_wrongly_is_said_at_its_field(cast: Cast, browser: Browser) -> None:
    cast.flag()
    assert ask(browser, attributes="[]").status_code == 422
    later = timezone.now() + timedelta(days=1)
    assert "in the future" in ask(browser, at=later.isoformat()).content.decode()
    assert "Say when" in ask(browser, at="soon").content.decode()
    # The first hours of the calendar have no place in UTC.
    assert "Say when" in ask(browser, at="0001-01-01T00:00:00+14:00").content.decode()
    assert ask(browser, at="2026-01-01T00:00", zone="Nowhere/Else").status_code == 422


def test_another_project_does_not_exist(cast: Cast, browser: Browser) -> None:
    assert ask(browser, "outsider").status_code == 404


def test_many_flags_take_as_many_queries(cast: Cast, browser: Browser) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert ask(browser).status_code == 200
        return len(found)

    cast.flag("a")
    cast.propose(ON, key="a", environment="development")
    ask(browser)
    few = queries()
    for number in range(6):
        cast.flag(f"flag-{number}")
        cast.propose(GERMANS, key=f"flag-{number}", environment="development")
    assert queries() == few
