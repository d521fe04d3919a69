"""Proposing: what cannot be is refused before anybody reviews it, and the refusal names the member."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from access.permissions import ForbiddenError
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.workflow import ConflictError, InvalidError
from audit.models import Blob, Event
from flags import catalogue
from flags.models import Flag, FlagConfiguration, Segment
from tests.cast import BANNER, OFF, ON, Cast, split

SEGMENT = {"included": ["u1"]}


def propose(cast: Cast, *operations: Any, by: str = "author", **options: Any) -> ChangeRequest:
    options.setdefault("title", "A change")
    options.setdefault("rationale", "planned")
    return workflow.propose(cast.actor(by), cast.project, operations, **options)


def set_to(subject: str, after: Any) -> dict[str, Any]:
    return {"subject": subject, "after": after}


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    """With a flag `banner` that is configured nowhere yet."""
    return cast


BANNER_IN_PRODUCTION = "project/shop/environment/production/flag/banner"


@pytest.mark.parametrize(
    ("operations", "member", "reason"),
    [
        ([], "operations", "is empty"),
        (["banner"], "operations[0]", "must be an object"),
        ([set_to("nonsense", ON)], "operations[0].subject", "no flag configuration"),
        (
            [set_to("project/shop/environment//flag/banner", ON)],
            "operations[0].subject",
            "no flag configuration",
        ),
        ([set_to("project/shop/flag/a\x00b", BANNER)], "operations[0].subject", r"U\+0000"),
        ([set_to("project/shop/flag/a b", BANNER)], "key", "is no key"),
        ([set_to(f"project/shop/flag/{'a' * 129}", BANNER)], "key", "is no key"),
        ([set_to("project/other/flag/banner", BANNER)], "operations[0].subject", "not in the project shop"),
        (
            [set_to("project/shop/environment/moon/flag/banner", ON)],
            "operations[0].subject",
            "no environment moon",
        ),
        ([set_to("project/shop/environment/production/flag/x", ON)], "operations[0].subject", "no flag x"),
        ([set_to(BANNER_IN_PRODUCTION, None)], "operations[0].after", "must be an object"),
        ([set_to(BANNER_IN_PRODUCTION, [])], "operations[0].after", "must be an object"),
        ([{**set_to(BANNER_IN_PRODUCTION, ON), "label": "x"}], "operations[0].label", "is unknown"),
        (
            [set_to(BANNER_IN_PRODUCTION, ON), set_to(BANNER_IN_PRODUCTION, OFF)],
            "operations[1].subject",
            "another operation",
        ),
    ],
)
def test_an_operation_that_makes_no_sense_is_refused_by_its_place(
    shop: Cast, operations: list[Any], member: str, reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason) as caught:
        propose(shop, *operations)
    assert caught.value.member == member
    assert not ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).exists()


def test_a_time_that_has_passed_is_refused_by_name(shop: Cast) -> None:
    with pytest.raises(InvalidError, match="is in the past") as caught:
        shop.propose(scheduled_at=timezone.now() - timedelta(minutes=2))
    assert caught.value.member == "scheduled_at"


def test_what_stands_there_already_is_no_change(shop: Cast) -> None:
    shop.approve(shop.propose())
    with pytest.raises(InvalidError, match="nothing to change") as caught:
        shop.propose(ON)
    assert caught.value.member == "operations[0].after"


@pytest.mark.parametrize(
    ("document", "member"),
    [
        ({"enabled": True}, "flags.banner.default"),
        ({**ON, "surprise": 1}, "flags.banner.surprise"),
        ({**ON, "default": {"variant": "blue"}}, "flags.banner.default.variant"),
        ({**ON, "off": "blue"}, "flags.banner.off"),
        ({**ON, "enabled": "yes"}, "flags.banner.enabled"),
        (
            {**split(0), "default": {"split": {**split(1)["default"]["split"], "weights": [["on", 0]]}}},
            "flags.banner.default.split.weights",
        ),
        (
            {
                **ON,
                "rules": [
                    {
                        "id": "r",
                        "constraints": [{"attribute": "", "operator": "in_segment", "values": ["ghosts"]}],
                        "serve": {"variant": "on"},
                    }
                ],
            },
            "flags.banner.rules[0].constraints[0].values[0]",
        ),
        (
            {
                **ON,
                "rules": [
                    {
                        "id": "r",
                        "constraints": [{"attribute": "plan", "operator": "resembles", "values": ["pro"]}],
                        "serve": {"variant": "on"},
                    }
                ],
            },
            "flags.banner.rules[0].constraints[0].operator",
        ),
        ({**ON, "rules": 7}, "flags.banner.rules"),
        ({**ON, "rules": [7]}, "flags.banner.rules[0]"),
        (
            {**ON, "rules": [{"id": "r", "constraints": 7, "serve": {"variant": "on"}}]},
            "flags.banner.rules[0].constraints",
        ),
        ({**ON, "regions": {"moon": True}}, "regions.moon"),
        ({**ON, "regions": 7}, "flags.banner.regions"),
        ({**ON, "regions": ["eu"]}, "flags.banner.regions"),
        ({**ON, "prerequisites": 7}, "flags.banner.prerequisites"),
        (
            {**ON, "prerequisites": [{"flag": "ghost", "variants": ["on"]}]},
            "flags.banner.prerequisites[0].flag",
        ),
        (
            {**ON, "prerequisites": [{"flag": ["x"], "variants": ["on"]}]},
            "flags.banner.prerequisites[0].flag",
        ),
        ({**ON, "prerequisites": [{"flag": "banner", "variants": ["on"]}]}, "flags.banner.prerequisites"),
        ({**ON, "targets": {"on": ["u1"], "off": ["u1"]}}, "flags.banner.targets"),
        ({**ON, "type": "boolean"}, "type"),
        ({**ON, "variants": {}}, "variants"),
        ({**ON, "version": 3}, "version"),
        ({**ON, "targets": {"on": ["a\x00b"]}}, "operations[0].after.targets.on[0]"),
        ({**ON, "targets": {"on": ["a\ud800b"]}}, "operations[0].after.targets.on[0]"),
        ({**ON, "rules": [float("nan")]}, "operations[0].after.rules[0]"),
        ({**ON, "rules": [2**60]}, "operations[0].after.rules[0]"),
        ({**ON, "rules": {"\x00": 1}}, "operations[0].after.rules"),
        ({**ON, "rules": {1: 1}}, "operations[0].after.rules"),
        ({**ON, "rules": [{1, 2}]}, "operations[0].after.rules[0]"),
    ],
    ids=repr,
)
def test_a_configuration_that_breaks_the_specification_is_refused_by_member(
    shop: Cast, document: Any, member: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        shop.propose(document)
    assert caught.value.member.startswith(member), caught.value
    assert not ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).exists()


def test_a_document_nested_without_end_is_refused(shop: Cast) -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InvalidError, match="levels deep") as caught:
        shop.propose({**ON, "rules": deep})
    assert caught.value.member.startswith("operations[0].after.rules")


def test_prerequisites_may_not_come_back_to_themselves(shop: Cast) -> None:
    shop.flag("other")
    shop.propose(ON, key="other", environment="development")
    shop.propose({**ON, "prerequisites": [{"flag": "other", "variants": ["on"]}]}, environment="development")
    with pytest.raises(InvalidError, match="are a cycle of banner, other") as caught:
        shop.propose(
            {**ON, "prerequisites": [{"flag": "banner", "variants": ["on"]}]},
            key="other",
            environment="development",
        )
    assert caught.value.member == "flags.banner.prerequisites"


@pytest.mark.parametrize(
    ("members", "member"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"team": "x" * 129}, "team"),
        ({"name": 7}, "name"),
        ({"kind": "whim"}, "kind"),
        ({"kind": ["release"]}, "kind"),
        ({"type": "colour"}, "type"),
        ({"variants": {"on": True, "off": "no"}}, "variants"),
        ({"variants": {}}, "variants"),
        ({"variants": 7}, "variants"),
        ({"critical": "yes"}, "critical"),
        ({"critical": 0}, "critical"),
        ({"temporary": 1}, "temporary"),
        ({"tags": "sale"}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"docs_url": "javascript:alert(1)"}, "docs_url"),
        ({"docs_url": "https://" + "x" * 200}, "docs_url"),
        ({"on_expiry": "explode"}, "on_expiry"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59.999999-14:00", "on_expiry": "off"}, "expires_at"),
        ({"expires_at": 7}, "expires_at"),
        ({"owner": "user:nobody"}, "owner"),
        ({"owner": 7}, "owner"),
        ({"fail_safe": "explode"}, "fail_safe"),
        ({"client_side": "no"}, "client_side"),
        ({"colour": "red"}, "colour"),
        ({"purpose": "a\x00b"}, "operations[0].after.purpose"),
    ],
    ids=repr,
)
def test_a_definition_that_cannot_be_is_refused_by_member(cast: Cast, members: Any, member: str) -> None:
    with pytest.raises(InvalidError) as caught:
        cast.flag(**members)
    assert caught.value.member.startswith(member), caught.value
    assert not Flag.objects.exists()


@pytest.mark.parametrize(
    ("document", "member"),
    [
        ({"surprise": 1}, "surprise"),
        ({"version": 1}, "version"),
        ({"change": "CR-1"}, "change"),
        ({"rules": [[{"attribute": "a", "operator": "in_segment", "values": ["x"]}]]}, "rules[0][0]"),
        ({"included": ["u1", 7]}, "included[1]"),
    ],
    ids=repr,
)
def test_a_segment_that_breaks_the_specification_is_refused_by_member(
    cast: Cast, document: Any, member: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        propose(cast, set_to("project/shop/segment/beta", document))
    assert caught.value.member.startswith(member), caught.value


@pytest.mark.parametrize(
    ("texts", "member"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"title": "a\ud800"}, "title"),
        ({"rationale": "x" * 4_001}, "rationale"),
        ({"rationale": "a\x00b"}, "rationale"),
        ({"rationale": " \n"}, "rationale"),
        ({"ticket": "x" * 201}, "ticket"),
    ],
    ids=repr,
)
def test_texts_are_asked_for_and_limited_by_name(shop: Cast, texts: Any, member: str) -> None:
    with pytest.raises(InvalidError) as caught:
        shop.propose(**texts)
    assert caught.value.member == member


def test_rationale_and_ticket_are_mandatory_where_the_environment_says_so(shop: Cast) -> None:
    shop.policy("development", ticket=True, rationale=True)
    with pytest.raises(InvalidError, match="Development asks why"):
        shop.propose(environment="development", rationale="")
    with pytest.raises(InvalidError, match="Development asks for a ticket"):
        shop.propose(environment="development")
    assert shop.propose(environment="development", ticket="SHOP-1").state == ChangeRequest.State.APPLIED


def test_only_those_who_may_propose_do(shop: Cast) -> None:
    for name in ("viewer", "reviewer", "auditor", "outsider"):
        with pytest.raises(ForbiddenError, match=r"change\.propose in shop needs the role"):
            propose(shop, set_to(BANNER_IN_PRODUCTION, ON), by=name)


@pytest.mark.parametrize("base", [{BANNER_IN_PRODUCTION: 1}, {BANNER_IN_PRODUCTION: -1}])
def test_a_base_version_that_is_not_the_present_one_is_a_conflict(shop: Cast, base: dict[str, int]) -> None:
    with pytest.raises(ConflictError):
        shop.propose(base=base)


def test_a_base_version_of_something_else_is_refused(shop: Cast) -> None:
    with pytest.raises(InvalidError, match="no operation") as caught:
        shop.propose(base={"project/shop/flag/banner": 1})
    assert caught.value.member == "base.project/shop/flag/banner"


def test_the_base_holds_the_version_of_each_subject(shop: Cast) -> None:
    shop.approve(shop.propose())
    request = shop.propose(OFF, base={BANNER_IN_PRODUCTION: 1})
    assert request.change["base"] == {BANNER_IN_PRODUCTION: 1}


def test_a_new_flag_has_a_key_of_the_projects_pattern(cast: Cast) -> None:
    founder = cast.actor("root", "cli")
    strict = catalogue.create_project(founder, "strict", "Strict", "[a-z-]+")
    for key, fits in (("new-banner", True), ("NewBanner", False), ("new-banner2", False)):
        operation = set_to(f"project/strict/flag/{key}", BANNER)
        if fits:
            workflow.change(founder, strict, [operation], title="New flag")
            continue
        with pytest.raises(InvalidError, match="pattern") as caught:
            workflow.change(founder, strict, [operation], title="New flag")
        assert caught.value.member == "key"


def test_a_flags_type_is_for_good(shop: Cast) -> None:
    with pytest.raises(InvalidError, match="callers ask for it by type") as caught:
        shop.flag(type="string", variants={"on": "yes", "off": "no"})
    assert caught.value.member == "type"


# --- what is gated by whom -----------------------------------------------------------------------


def test_a_definition_change_that_is_served_is_gated_where_the_flag_is_configured(shop: Cast) -> None:
    shop.approve(shop.propose())
    shop.propose(environment="development")
    request = propose(shop, set_to("project/shop/flag/banner", {**BANNER, "client_side": True}))
    assert request.state == ChangeRequest.State.IN_REVIEW
    assert [each.key for each in request.environments.all()] == ["development", "production"]
    assert request.required_approvals == 1


def test_a_definition_change_that_only_describes_needs_nobody(shop: Cast) -> None:
    shop.approve(shop.propose())
    revision = type(shop.production).objects.get(pk=shop.production.pk).revision
    shop.flag(name="Summer banner", purpose="Sale")
    assert Flag.objects.get().name == "Summer banner"
    assert type(shop.production).objects.get(pk=shop.production.pk).revision == revision


def test_removing_a_variant_that_is_served_is_refused(shop: Cast) -> None:
    shop.approve(shop.propose())
    with pytest.raises(InvalidError) as caught:
        propose(shop, set_to("project/shop/flag/banner", {**BANNER, "variants": {"off": False}}))
    assert caught.value.member.startswith("flags.banner.")


def test_a_segment_change_is_gated_where_the_segment_is_used(shop: Cast) -> None:
    subject = "project/shop/segment/beta"
    made = workflow.change(shop.actor("author"), shop.project, [set_to(subject, SEGMENT)], title="Beta")
    assert made.state == ChangeRequest.State.APPLIED, "used nowhere, so nobody has to look"
    rule = {
        "id": "beta",
        "constraints": [{"attribute": "", "operator": "in_segment", "values": ["beta"]}],
        "serve": {"variant": "on"},
    }
    shop.approve(shop.propose({**OFF, "enabled": True, "rules": [rule]}))
    request = propose(shop, set_to(subject, {"included": ["u1", "u2"]}))
    assert request.required_approvals == 1
    assert [each.key for each in request.environments.all()] == ["production"]
    revision = type(shop.production).objects.get(pk=shop.production.pk).revision
    workflow.apply(shop.actor("author"), shop.approve(request))
    assert type(shop.production).objects.get(pk=shop.production.pk).revision == revision + 1


def test_a_segment_that_came_into_use_after_the_proposal_is_not_changed_without_review(shop: Cast) -> None:
    subject = "project/shop/segment/beta"
    workflow.change(shop.actor("author"), shop.project, [set_to(subject, SEGMENT)], title="Beta")
    sneaky = propose(shop, set_to(subject, {"included": ["u1", "u2"]}), scheduled_at=None)
    rule = {
        "id": "beta",
        "constraints": [{"attribute": "", "operator": "in_segment", "values": ["beta"]}],
        "serve": {"variant": "on"},
    }
    shop.approve(shop.propose({**ON, "rules": [rule]}))
    with pytest.raises(workflow.StateError, match="0 of 1 approvals"):
        workflow.apply(shop.actor("author"), sneaky)
    assert Segment.objects.get().document == SEGMENT


def test_segments_that_no_client_could_read_together_are_refused(shop: Cast) -> None:
    """A snapshot's line of segments has at most 1 MiB, however they came together."""
    names = [f"s{number}" for number in range(3)]
    for number, name in enumerate(names):
        document = {"included": [f"{number}-{key:035d}" for key in range(10_000)]}
        workflow.change(
            shop.actor("author"),
            shop.project,
            [set_to(f"project/shop/segment/{name}", document)],
            title="Many",
        )

    def using(*used: str) -> dict[str, Any]:
        constraint = {"attribute": "", "operator": "in_segment", "values": list(used)}
        return {**ON, "rules": [{"id": "r", "constraints": [constraint], "serve": {"variant": "on"}}]}

    shop.flag("other")
    shop.propose(using("s0", "s1"), environment="development")
    with pytest.raises(InvalidError, match="more than 1048576") as caught:
        shop.propose(using("s2"), key="other", environment="development")
    assert caught.value.member == "segments"
    shop.propose(using("s0"), key="other", environment="development")
    bigger = {"included": [f"0-{key:035d}" for key in range(20_000)]}
    with pytest.raises(InvalidError, match="more than 1048576") as caught:
        propose(shop, set_to("project/shop/segment/s0", bigger))
    assert caught.value.member == "segments"


# --- what is stored ------------------------------------------------------------------------------


def proposal(request: ChangeRequest) -> Any:
    event = Event.objects.get(type="approvals.v1.change_request.proposed", change_id=request.change_id)
    return json.loads(event.line)["data"]["change"]


def many(count: int) -> dict[str, Any]:
    return {**ON, "targets": {"on": [f"user-{number:06d}" for number in range(count)]}}


def test_a_small_change_stands_in_its_event_whole(shop: Cast) -> None:
    request = shop.propose()
    assert proposal(request) == request.change
    assert not Blob.objects.exists()


def test_a_document_over_8192_bytes_stands_by_digest_and_its_bytes_are_kept(shop: Cast) -> None:
    request = shop.propose(many(1_000))
    after = proposal(request)["operations"][0]["after"]
    assert set(after) == {"blob", "size"}
    assert json.loads(Blob.objects.get(digest=after["blob"]).content) == many(1_000)
    request = shop.approve(request)
    assert FlagConfiguration.objects.get().document == many(1_000)
    applied = Event.objects.get(type="flags.v1.configuration.updated")
    assert json.loads(applied.line)["data"]["after"] == after


def test_a_change_over_32768_bytes_stands_with_its_operations_by_digest(shop: Cast) -> None:
    operations = []
    for number in range(8):
        shop.flag(f"flag{number}")
        operations.append(set_to(shop.subject(f"flag{number}"), many(550)))
    request = propose(shop, *operations, scheduled_at=timezone.now())
    shown = proposal(request)["operations"]
    assert set(shown) == {"blob", "size"}
    kept = json.loads(Blob.objects.get(digest=shown["blob"]).content)
    assert [each["subject"] for each in kept] == [each["subject"] for each in operations]
    assert shop.approve(request).state == ChangeRequest.State.APPLIED


def test_a_change_too_large_for_an_event_is_refused_by_name(shop: Cast) -> None:
    keys = [f"{number:04d}" + "x" * 120 for number in range(400)]
    operations = [set_to(f"project/shop/segment/{key}", SEGMENT) for key in keys]
    with pytest.raises(InvalidError, match="split the request") as caught:
        propose(shop, *operations)
    assert caught.value.member == "operations"


def test_what_the_ledger_carries_is_what_stands_there_afterwards(cast: Cast) -> None:
    """Else the next event's `before` would not be this one's `after`, and no verifier accept the log."""
    cast.flag(description="", tags=[], critical=False, temporary=False)
    cast.flag(name="Summer banner")
    first, second = Event.objects.filter(subject="project/shop/flag/banner").order_by("index")
    assert json.loads(first.line)["data"]["after"] == json.loads(second.line)["data"]["before"]


def test_a_request_says_from_when_it_may_be_applied(shop: Cast) -> None:
    later = timezone.now() + timedelta(days=1)
    request = shop.propose(not_before=later)
    assert request.change["not_before"] == later.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert request.scheduled_at == later, "an earlier time could only fail"


def test_a_flag_that_turns_off_at_a_date_is_approved_together_with_that(shop: Cast) -> None:
    moment = datetime(2100, 1, 1, tzinfo=UTC)
    shop.flag(expires_at="2100-01-01T00:00:00.000000Z", on_expiry="off")
    request = shop.propose()
    assert [each.get("label") for each in request.change["operations"]] == [
        None,
        f"expiry {moment:%Y-%m-%dT%H:%M:%S.%fZ}",
    ]
    assert request.change["operations"][1]["after"] == OFF


@pytest.mark.parametrize("number", [1e22, -1e300, 2.0**53])
def test_a_number_that_the_evidence_cannot_carry_is_refused_by_name(cast: Cast, number: float) -> None:
    with pytest.raises(InvalidError, match=r"variants\.on: is beyond"):
        cast.flag(type="float", variants={"on": number, "off": 0.5})
