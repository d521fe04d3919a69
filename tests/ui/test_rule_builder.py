"""The rule builder: what it knows, what it checks as one types, and what it hands to the gate."""

from __future__ import annotations

import json
import re
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.models import ChangeRequest
from flags.models import FlagConfiguration
from flags.wording import effects
from tests.cast import ON, Cast
from tests.ui.conftest import Browser, ten_thousand_flags

RULES = "/admin/p/shop/flags/banner/in/development/rules/"
IN_PRODUCTION = "/admin/p/shop/flags/banner/in/production/rules/"
NAMES = "/admin/p/shop/flag-names/"
GERMANS = {
    **ON,
    "rules": [
        {
            "id": "germans",
            "constraints": [{"attribute": "country", "operator": "in", "values": ["DE"]}],
            "serve": {"variant": "off"},
        }
    ],
}


def asked(document: Any, base: int = 0, **more: Any) -> dict[str, Any]:
    return {"base": base, "document": json.dumps(document), "when": "soon", "rationale": "planned", **more}


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_two_people_who_each_add_a_rule_at_once_lose_neither(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.propose(ON, environment="development")
    mine = {**GERMANS["rules"][0], "id": "mine", "serve": {"variant": "on"}}
    browser("author").post(RULES, asked(GERMANS, 1))
    answer = browser("administrator").post(RULES, asked({**ON, "rules": [mine]}, 1))
    assert answer.status_code == 409
    assert "Somebody changed this while you looked. Nothing was overwritten." in text(answer)
    assert "both changes are put together below" in text(answer)
    both = json.loads(answer.context["form"]["document"].value())
    assert [rule["id"] for rule in both["rules"]] == ["germans", "mine"]
    assert browser("administrator").post(RULES, asked(both, 2)).status_code == 302
    assert FlagConfiguration.objects.get(environment=cast.development).document == both


def test_who_changed_the_same_as_somebody_else_sees_both_and_keeps_what_they_typed(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    cast.propose(GERMANS, environment="development")
    (rule,) = GERMANS["rules"]
    theirs, mine = (
        {**GERMANS, "rules": [{**rule, "id": "germans", "constraints": each}]}
        for each in ([{**rule["constraints"][0], "values": [land]}] for land in ("AT", "CH"))
    )
    browser("author").post(RULES, asked(theirs, 1))
    answer = browser("administrator").post(RULES, asked(mine, 1))
    assert answer.status_code == 409
    assert json.loads(answer.context["form"]["document"].value()) == mine
    assert "Where both changed the same, yours stands below" in text(answer)
    (member,) = answer.context["conflict"]["members"]
    assert (member["pointer"], member["collides"]) == ("/rules/germans", True)
    assert '"AT"' in member["now"]
    assert '"CH"' in member["proposed"]

    # What cannot be put together, because it is no document, stays as it was typed.
    broken = {**GERMANS, "rules": [{}]}
    answer = browser("administrator").post(RULES, asked(broken, 1))
    assert answer.status_code == 409
    assert json.loads(answer.context["form"]["document"].value()) == broken


def test_rules_are_proposed_through_the_gate(cast: Cast, browser: Browser) -> None:
    cast.flag()
    assert browser("author").post(RULES, asked(GERMANS)).status_code == 302
    row = FlagConfiguration.objects.get(flag__key="banner", environment=cast.development)
    assert row.document == GERMANS
    answer = browser("author").post(IN_PRODUCTION, asked(GERMANS))
    assert ChangeRequest.objects.get(title__contains="Production").state == ChangeRequest.State.IN_REVIEW
    assert answer.status_code == 302


def test_members_that_the_rows_do_not_show_stay(cast: Cast, browser: Browser) -> None:
    cast.flag()
    killed = {**GERMANS, "killed": True}
    browser("author").post(RULES, asked(killed))
    page = text(browser("author").get(RULES))
    assert "&quot;killed&quot;: true" in page
    assert "Nothing changes." in page


def test_what_is_wrong_is_said_at_its_member_while_one_types(cast: Cast, browser: Browser) -> None:
    cast.flag()
    wrong = json.loads(json.dumps(GERMANS))
    wrong["rules"][0]["constraints"][0] |= {"operator": "gt", "values": ["many"]}
    answer = browser("author").post(RULES, asked(wrong, preview="1"))
    assert 'data-problem="rules[0].constraints[0].values[0]"' in text(answer)
    assert "not a number" in text(answer)
    assert not FlagConfiguration.objects.exists()
    unknown = {**ON, "rules": [{"id": "a", "constraints": [], "serve": {"variant": "nowhere"}}]}
    assert 'data-problem="rules[0].serve' in text(browser("author").post(RULES, asked(unknown, preview="1")))


def test_who_matches_is_evaluated_before_anything_is_asked(cast: Cast, browser: Browser) -> None:
    cast.flag()
    browser("author").post(RULES, asked(ON))
    preview = asked(GERMANS, base=1, preview="1", context='{"targetingKey": "k", "country": "DE"}')
    answer = text(browser("author").post(RULES, preview))
    assert "The context you typed" in answer
    assert "new rule germans: those whose country is one of DE get" in answer
    assert "<td>on</td>" in answer
    assert "<strong>off</strong>" in answer
    assert "<td>germans</td>" in answer
    elsewhere = text(browser("author").post(RULES, preview | {"context": '{"country": "FR"}'}))
    assert "<strong>" not in elsewhere.partition("Who matches")[2].partition("</table>")[0]
    assert "must be a JSON object" in text(browser("author").post(RULES, preview | {"context": "[]"}))
    assert "This is no JSON" in text(browser("author").post(RULES, preview | {"context": "{"}))


def test_names_and_values_are_offered_from_the_projects_documents(cast: Cast, browser: Browser) -> None:
    cast.flag()
    browser("author").post(RULES, asked(GERMANS))
    page = browser("author").get(IN_PRODUCTION)
    assert page.context["known"]["attributes"]["country"] == {"type": "string", "values": ["DE"]}


def test_a_change_by_somebody_else_is_shown_and_what_was_typed_is_kept(cast: Cast, browser: Browser) -> None:
    cast.flag()
    browser("author").post(RULES, asked(ON))
    answer = browser("author").post(RULES, asked(GERMANS, base=0))
    assert answer.status_code == 409
    assert "Nothing was overwritten" in text(answer)
    assert "germans" in text(answer)


def test_whoever_may_not_ask_reads_the_same_rows_and_is_told_who_can(cast: Cast, browser: Browser) -> None:
    cast.flag()
    page = text(browser("viewer").get(RULES))
    assert "These people can:" in page
    assert re.search(r"<fieldset [^>]*disabled", page)
    assert 'id="ordered-rules"' in page
    assert f'action="{RULES}"' not in page
    assert "data-preview" not in page
    assert browser("viewer").post(RULES, asked(GERMANS)).status_code == 403
    assert browser("outsider").get(RULES).status_code == 404


def test_flags_to_need_are_offered_with_their_variants_the_exact_key_first(
    cast: Cast, browser: Browser
) -> None:
    for key in ("new-banner", "banner-old", "banner", "search"):
        cast.flag(key)
    found = browser("viewer").get(f"{NAMES}?q=banner").json()["flags"]
    assert list(found) == ["banner", "banner-old", "new-banner"]
    assert sorted(found["banner"]) == ["off", "on"]
    assert browser("outsider").get(NAMES).status_code == 404


def test_a_prerequisite_is_checked_at_its_row_and_proposed(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.flag("search")
    empty = {**ON, "prerequisites": [{"flag": "search", "variants": []}]}
    answer = text(browser("author").post(RULES, asked(empty, preview="1")))
    assert 'data-problem="prerequisites[0].variants"' in answer
    unknown = {**ON, "prerequisites": [{"flag": "nowhere", "variants": ["on"]}]}
    assert 'data-problem="prerequisites[0]' in text(
        browser("author").post(RULES, asked(unknown, preview="1"))
    )
    whole = {**ON, "prerequisites": [{"flag": "search", "variants": ["on"]}]}
    browser("author").post("/admin/p/shop/flags/search/in/development/rules/", asked(ON))
    browser("author").post(RULES, asked(whole))
    row = FlagConfiguration.objects.get(flag__key="banner", environment=cast.development)
    assert row.document == whole


def test_the_page_and_its_checks_cost_the_same_with_ten_thousand_flags(cast: Cast, browser: Browser) -> None:
    cast.flag()
    client = browser("author")
    client.post(RULES, asked(GERMANS))
    preview = asked(ON, base=1, preview="1", context='{"targetingKey": "k"}')

    def cost() -> tuple[int, int, int]:
        counts = []
        for ask in (
            lambda: client.get(RULES),
            lambda: client.post(RULES, preview),
            lambda: client.get(f"{NAMES}?q=flag-0"),
        ):
            with CaptureQueriesContext(connection) as queries:
                assert ask().status_code == 200
            counts.append(len(queries))
        return counts[0], counts[1], counts[2]

    client.get(RULES)
    few = cost()
    weight = len(client.get(RULES).content)
    ten_thousand_flags(cast)
    assert cost() == few
    assert max(few) <= 45
    assert len(client.get(RULES).content) == weight
    assert len(client.get(f"{NAMES}?q=flag-0").json()["flags"]) == 12


def test_rules_go_to_a_draft(cast: Cast, browser: Browser) -> None:
    cast.flag()
    assert browser("author").post(RULES, {**asked(GERMANS), "to-draft": "1"}).status_code == 302
    assert not FlagConfiguration.objects.filter(environment=cast.development).exists()
    assert "In your draft" in text(browser("author").get(RULES))


def test_what_becomes_of_rules_is_told_by_their_ids() -> None:
    first, second = GERMANS["rules"][0], {"id": "rest", "constraints": [], "serve": {"variant": "on"}}
    both = {**GERMANS, "rules": [first, second]}
    other = {**first, "serve": {"variant": "on"}}
    assert effects("Here", GERMANS, both) == ["Here: new rule rest: everyone get *on*"]
    assert effects("Here", both, GERMANS) == ["Here: rule rest goes: everyone get *on*"]
    assert effects("Here", both, {**both, "rules": [second, first]}) == [
        "Here: the rules are asked in the order rest, germans"
    ]
    assert effects("Here", GERMANS, {**GERMANS, "rules": [other]}) == [
        "Here: rule germans: those whose country is one of DE get *off* → those whose country is one of DE get *on*"
    ]
