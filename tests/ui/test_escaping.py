"""Whatever people type is shown as text: nothing of it runs."""

from __future__ import annotations

import re

import pytest

from access import machines, teams, workload
from approvals import workflow
from audit.models import Event
from tests.cast import OFF, Cast
from tests.ui.conftest import Browser
from tests.ui.pages import runs

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>*<b>x</b>*"


@pytest.fixture
def poisoned(cast: Cast) -> Cast:
    """A project in which every text that people type is an attack."""
    user = cast.users["author"]
    user.first_name = EVIL[:60]
    user.save()
    cast.settings("development", name=EVIL, regions=[EVIL])
    cast.flag(
        name=EVIL,
        description=EVIL,
        purpose=EVIL,
        team=EVIL,
        tags=[EVIL],
        owner=user.pseudonym,
        docs_url="https://example.com/\"onclick='x",
    )
    members = {"included": [EVIL], "rules": [[{"attribute": EVIL, "operator": "in", "values": [EVIL]}]]}
    workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": "project/shop/segment/group", "after": members}],
        title=EVIL[:200],
    )
    rule = {
        "id": "one",
        "constraints": [{"attribute": EVIL, "operator": "in", "values": [EVIL]}],
        "serve": {"variant": "on"},
    }
    document = {**OFF, "rules": [rule], "targets": {"on": [EVIL]}}
    cast.propose(document, environment="development", title=EVIL, rationale=EVIL, ticket=EVIL)
    request = cast.propose({**document, "enabled": True}, title=EVIL, rationale=EVIL, ticket=EVIL)
    workflow.comment(cast.actor("reviewer"), request, EVIL)
    machines.issue_token(cast.actor("author"), user, EVIL)
    root = cast.actor("root")
    team = teams.save_team(root, "evil", name=EVIL, members=[user.pseudonym])
    cast.robot = machines.create_service_account(root, EVIL, team)  # type: ignore[attr-defined]
    machines.issue_token(root, cast.robot, EVIL)  # type: ignore[attr-defined]
    workload.trust(
        cast.actor("author"),
        cast.robot,  # type: ignore[attr-defined]
        EVIL,
        issuer="https://token.example.com",
        audience=EVIL,
        claims={EVIL: {"equals": EVIL}},
    )
    cast.request = request  # type: ignore[attr-defined]
    return cast


def test_no_page_runs_what_somebody_typed(poisoned: Cast, browser: Browser) -> None:
    number = poisoned.request.pk  # type: ignore[attr-defined]
    event = Event.objects.filter(project="shop").order_by("-index").first()
    base = "/admin/p/shop/"
    pages = [
        f"{base}flags/",
        f"{base}flags/?q=%3Cscript%3Ealert(1)%3C/script%3E&kind=%22%3E%3Cscript%3E",
        f"{base}flags/banner/",
        f"{base}flags/banner/edit/",
        f"{base}flags/banner/in/development/?next=%22%3E%3Cscript%3E",
        f"{base}flags/banner/in/production/kill/?next=javascript:alert(1)",
        f"{base}flags/banner/in/development/rollout/",
        f"{base}flags/banner/in/development/rules/",
        f"{base}requests/?which=all",
        f"{base}requests/{number}/",
        f"{base}requests/{number}/edit/",
        f"{base}segments/",
        f"{base}segments/group/",
        f"{base}segments/group/edit/",
        f"{base}environments/",
        f"{base}people/",
        f"{base}plans/",
        f"{base}audit/",
        f"{base}audit/?subject=%3Cscript%3E&from=%3Cscript%3E",
        f"{base}audit/{event.pk}/",
        "/admin/tokens/",
        "/admin/service-accounts/",
        f"/admin/service-accounts/{poisoned.robot.pk}/",  # type: ignore[attr-defined]
    ]
    seen = 0
    for name in ("author", "administrator"):
        client = browser(name)
        for page in pages:
            answer = client.get(page)
            if answer.status_code == 404:
                continue
            html = answer.content.decode()
            # Unfold's own shell has none either: the policy of the site forbids them.
            assert runs(html) == [], page
            assert "<script>alert" not in html, page
            assert "<img src=x" not in html, page
            seen += "&lt;script&gt;" in html
    assert seen > 20


def test_messages_are_text(poisoned: Cast, browser: Browser) -> None:
    client = browser("administrator")
    html = client.post("/admin/p/shop/people/", {"who": EVIL, "role": "viewer"}).content.decode()
    assert runs(html) == []
    page = client.get("/admin/p/shop/environments/development/edit/").content.decode()
    seen = re.search(r'name="base" value="(\d+)"', page)
    assert seen
    form = {
        "base": seen[1],
        "name": EVIL,
        "kind": "development",
        "position": 1,
        "bucketing": "murmur3",
        "regions": EVIL,
    }
    answer = client.post("/admin/p/shop/environments/development/edit/", form, follow=True)
    assert "saved." in answer.content.decode()
    assert runs(answer.content.decode()) == []


def test_a_variant_is_marked_up_after_escaping() -> None:
    from flags.templatetags.countersign import plain, words

    assert words("*on* for <b>*x*</b>") == (
        '<em class="cs-variant">on</em> for &lt;b&gt;<em class="cs-variant">x</em>&lt;/b&gt;'
    )
    assert words('*"><script>*') == '<em class="cs-variant">&quot;&gt;&lt;script&gt;</em>'
    assert plain("25 % *on*") == "25 % on"


def test_the_content_policy_allows_no_inline_script(cast: Cast, browser: Browser) -> None:
    policy = browser("author").get("/admin/p/shop/flags/")["Content-Security-Policy"]
    scripts = next(part for part in policy.split(";") if "script-src" in part)
    assert "unsafe-inline" not in scripts
