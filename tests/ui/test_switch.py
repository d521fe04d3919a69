"""The switch: from a click to the change or the request, and nothing twice or unseen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from approvals.models import ChangeRequest, Emergency
from flags.models import FlagConfiguration
from tests.cast import OFF, ON, Cast, split
from tests.ui.conftest import Browser
from tests.ui.pages import LIST, SWITCH, SWITCH_OPEN, switch_form


@pytest.fixture(autouse=True)
def flag(cast: Cast) -> None:
    cast.flag()


def document(environment: str = "production") -> object:
    row = FlagConfiguration.objects.filter(environment__key=environment).first()
    return row.document if row else None


def test_in_an_open_environment_the_switch_turns_the_flag_on_at_once(cast: Cast, browser: Browser) -> None:
    client = browser("author")
    assert "Turn on now" in client.get(SWITCH_OPEN).content.decode()
    answer = client.post(SWITCH_OPEN, switch_form(0), follow=True)
    assert answer.request["PATH_INFO"] == LIST
    assert document("development") == ON
    assert "Done (CR-" in answer.content.decode()


def test_in_a_protected_environment_the_switch_asks_for_review_and_changes_nothing(
    cast: Cast, browser: Browser
) -> None:
    client = browser("author")
    assert "Ask for review" in client.get(SWITCH).content.decode()
    answer = client.post(SWITCH, switch_form(0), follow=True)
    request = ChangeRequest.objects.order_by("-pk").first()
    assert answer.request["PATH_INFO"] == f"/admin/p/shop/requests/{request.pk}/"
    assert request.state == "in_review"
    assert request.title == "Turn banner on in Production"
    assert document() is None


def test_the_dialog_says_in_words_what_will_happen(cast: Cast, browser: Browser) -> None:
    form = switch_form(0, serve="split", percent="25", rationale="", preview="1")
    html = browser("author").post(SWITCH, form).content.decode()
    assert 'Production: turned on; <em class="cs-variant">on</em> for 25 % of everyone' in html
    assert "Ask for review" in html
    assert ChangeRequest.objects.count() == 1  # the flag's own


def test_a_percentage_becomes_a_split_of_100_000(cast: Cast, browser: Browser) -> None:
    browser("author").post(SWITCH_OPEN, switch_form(0, serve="split", percent="0.001"))
    split = document("development")["default"]["split"]
    assert split["weights"] == [["on", 1], ["off", 99_999]]
    assert split["seed"] == "banner"


def test_a_growing_percentage_keeps_seed_and_order_so_that_nobody_is_dealt_anew(
    cast: Cast, browser: Browser
) -> None:
    cast.propose(split(10, seed="old-seed"), environment="development")
    browser("author").post(SWITCH_OPEN, switch_form(1, serve="split", percent="20"))
    after = document("development")["default"]["split"]
    assert (after["seed"], after["weights"][0]) == ("old-seed", ["on", 20_000])


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"rationale": ""}, "This field is required"),
        ({"serve": "split", "percent": ""}, "Say how many of a hundred"),
        ({"serve": "split", "percent": "101"}, "less than or equal to 100"),
        ({"serve": "split", "percent": "5", "rest": "on"}, "Choose another variant"),
        ({"document": "{"}, "This is no JSON"),
        ({"document": "[1]"}, "must be a JSON object"),
        ({"when": "at", "at": ""}, "a date and a time"),
        ({"when": "at", "at": "2020-01-01T10:00"}, "in the past"),
        ({"when": "at", "at": "2099-01-01T10:00", "zone": "Mars/Olympus"}, "no time zone"),
        ({"document": {"enabled": True, "default": {"variant": "purple"}}}, "purple"),
        ({"document": {"enabled": True, "default": {"split": {"weights": [["on"]]}}}}, "split"),
        ({"document": {"enabled": True, "defult": {}}}, "def"),
    ],
)
def test_a_form_that_cannot_be_is_shown_again_with_the_reason(
    browser: Browser, members: dict[str, object], said: str
) -> None:
    answer = browser("author").post(SWITCH, switch_form(0, **members))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert ChangeRequest.objects.count() == 1


def test_a_ticket_is_asked_for_where_the_policy_says_so(cast: Cast, browser: Browser) -> None:
    cast.policy(ticket=True)
    client = browser("author")
    assert client.post(SWITCH, switch_form(0)).status_code == 422
    assert client.post(SWITCH, switch_form(0, ticket="SHOP-1")).status_code == 302


def test_a_time_is_read_in_the_zone_that_was_sent(browser: Browser) -> None:
    form = switch_form(0, when="at", at="2099-07-01T10:00", zone="Europe/Berlin")
    browser("author").post(SWITCH, form)
    request = ChangeRequest.objects.order_by("-pk").first()
    assert request.scheduled_at == datetime(2099, 7, 1, 8, tzinfo=UTC)


def test_a_change_that_one_applies_oneself_waits_also_where_no_review_is_needed(browser: Browser) -> None:
    browser("author").post(SWITCH_OPEN, switch_form(0, when="by-hand"))
    request = ChangeRequest.objects.order_by("-pk").first()
    assert (request.state, request.scheduled_at) == ("approved", None)
    assert document("development") is None


def test_a_double_click_asks_once(browser: Browser) -> None:
    client = browser("author")
    first, second = (client.post(SWITCH, switch_form(0)) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert ChangeRequest.objects.filter(state="in_review").count() == 1


def test_the_same_switch_at_another_time_or_for_another_reason_is_another_wish(browser: Browser) -> None:
    client = browser("author")
    for members in ({}, {"rationale": "another"}, {"confirm_minutes": "10"}, {"when": "by-hand"}):
        client.post(SWITCH, switch_form(0, **members))
    assert ChangeRequest.objects.filter(environments__key="production").count() == 4


def test_a_double_click_that_applies_at_once_applies_once(browser: Browser) -> None:
    client = browser("author")
    answers = [client.post(SWITCH_OPEN, switch_form(0)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert FlagConfiguration.objects.get().version == 1


def test_the_same_wish_of_somebody_else_is_a_request_of_its_own(browser: Browser) -> None:
    browser("author").post(SWITCH, switch_form(0))
    browser("on_call").post(SWITCH, switch_form(0))
    assert ChangeRequest.objects.filter(state="in_review").count() == 2


def test_turning_it_back_and_forth_is_no_double_click(browser: Browser) -> None:
    client = browser("author")
    client.post(SWITCH_OPEN, switch_form(0))
    client.post(SWITCH_OPEN, switch_form(1, state="off"))
    client.post(SWITCH_OPEN, switch_form(2))
    assert FlagConfiguration.objects.get().version == 3


def test_a_conflict_shows_what_changed_and_overwrites_nothing(cast: Cast, browser: Browser) -> None:
    cast.propose(OFF, environment="development")
    client = browser("author")
    client.get(SWITCH_OPEN)
    cast.propose(split(40), environment="development")  # somebody is faster
    answer = client.post(SWITCH_OPEN, switch_form(1))
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody changed this while you looked. Nothing was overwritten." in html
    assert 'turned on; <em class="cs-variant">on</em> for 40 % of everyone' in html
    assert 'name="base" value="2"' in html
    assert document("development") == split(40)


def test_a_document_that_was_typed_survives_a_conflict(cast: Cast, browser: Browser) -> None:
    cast.propose(OFF, environment="development")
    cast.propose(ON, environment="development")
    typed = {"enabled": True, "off": "off", "default": {"variant": "off"}}
    answer = browser("author").post(SWITCH_OPEN, switch_form(1, document=typed))
    assert answer.status_code == 409
    assert "&quot;default&quot;: {&quot;variant&quot;: &quot;off&quot;}" in answer.content.decode()


def test_an_edited_document_replaces_the_choices_above_it(cast: Cast, browser: Browser) -> None:
    rule = {"id": "r1", "constraints": [{"attribute": "country", "operator": "in", "values": ["DE"]}]}
    typed = {**ON, "rules": [{**rule, "serve": {"variant": "off"}}]}
    browser("author").post(SWITCH_OPEN, switch_form(0, state="off", document=typed))
    assert document("development") == typed


def test_our_dialog_is_told_where_to_go_by_a_header_so_that_the_message_is_not_lost(browser: Browser) -> None:
    client = browser("author")
    answer = client.post(SWITCH_OPEN, switch_form(0), headers={"X-Requested-With": "countersign"})
    assert (answer.status_code, answer["X-Location"]) == (204, LIST)
    assert "Done (CR-" in client.get(LIST).content.decode()


def test_the_dialog_gets_the_form_without_the_shell(browser: Browser) -> None:
    html = browser("author").get(SWITCH, headers={"X-Requested-With": "countersign"}).content.decode()
    assert "<form" in html
    assert "<html" not in html


def test_one_does_not_leave_to_another_site(browser: Browser) -> None:
    answer = browser("author").post(SWITCH_OPEN, switch_form(0, next="https://evil.example/"))
    assert answer["Location"] == LIST


def test_a_viewer_sees_who_could_change_it_and_cannot(cast: Cast, browser: Browser) -> None:
    client = browser("viewer")
    html = client.get(SWITCH_OPEN).content.decode()
    assert "Author" in html
    assert "Turn on now" not in html
    assert client.post(SWITCH_OPEN, switch_form(0)).status_code == 403
    assert document("development") is None


def test_a_kill_is_confirmed_in_words_and_then_owed_a_review(cast: Cast, browser: Browser) -> None:
    cast.approve(cast.propose(ON))
    client = browser("on_call")
    html = client.get(f"{SWITCH}kill/").content.decode()
    assert "Kill banner in Production?" in html
    assert "Everyone in Production gets" in html
    client.post(f"{SWITCH}kill/", {})
    assert document() == {**ON, "killed": True}
    assert Emergency.objects.get().reviewed_by == ""


def test_killing_twice_tells_the_second_person(cast: Cast, browser: Browser) -> None:
    cast.approve(cast.propose(ON))
    client = browser("on_call")
    client.post(f"{SWITCH}kill/", {})
    answer = client.post(f"{SWITCH}kill/", {}, follow=True)
    assert "killed in production already" in answer.content.decode()
    assert Emergency.objects.count() == 1


def test_turning_it_on_again_lifts_the_kill_through_the_gate(cast: Cast, browser: Browser) -> None:
    cast.approve(cast.propose(ON))
    browser("on_call").post(f"{SWITCH}kill/", {})
    browser("author").post(SWITCH, switch_form(2))
    request = ChangeRequest.objects.order_by("-pk").first()
    cast.approve(request)
    assert document() == ON


def test_a_string_flag_can_be_switched_where_it_was_never_set(cast: Cast, browser: Browser) -> None:
    cast.flag("provider", type="string", variants={"adyen": "adyen", "stripe": "stripe"})
    url = "/admin/p/shop/flags/provider/in/development/"
    answer = browser("author").post(url, switch_form(0, variant="adyen", rest="stripe"))
    assert answer.status_code == 302
    assert document("development") == {"enabled": True, "off": "stripe", "default": {"variant": "adyen"}}


def test_a_rollout_plan_is_proposed_as_a_whole(cast: Cast, browser: Browser) -> None:
    cast.propose(OFF, environment="development")
    form = {
        "variant": "on",
        "rest": "off",
        "percent-1": "5",
        "hold-1": "24",
        "percent-2": "100",
        "rationale": "slowly",
        "base": "0",
    }
    stale = browser("author").post(f"{SWITCH_OPEN}rollout/", form)
    assert stale.status_code == 409, "somebody configured it since the page was shown"
    assert 'name="base" value="1"' in stale.content.decode()
    form["base"] = "1"
    answer = browser("author").post(f"{SWITCH_OPEN}rollout/", form)
    request = ChangeRequest.objects.order_by("-pk").first()
    assert answer["Location"] == f"/admin/p/shop/requests/{request.pk}/"
    assert request.plan.stages == [
        {"weights": [["on", 5_000], ["off", 95_000]], "hold": 86_400},
        {"weights": [["on", 100_000], ["off", 0]], "hold": 0},
    ]


def test_a_plan_is_paused_resumed_and_aborted_on_its_page(cast: Cast, browser: Browser) -> None:
    from approvals import rollouts, workflow
    from flags.models import Flag

    cast.propose(OFF, environment="development")
    stages = [{"weights": [["on", n], ["off", 100 - n]], "hold": 60} for n in (5, 50)]
    made = rollouts.propose_plan(
        cast.actor("author"), Flag.objects.get(), cast.development, stages, title="slowly"
    )
    workflow.apply(cast.actor("author"), made)
    client, page = browser("author"), f"/admin/p/shop/plans/{made.number}/"
    shown = client.get(page).content.decode()
    assert "1 of 2 stages" in shown
    assert '45 % newly get <em class="cs-variant">on</em>; nobody else changes' in shown
    for verb, state in (("pause", "paused"), ("resume", "running"), ("abort", "aborted")):
        client.post(page, {"verb": verb})
        made.plan.refresh_from_db()
        assert made.plan.state == state
    assert document("development") == OFF
    assert "not possible any more" in client.post(page, {"verb": "pause"}, follow=True).content.decode()
    assert client.get("/admin/p/shop/plans/").status_code == 200
    assert timezone.now() - made.created_at < timedelta(minutes=5)


def test_a_time_that_utc_has_no_room_for_is_no_time(cast: Cast, browser: Browser) -> None:
    late = {"when": "at", "at": "9999-12-31T23:59", "zone": "Etc/GMT+12"}
    answer = browser("author").post(SWITCH, switch_form(0, **late))
    assert answer.status_code == 422
    assert "Say when: a date and a time." in answer.content.decode()
