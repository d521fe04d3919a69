"""Expiry and staleness: the owner hears of it once, and a flag goes off only under an approval."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from access.notifications import delivering
from approvals import expiry, workflow
from approvals.models import ChangeRequest
from approvals.tasks import expire_flags
from audit.ledger import timestamp
from audit.models import Event
from flags import catalogue
from flags.documents import definition_document
from flags.models import Flag, FlagConfiguration, Notice
from flags.subjects import Subject
from flags.tasks import alert_stale_flags
from tests.cast import OFF, ON, Cast

Clock = Callable[[timedelta], datetime]
DAY = timedelta(days=1)


def expiring(cast: Cast, key: str = "banner", **members: Any) -> None:
    """Create a flag that expires tomorrow and belongs to the author."""
    cast.flag(
        key,
        owner=cast.users["author"].pseudonym,
        expires_at=timestamp(timezone.now() + DAY),
        temporary=True,
        **members,
    )


def letters() -> list[Any]:
    """The mails about expired and stale flags, after all that is due was delivered."""
    delivering.deliver_due()
    return [each for each in mail.outbox if "expired" in each.subject or "stale" in each.subject]


def document(environment: str = "production") -> Any:
    return FlagConfiguration.objects.get(environment__key=environment).document


def test_the_owner_hears_once_that_a_flag_expired_and_it_stays_on(cast: Cast, later: Clock) -> None:
    expiring(cast)
    cast.approve(cast.propose())
    expire_flags()
    assert letters() == []
    later(DAY)
    expire_flags()
    expire_flags()
    (letter,) = letters()
    assert letter.to == ["author@example.com"]
    assert "banner" in letter.subject
    assert "still on" in letter.body
    assert document() == ON


def test_a_later_date_is_a_new_expiry(cast: Cast, later: Clock) -> None:
    expiring(cast)
    later(DAY)
    expire_flags()
    expiring(cast)
    later(DAY)
    expire_flags()
    assert len(letters()) == 2


def test_a_flag_goes_off_under_the_approval_given_with_the_date(cast: Cast, later: Clock) -> None:
    expiring(cast, on_expiry="off")
    request = cast.approve(cast.propose())
    cast.propose(environment="development")
    expire_flags()
    assert document() == ON
    later(3 * DAY)
    expire_flags()
    assert (document(), document("development")) == (OFF, OFF)
    assert ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).count() == 0
    event = Event.objects.filter(subject=cast.subject()).order_by("-index").first()
    assert event is not None
    assert (event.change_id, event.actor) == (request.change_id, "system:scheduler")
    events = Event.objects.count()
    expire_flags()
    assert Event.objects.count() == events
    assert len(letters()) == 1


def test_a_date_that_is_set_later_is_approved_for_what_is_on_then(cast: Cast, later: Clock) -> None:
    cast.flag()
    cast.approve(cast.propose())
    expiring(cast, on_expiry="off")
    request = ChangeRequest.objects.first()
    assert request is not None
    assert request.state == ChangeRequest.State.IN_REVIEW, "turning off in production is a change of it"
    cast.approve(request)
    later(DAY)
    expire_flags()
    assert document() == OFF


def test_where_something_else_stands_there_one_new_request_is_made(cast: Cast, later: Clock) -> None:
    expiring(cast, on_expiry="off")
    cast.approve(cast.propose())
    workflow.kill(
        cast.actor("on_call"), Subject("configuration", "shop", "banner", "production"), cast.project
    )
    later(DAY)
    expire_flags()
    expire_flags()
    request = ChangeRequest.objects.get(state=ChangeRequest.State.IN_REVIEW)
    assert request.proposer == "system:scheduler"
    assert request.change["operations"][0]["after"] == {**OFF, "killed": True}
    assert document() == {**ON, "killed": True}
    cast.approve(request)
    assert document() == {**OFF, "killed": True}


def test_a_flag_with_a_long_name_is_asked_about_as_well(cast: Cast, later: Clock) -> None:
    key = "x" * 128
    cast.settings("production", name="y" * 128)
    expiring(cast, key, on_expiry="off")
    cast.approve(cast.propose(key=key, title="On"))
    workflow.kill(cast.actor("on_call"), Subject("configuration", "shop", key, "production"), cast.project)
    later(DAY)
    expire_flags()
    assert ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).count() == 1


def test_a_request_that_could_not_be_made_is_made_the_next_time(
    cast: Cast, later: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiring(cast, on_expiry="off")
    cast.approve(cast.propose())
    workflow.kill(
        cast.actor("on_call"), Subject("configuration", "shop", "banner", "production"), cast.project
    )
    later(DAY)

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(workflow, "change", broken)
        expire_flags()
    assert not ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).exists()
    expire_flags()
    assert ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).count() == 1


def test_a_second_date_that_does_not_fit_is_asked_about_again(cast: Cast, later: Clock) -> None:
    expiring(cast, on_expiry="off")
    cast.approve(cast.propose())
    kill = Subject("configuration", "shop", "banner", "production")
    workflow.kill(cast.actor("on_call"), kill, cast.project)
    later(DAY)
    expire_flags()
    first = ChangeRequest.objects.get(state=ChangeRequest.State.IN_REVIEW)
    workflow.reject(cast.actor("reviewer"), first, digest=first.digest)
    expiring(cast, on_expiry="off")
    extended = ChangeRequest.objects.get(state=ChangeRequest.State.IN_REVIEW)
    cast.approve(extended)
    cast.approve(cast.propose({**ON, "targets": {"off": ["u1"]}}))
    workflow.kill(cast.actor("on_call"), kill, cast.project)
    later(DAY)
    expire_flags()
    assert ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).count() == 1


def test_a_project_whose_tickets_have_a_pattern_is_asked_as_well(cast: Cast, later: Clock) -> None:
    pattern = {"ticket_pattern": "SHOP-[0-9]+"}
    cast.project = catalogue.save_project(cast.actor("administrator"), cast.project, pattern)
    cast.policy(approvals=1, ticket=True)
    expiring(cast, on_expiry="off")
    cast.approve(cast.propose(ticket="SHOP-2"))
    kill = Subject("configuration", "shop", "banner", "production")
    workflow.kill(cast.actor("on_call"), kill, cast.project)
    later(DAY)
    expire_flags()
    request = ChangeRequest.objects.get(state=ChangeRequest.State.IN_REVIEW)
    assert (request.proposer, request.ticket) == ("system:scheduler", "")
    assert Notice.objects.filter(kind="expired").count() == 1


def test_what_a_check_refuses_waits_for_people_and_holds_up_nothing(cast: Cast, later: Clock) -> None:
    expiring(cast, on_expiry="off")
    cast.propose(OFF, environment="development")
    cast.approve(cast.propose())
    later(DAY)
    cast.propose(environment="development")  # on once more, so there is no approval to turn it off
    expected = {
        "sentence": "Everyone has it",
        "environment": "development",
        "context": {"targetingKey": "u9"},
        "variant": "on",
    }
    subject = "project/shop/expectations/banner"
    workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": subject, "after": {"expectations": [expected]}}],
        title="Expected",
    )
    expire_flags()
    expire_flags()
    assert (document("development"), document()) == (ON, OFF)
    request = ChangeRequest.objects.get(state=ChangeRequest.State.APPROVED)
    assert "Everyone has it" in request.problem
    assert len(letters()) == 1


def test_what_is_done_with_is_not_touched_again(cast: Cast, later: Clock) -> None:
    expiring(cast)
    expiring(cast, "gone", on_expiry="off")
    expiring(cast, "stuck", on_expiry="off")
    cast.propose(key="gone", environment="development")
    cast.approve(cast.propose(key="stuck"))
    kill = Subject("configuration", "shop", "stuck", "production")
    workflow.kill(cast.actor("on_call"), kill, cast.project)
    moment = later(DAY)
    assert [flag.key for flag in expiry.due(moment)] == ["banner", "gone", "stuck"]
    expire_flags()
    assert [flag.key for flag in expiry.due(moment)] == ["stuck"], "it is still on, and to be off"


def test_the_approval_is_found_however_much_was_applied_since(cast: Cast, later: Clock) -> None:
    expiring(cast, on_expiry="off")
    request = cast.approve(cast.propose())
    others = [
        ChangeRequest(
            project=cast.project,
            change={"base": {"project/shop/flag/x": 1}, "operations": []},
            state=ChangeRequest.State.APPLIED,
            applied_at=timezone.now(),
            required_approvals=0,
        )
        for _ in range(201)
    ]
    through = ChangeRequest.environments.through
    through.objects.bulk_create(
        through(changerequest=each, environment=cast.production)
        for each in ChangeRequest.objects.bulk_create(others)
    )
    later(DAY)
    expire_flags()
    event = Event.objects.filter(subject=cast.subject()).order_by("-index").first()
    assert event is not None
    assert (document(), event.change_id) == (OFF, request.change_id)


def test_the_owner_of_a_stale_flag_hears_once_a_month(cast: Cast, later: Clock) -> None:
    expires_at = timestamp(timezone.now() + 40 * DAY)
    cast.flag(owner=cast.users["author"].pseudonym, temporary=True, expires_at=expires_at)
    cast.flag("kept", owner=cast.users["author"].pseudonym)
    alert_stale_flags()
    assert letters() == []
    moment = later(41 * DAY)
    alert_stale_flags()
    alert_stale_flags()
    (letter,) = letters()
    assert letter.subject == "[Shop] banner is stale"
    assert "41 days" in letter.body
    later(timedelta(days=32 - moment.day))
    alert_stale_flags()
    assert len(letters()) == 2


class Broken:
    """A mail server that refuses everything, in a way that no mail library promises."""

    def __init__(self, **_: Any) -> None:
        pass

    def send_messages(self, messages: Any) -> int:
        raise RuntimeError("the relay is on fire")


@pytest.mark.parametrize("task", [expire_flags, alert_stale_flags])
def test_a_mail_server_that_fails_holds_up_nothing(
    cast: Cast, later: Clock, settings: Any, task: Any
) -> None:
    for key in ("banner", "other"):
        expiring(cast, key, on_expiry="off")
        cast.propose(key=key, environment="development")
    later(50 * DAY)
    settings.EMAIL_BACKEND = f"{__name__}.Broken"
    task()
    delivering.deliver_due()
    assert set(Notice.objects.values_list("flag__key", flat=True)) == {"banner", "other"}
    if task is expire_flags:
        documents = FlagConfiguration.objects.values_list("document", flat=True)
        assert list(documents) == [OFF, OFF]


def test_a_flag_without_an_owner_or_an_address_is_nobodys_mail(cast: Cast, later: Clock) -> None:
    cast.flag(temporary=True, expires_at=timestamp(timezone.now() + 40 * DAY))
    cast.users["author"].email = ""
    cast.users["author"].save()
    expiring(cast, "other")
    later(50 * DAY)
    expire_flags()
    alert_stale_flags()
    assert letters() == []
    assert Flag.objects.count() == 2


@pytest.mark.parametrize(
    "members",
    [
        {"on_expiry": "alert"},
        {"expires_at": None, "temporary": False},
        {"expires_at": timestamp(timezone.now() + 30 * DAY)},
    ],
    ids=["tell only", "no date", "later"],
)
def test_an_approved_end_is_not_taken_away_without_approval(cast: Cast, members: dict[str, Any]) -> None:
    expiring(cast, on_expiry="off")
    cast.approve(cast.propose())
    flag = Flag.objects.get()
    after = {**definition_document(flag), **members}
    request = workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": flag.ledger_subject, "after": after}],
        title="Keep it",
        rationale="planned",
    )
    assert request.state == ChangeRequest.State.IN_REVIEW
    assert list(request.environments.all()) == [cast.production]
    assert Flag.objects.get().version == flag.version


def test_where_a_flag_is_on_nowhere_its_date_is_nobody_elses_business(cast: Cast) -> None:
    expiring(cast, on_expiry="off")
    cast.approve(cast.propose(OFF))
    flag = Flag.objects.get()
    after = {**definition_document(flag), "on_expiry": "alert"}
    request = workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": flag.ledger_subject, "after": after}],
        title="Tell only",
    )
    assert request.state == ChangeRequest.State.APPLIED


def test_a_segment_and_the_flag_that_names_it_are_one_request_though_the_flag_expires(cast: Cast) -> None:
    expiring(cast, on_expiry="off")
    rule = {"attribute": "", "operator": "in_segment", "values": ["beta"]}
    after = {**ON, "rules": [{"id": "r1", "constraints": [rule], "serve": {"variant": "on"}}]}
    request = workflow.propose(
        cast.actor("author"),
        cast.project,
        [
            {"subject": "project/shop/segment/beta", "after": {"included": ["u1"]}},
            {"subject": cast.subject(), "after": after},
        ],
        title="Beta",
        rationale="planned",
        scheduled_at=timezone.now(),
    )
    assert cast.approve(request).state == ChangeRequest.State.APPLIED
