"""Flags, segments, environments, keys and people through their pages."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.utils import timezone

from access.models import Membership
from approvals.models import ApprovalPolicy, ChangeRequest
from distribution.models import SdkKey
from flags.models import Environment, Flag, RolloutPlan, RolloutTemplate, Segment
from tests.cast import OFF, ON, Cast
from tests.ui.conftest import Browser

NEW = "/admin/p/shop/new-flag/"
# Within the lifetime of a release.
EXPIRES = f"{timezone.now() + timedelta(days=30):%Y-%m-%d}"


def flag_form(**members: str) -> dict[str, str]:
    form = {
        "key": "checkout",
        "name": "Checkout",
        "type": "boolean",
        "kind": "release",
        "variants": "",
        "owner": "",
        "tags": "a, b, a",
        "temporary": "on",
        "expires": EXPIRES,
        "on_expiry": "off",
        "purpose": "the launch",
    }
    return {**form, **members}


def test_a_flag_is_created_off_everywhere(cast: Cast, browser: Browser) -> None:
    answer = browser("author").post(NEW, flag_form(owner=cast.users["author"].pseudonym))
    assert answer["Location"] == "/admin/p/shop/flags/checkout/"
    flag = Flag.objects.get()
    assert flag.variants == {"on": True, "off": False}
    assert flag.tags == ["a", "b"]
    assert flag.owner == cast.users["author"]
    assert (flag.expires_at.isoformat(), flag.on_expiry) == (f"{EXPIRES}T00:00:00+00:00", "off")
    assert not flag.configurations.exists()


def test_a_flag_form_is_shown_again_with_what_is_wrong(cast: Cast, browser: Browser) -> None:
    client = browser("author")
    for members, said in (
        ({"key": "no spaces"}, "A key starts with"),
        ({"variants": "{"}, "This is no JSON"),
        ({"variants": '{"on": "text", "off": false}'}, "variants"),
        ({"type": "nonsense"}, "Select a valid choice"),
        ({"name": ""}, "required"),
    ):
        answer = client.post(NEW, flag_form(**members))
        assert answer.status_code == 422
        assert said in answer.content.decode()
    assert not Flag.objects.exists()


def test_a_key_that_is_taken_is_refused_beside_the_key(cast: Cast, browser: Browser) -> None:
    cast.flag("checkout")
    answer = browser("author").post(NEW, flag_form())
    assert answer.status_code == 409
    assert "There is a flag with this key already" in answer.content.decode()


def test_a_double_click_makes_one_flag(cast: Cast, browser: Browser) -> None:
    client = browser("author")
    assert [client.post(NEW, flag_form()).status_code for _ in range(2)] == [302, 302]
    assert ChangeRequest.objects.count() == 1


def test_a_description_is_saved_at_once_and_keeps_what_the_form_does_not_show(
    cast: Cast, browser: Browser
) -> None:
    cast.flag(critical=True, exit_criteria="when done", expires_at=f"{EXPIRES}T18:30:00.000000Z")
    page = "/admin/p/shop/flags/banner/edit/"
    form = flag_form(base="1", variants='{"on": true, "off": false}', on_expiry="alert", name="New name")
    form.pop("key")
    assert browser("author").post(page, form)["Location"] == "/admin/p/shop/flags/banner/"
    flag = Flag.objects.get()
    assert (flag.name, flag.critical, flag.exit_criteria) == ("New name", True, "when done")
    assert flag.expires_at.hour == 18


def test_variants_that_production_serves_are_reviewed(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    form = flag_form(base="1", variants='{"on": true, "off": false, "also": true}', rationale="third")
    answer = browser("author").post("/admin/p/shop/flags/banner/edit/", form)
    assert re.fullmatch(r"/admin/p/shop/requests/\d+/", answer["Location"])
    assert "also" not in Flag.objects.get().variants


def test_a_definition_that_changed_meanwhile_is_a_conflict(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.flag(name="Renamed by somebody")
    form = flag_form(base="1", variants='{"on": true, "off": false}', name="Mine")
    answer = browser("author").post("/admin/p/shop/flags/banner/edit/", form)
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "Renamed by somebody" in html
    assert 'name="base" value="2"' in html
    assert Flag.objects.get().name == "Renamed by somebody"


def test_a_segment_is_made_used_and_then_changed_under_review(cast: Cast, browser: Browser) -> None:
    client = browser("author")
    form = {"key": "beta", "included": "one\ntwo\n\none", "excluded": "", "rules": ""}
    assert client.post("/admin/p/shop/new-segment/", form)["Location"] == "/admin/p/shop/segments/beta/"
    assert Segment.objects.get().document == {"included": ["one", "two"]}
    assert client.post("/admin/p/shop/new-segment/", {**form, "included": "x"}).status_code == 409
    cast.flag()
    rule = {"attribute": "", "operator": "in_segment", "values": ["beta"]}
    after = {**ON, "rules": [{"id": "r", "constraints": [rule], "serve": {"variant": "off"}}]}
    cast.approve(cast.propose(after))
    page = "/admin/p/shop/segments/beta/edit/"
    html = client.get(page).content.decode()
    assert "Used in" in html
    assert "Ask for review" in html
    form = {"included": "one", "excluded": "", "rules": "[]", "base": "1", "rationale": "left"}
    assert "/requests/" in client.post(page, form)["Location"]
    assert client.post(page, {**form, "rationale": ""}).status_code == 422
    assert client.post(page, {**form, "included": "other", "base": "0"}).status_code == 409
    assert client.post(page, {**form, "rules": '[[{"operator": "like"}]]'}).status_code == 422
    assert "banner" in client.get("/admin/p/shop/segments/beta/").content.decode()
    assert Segment.objects.get().version == 1


def test_a_segment_is_tried_on_the_contexts_that_are_known(cast: Cast, browser: Browser) -> None:
    cast.flag()
    entries = [
        {"sentence": f"Customer {number}.", "environment": "production", "variant": None, "context": context}
        for number, context in enumerate([{"targetingKey": "c-1"}, {"targetingKey": "c-2", "plan": "beta"}])
    ]
    subject = "project/shop/expectations/banner"
    cast.govern(subject, {"expectations": entries})
    subject = "project/shop/segment/beta"
    cast.govern(subject, {"included": ["c-1"]})
    client = browser("author")
    html = " ".join(client.get("/admin/p/shop/segments/beta/").content.decode().split())
    assert "1 of 2 known contexts is in it." in html

    page = "/admin/p/shop/segments/beta/edit/"
    rules = '[[{"attribute": "plan", "operator": "in", "values": ["beta"]}]]'
    form = {"included": "c-1", "excluded": "", "rules": rules, "base": "1", "preview": "1"}
    told = " ".join(client.post(page, {**form, "context": '{"plan": "beta"}'}).content.decode().split())
    assert "2 of 2 known contexts are in it (1 now)." in told
    assert "The context you typed" in told
    told = client.post(
        page, {**form, "rules": '[[{"attribute": "plan", "operator": "in"}]]'}
    ).content.decode()
    assert 'data-problem="rules[0][0].values"' in told
    assert 'data-problem="rules"' in client.post(page, {**form, "rules": "[["}).content.decode()
    assert "JSON object" in client.post(page, {**form, "context": "[]"}).content.decode()
    assert Segment.objects.get().version == 1

    # What the form starts from is what is told.
    kept = {"included": "c-1\nc-2", "excluded": "", "rules": "", "base": "1", "to-draft": "1"}
    assert client.post(page, kept).status_code == 302
    html = client.get(page).content.decode()
    assert "2 named keys" in html
    assert "Nothing changes." not in html


def test_an_environment_and_its_policy_are_made_and_changed(cast: Cast, browser: Browser) -> None:
    client = browser("administrator")
    form = {
        "key": "qa",
        "name": "QA",
        "kind": "staging",
        "position": "1",
        "regions": "eu, us, eu",
        "bucketing": "murmur3",
    }
    client.post("/admin/p/shop/new-environment/", form)
    assert Environment.objects.get(key="qa").regions == ["eu", "us"]
    assert client.post("/admin/p/shop/new-environment/", form).status_code == 409
    assert client.post("/admin/p/shop/new-environment/", {**form, "key": "a b"}).status_code == 422
    client.post("/admin/p/shop/environments/qa/edit/", {**form, "name": "Quality", "base": "1"})
    assert Environment.objects.get(key="qa").name == "Quality"
    policy = {"key": "qa", "name": "Quality", "environments": ["qa"], "ask_ticket": "on", "approvals": "2"}
    new = "/admin/p/shop/policies/new/"
    assert client.post(new, {**policy, "approvals": "21"}).status_code == 422
    assert client.post(new, policy).status_code == 302
    assert client.post(new, policy).status_code == 409, "the key is taken"
    html = client.get("/admin/p/shop/environments/").content.decode()
    assert "2 approvals by other people and a ticket" in html


def test_two_people_at_an_environment_do_not_overwrite_each_other(cast: Cast, browser: Browser) -> None:
    client = browser("administrator")
    page = "/admin/p/shop/environments/development/edit/"
    seen = hidden_base(client.get(page))
    form = {"name": "Development", "kind": "development", "position": "0", "bucketing": "murmur3"}
    assert client.post(page, {**form, "regions": "eu", "base": seen}).status_code == 302
    late = client.post(page, {**form, "name": "Mine", "regions": "", "base": seen})
    assert late.status_code == 409
    html = late.content.decode()
    assert "Somebody else saved this meanwhile" in html
    assert "Stands at eu now." in html
    assert 'value="Mine"' in html, "what was typed is kept"
    assert Environment.objects.get(key="development").regions == ["eu"]
    again = {**form, "name": "Mine", "regions": "eu", "base": hidden_base(late)}
    assert client.post(page, again).status_code == 302
    assert Environment.objects.get(key="development").name == "Mine"
    assert client.post(page, form).status_code == 409, "a form that names no base overwrites nothing"


def test_a_policy_is_asked_for_and_nobody_overwrites_anybody(cast: Cast, browser: Browser) -> None:
    client = browser("administrator")
    cast.policy("development", approvals=0, ticket=True)
    page = "/admin/p/shop/policies/development/edit/"
    seen = hidden_base(client.get(page))
    form = {"name": "Development", "environments": ["development"], "approvals": "0", "ticket": "S-1"}
    assert client.post(page, {**form, "base": seen}).status_code == 302
    late = client.post(page, {**form, "approvals": "1", "base": seen})
    assert late.status_code == 409
    assert "is at version 2" in late.content.decode()
    assert ApprovalPolicy.objects.get(key="development").document == {
        "name": "Development",
        "environments": ["development"],
    }
    asked = client.post("/admin/p/shop/policies/new/", {
        "key": "live", "name": "Live", "approvals": "2", "share_count_0": "1", "share_whom_0": "role:administrator",
        "served_environment": "development", "served_hours": "24", "rationale": "agreed",
    })  # fmt: skip
    made = ChangeRequest.objects.latest("pk")
    assert asked["Location"].endswith(f"/requests/{made.number}/")
    html = client.get(asked["Location"]).content.decode()
    assert "New policy Live" in html
    assert "2 approvals by other people (1 from the role administrator)" in html
    assert "24 h on in development, unchanged" in html


def test_a_protected_environments_settings_ask_for_review(cast: Cast, browser: Browser) -> None:
    client = browser("administrator")
    page = "/admin/p/shop/environments/production/edit/"
    form = {"name": "Production", "kind": "production", "position": "2", "regions": "eu, us"}
    sent = {**form, "bucketing": "murmur3", "base": hidden_base(client.get(page))}
    assert client.post(page, sent).status_code == 422, "why is asked for"
    answer = client.post(page, {**sent, "rationale": "quicker"})
    assert "/requests/" in answer["Location"]
    assert Environment.objects.get(key="production").protected
    assert "protected yes → no" in client.get(answer["Location"]).content.decode().replace("none", "no")


def test_roles_ask_for_review_where_a_policy_covers_access(cast: Cast, browser: Browser) -> None:
    cast.policy(access=True, approvals=1)
    client, page = browser("administrator"), "/admin/p/shop/people/"
    assert "Giving and taking roles here needs" in client.get(page).content.decode()
    given = client.post(page, {"who": "outsider", "role": "viewer", "rationale": "joins us"})
    assert "/requests/" in given["Location"]
    assert "Outsider: no role → Viewer" in client.get(given["Location"]).content.decode()


def test_making_an_environment_never_changes_one_that_was_made_meanwhile(
    cast: Cast, browser: Browser
) -> None:
    form = {"key": "production", "name": "X", "kind": "staging", "position": "1", "bucketing": "murmur3"}
    answer = browser("administrator").post("/admin/p/shop/new-environment/", form)
    assert answer.status_code == 409
    assert "There is an environment production in shop already" in answer.content.decode()
    assert Environment.objects.get(key="production").name != "X"


def hidden_base(answer: HttpResponse) -> str:
    """The version that a form on the page names."""
    return re.search(r'name="base" value="(\d+)"', answer.content.decode())[1]


def test_a_server_side_key_is_asked_for_no_origins(cast: Cast, browser: Browser) -> None:
    client = browser("administrator")
    new = "/admin/p/shop/environments/production/new-key/"
    client.post(new, {"name": "api", "side": "server"})
    assert client.get(f"/admin/p/shop/sdk-keys/{SdkKey.objects.get().pk}/origins/").status_code == 404
    client.post(new, {"name": "web", "side": "client"})
    key = SdkKey.objects.get(side="client")
    client.post(f"/admin/p/shop/sdk-keys/{key.pk}/revoke/")
    assert client.get(f"/admin/p/shop/sdk-keys/{key.pk}/origins/").status_code == 404
    refused = client.post(new, {"name": "api", "side": "server", "origins": "https://a.example"})
    assert "Origins belong to client-side keys" in refused.content.decode()
    refused = client.post(new, {"name": "web", "side": "client", "origins": "a.example"})
    assert "Origins &#x27;" not in refused.content.decode()


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("/admin/audit/export", "/admin/p/shop/audit/"),
        ("/admin/p/shop/environments/production/flagd/", "/admin/p/shop/environments/"),
        ("/admin/p/shop/flags/banner/explain/", "/admin/p/shop/flags/"),
    ],
)
def test_the_sidebar_marks_where_one_is(cast: Cast, browser: Browser, page: str, link: str) -> None:
    cast.flag()
    html = browser("administrator").get(page).content.decode()
    marked = re.findall(r'<a href="([^"]+)"[^>]*class="[^"]*(?<![\w-])active(?![\w-])', html)
    assert marked == [link]


def test_an_sdk_key_is_shown_once_with_its_dsn_and_revoked_after_a_question(
    cast: Cast, browser: Browser
) -> None:
    client = browser("administrator")
    page = "/admin/p/shop/environments/production/new-key/"
    answer = client.post(page, {"name": "checkout-api", "side": "server"})
    secret = re.search(r"cs_server_[\w-]{40,}", answer.content.decode())[0]
    assert f"//{secret}@" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert secret not in client.get("/admin/p/shop/environments/").content.decode()
    key = SdkKey.objects.get()
    revoke = f"/admin/p/shop/sdk-keys/{key.pk}/revoke/"
    assert "cannot be undone" in client.get(revoke).content.decode()
    assert SdkKey.objects.get().revoked_at is None
    client.post(revoke)
    assert SdkKey.objects.get().revoked_at is not None
    assert client.post(page, {"name": " ", "side": "server"}).status_code == 422


def test_a_new_key_says_how_each_language_connects(cast: Cast, browser: Browser) -> None:
    client = browser("administrator")
    page = "/admin/p/shop/environments/production/new-key/"
    server = client.post(page, {"name": "checkout-api", "side": "server"}).context["snippets"]
    assert [name for name, _note, _code in server] == [
        "Python",
        "Python, OpenFeature",
        "Node.js, OpenFeature",
        "curl",
    ]
    for _name, _note, code in server[:2]:
        compile(code, "snippet", "exec")
    web = client.post(page, {"name": "web", "side": "client"}).context["snippets"]
    assert [name for name, _note, _code in web] == ["Browser, OpenFeature", "curl"]
    assert all("cs_client_" in code for _name, _note, code in web)


def test_the_policies_say_what_a_change_would_need(cast: Cast, browser: Browser) -> None:
    ask = "/admin/p/shop/policies/?kind=release&environment="
    viewer = browser("viewer")
    assert viewer.get(f"{ask}production").context["would_need"].approvals == 1
    assert viewer.get(f"{ask}development").context["would_need"].approvals == 0
    assert viewer.get("/admin/p/shop/policies/").context["would_need"] is None
    assert viewer.get(f"{ask}nowhere").context["would_need"] is None


def test_whose_pages_may_use_a_client_side_key_is_said_on_pages_of_its_own(
    cast: Cast, browser: Browser
) -> None:
    client = browser("administrator")
    new = "/admin/p/shop/environments/production/new-key/"
    refused = client.post(new, {"name": "web", "side": "client", "origins": "https://a.example\nb.example"})
    assert refused.status_code == 422
    assert "&#x27;b.example&#x27; is no origin; write" in refused.content.decode()
    assert "https://a.example\nb.example" in refused.content.decode(), "what was typed is kept"
    assert client.post(new, {"name": "api", "side": "server", "origins": "*"}).status_code == 422
    assert not SdkKey.objects.exists()
    client.post(new, {"name": "web", "side": "client"})
    key = SdkKey.objects.get()
    assert "no origins are allowed" in client.get("/admin/p/shop/environments/").content.decode()
    page = f"/admin/p/shop/sdk-keys/{key.pk}/origins/"
    assert client.post(page, {"origins": "https://b.example/x"}).status_code == 422
    answer = client.post(page, {"origins": "https://B.example/ \n\n https://a.example\n"}, follow=True)
    key.refresh_from_db()
    assert key.origins == ["https://a.example", "https://b.example"]
    assert "https://a.example, https://b.example" in answer.content.decode()
    assert "https://a.example\nhttps://b.example" in client.get(page).content.decode()
    assert "Allowed origins: none → https://a.example, https://b.example" in client.get(
        "/admin/p/shop/audit/"
    ).content.decode().replace("&gt;", ">")
    assert browser("author").get(page).status_code == 404
    assert "/origins/" not in browser("author").get("/admin/p/shop/environments/").content.decode()


def test_administrators_give_and_take_roles(cast: Cast, browser: Browser) -> None:
    client, page = browser("administrator"), "/admin/p/shop/people/"
    client.post(page, {"who": "outsider@example.com", "role": "viewer"})
    membership = Membership.objects.get(project=cast.project, member=cast.users["outsider"].pseudonym)
    assert membership.role == "viewer"
    client.post(page, {"revoke": str(membership.pk)})
    assert not Membership.objects.filter(pk=membership.pk).exists()
    assert client.post(page, {"who": "nobody", "role": "viewer"}).status_code == 422
    assert client.post(page, {"revoke": "x"}).status_code == 404


def test_the_last_administrator_stays(cast: Cast, browser: Browser) -> None:
    client, page = browser("administrator"), "/admin/p/shop/people/"
    for membership in Membership.objects.filter(project=cast.project, role="administrator"):
        html = client.post(page, {"revoke": str(membership.pk)}, follow=True)
    assert Membership.objects.filter(project=cast.project, role="administrator").count() == 1
    assert html.status_code in (200, 404)


def test_who_does_not_manage_access_sees_people_but_gives_no_role(cast: Cast, browser: Browser) -> None:
    client, page = browser("author"), "/admin/p/shop/people/"
    assert "Give role" not in client.get(page).content.decode()
    before = Membership.objects.count()
    assert client.post(page, {"who": "outsider", "role": "administrator"}).status_code == 403
    some = Membership.objects.filter(project=cast.project).first()
    assert client.post(page, {"revoke": str(some.pk)}).status_code == 403
    assert Membership.objects.count() == before


def test_who_gives_no_roles_is_not_told_who_has_an_account(cast: Cast, browser: Browser) -> None:
    page = "/admin/p/shop/people/"
    answers = [
        browser("viewer").post(page, {"who": who, "role": "viewer"})
        for who in ("outsider@example.com", "nobody@example.com")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].content == answers[1].content


def test_stages_are_kept_as_a_template_and_start_another_plan(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.propose(OFF, environment="development")
    client = browser("administrator")
    page = "/admin/p/shop/flags/banner/in/development/rollout/"
    form = {"variant": "on", "rest": "off", "percent-1": "5", "hold-1": "24", "percent-2": "100", "base": "1"}
    sent = {**form, "go-ahead-2": "on", "kept_as": "Careful", "save-template": "1", "rationale": "ours"}
    assert client.post(page, sent)["Location"] == "/admin/p/shop/plan-templates/"
    assert not RolloutPlan.objects.exists(), "nothing was asked for"
    assert RolloutTemplate.objects.get().stages == [
        {"hold": 86_400, "percent": 5},
        {"hold": 0, "percent": 100, "go_ahead": True},
    ]
    assert 'name="percent-1" value="5"' in client.get(f"{page}?template=careful").content.decode()
    assert "Careful" in client.get("/admin/p/shop/plan-templates/").content.decode()
    client.post("/admin/p/shop/plan-templates/", {"delete": "careful"})
    assert not RolloutTemplate.objects.exists()


def test_a_reload_of_the_page_that_shows_a_key_makes_no_second_one(cast: Cast, browser: Browser) -> None:
    client, page = browser("administrator"), "/admin/p/shop/environments/production/new-key/"
    form = {"name": "web", "side": "server", "csrfmiddlewaretoken": "of-this-form"}
    refused = client.post(page, {**form, "name": ""})
    assert refused.status_code == 422
    assert client.post(page, form).status_code == 200
    again = client.post(page, form, follow=True)
    assert "Nothing was made again" in again.content.decode()
    assert SdkKey.objects.count() == 1
    assert client.post(page, {**form, "csrfmiddlewaretoken": "of-another"}).status_code == 200
    assert SdkKey.objects.count() == 2
