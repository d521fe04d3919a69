"""Who is told what, and that it leaves with what it tells of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from access import grants, notify
from access.limits import Limits
from access.models import Delivery, Notification, User
from access.notifications import choices, delivering, inbox
from access.notifications.kinds import KINDS, PERSONAL
from access.roles import VERBS, Role
from approvals import rollouts, workflow
from approvals.models import Emergency
from approvals.tasks import carry_out_due
from approvals.workflow import StateError
from audit.ledger import LedgerError
from audit.recording import recording
from flags.models import Flag
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split

State = Delivery.State
# Administrators review too, and who made the project administers it.
REVIEWERS = {"reviewer", "second_reviewer", "administrator", "root"}


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    """The cast with a flag, and nobody told of anything yet."""
    Notification.objects.all().delete()
    return cast


def told(kind: str) -> set[str]:
    """Who finds it in the app, by user name."""
    rows = Delivery.objects.filter(notification__kind=kind, channel="app")
    return set(rows.values_list("person__username", flat=True))


def test_reviewers_who_may_review_it_are_told_that_a_request_waits(shop: Cast) -> None:
    root = shop.actor("root")
    limited = User.objects.create(username="limited", email="limited@example.com")
    grants.grant(
        root, shop.project, limited.pseudonym, Role.REVIEWER, limits=Limits(frozenset({"development"}))
    )
    grants.grant(root, shop.project, shop.users["author"].pseudonym, Role.REVIEWER)
    shop.propose()
    assert told("request.waiting") == REVIEWERS


def test_nobody_is_told_of_what_was_not_proposed(shop: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow.preview(
        shop.actor("author"),
        shop.project,
        [{"subject": shop.subject(), "after": ON}],
        title="On",
        rationale="planned",
    )

    def refuse(*_: Any) -> None:
        raise LedgerError("full")

    monkeypatch.setattr("audit.ledger.append", refuse)
    with pytest.raises(LedgerError):
        shop.propose()
    assert not Notification.objects.exists()


def test_an_author_is_told_what_happens_to_a_request(shop: Cast) -> None:
    request = shop.propose(scheduled_at=None)
    shop.approve(request)
    workflow.apply(shop.actor("reviewer"), request)
    rejected = shop.propose(OFF)
    workflow.reject(shop.actor("reviewer"), rejected, digest=rejected.digest, comment="Not on a Friday.")
    for kind in ("approved", "applied", "rejected"):
        assert told(f"request.{kind}") == {"author"}, kind
    assert not told("request.failed")


def test_an_author_is_told_once_that_a_schedule_could_not_carry_it_out(shop: Cast) -> None:
    later = timezone.now() + delivering.KEPT
    stale = shop.approve(shop.propose(scheduled_at=later))
    shop.approve(shop.propose(split(50)))
    for _ in range(2):
        workflow.apply_or_explain(shop.actor("on_call"), stale)
    [found] = Notification.objects.filter(kind="request.failed")
    assert "version" in found.about["problem"]
    assert told("request.failed") == {"author"}


def test_what_one_does_oneself_is_no_news(shop: Cast) -> None:
    shop.propose(environment="development")
    request = shop.approve(shop.propose(scheduled_at=None))
    Notification.objects.all().delete()
    workflow.apply(shop.actor("author"), request)
    assert not Notification.objects.exists()


def test_what_waits_no_more_counts_as_read_and_is_mailed_to_nobody(shop: Cast, mailoutbox: Any) -> None:
    second = shop.actor("second_reviewer")
    request = shop.propose()
    assert inbox.unread(second) == 1
    shop.approve(request)
    assert inbox.unread(second) == 0
    workflow.withdraw(shop.actor("author"), shop.propose(OFF))
    assert inbox.unread(second) == 0
    delivering.deliver_due()
    assert not [mail for mail in mailoutbox if "waits for your review" in mail.subject]


def test_a_kill_is_told_to_those_who_review_it_and_those_on_call(shop: Cast) -> None:
    shop.propose(environment="development")
    second = User.objects.create(username="second_on_call")
    grants.grant(shop.actor("root"), shop.project, second.pseudonym, Role.ON_CALL)
    subject = Subject.parse(shop.subject(environment="development"))
    workflow.kill(shop.actor("on_call"), subject, shop.project)
    assert told("kill.waiting") == REVIEWERS
    assert told("flag.killed") == {"second_on_call"}
    with pytest.raises(StateError):
        workflow.kill(shop.actor("on_call"), subject, shop.project)
    assert Notification.objects.filter(kind="kill.waiting").count() == 1
    second_reviewer = shop.actor("second_reviewer")
    assert inbox.unread(second_reviewer) == 1
    workflow.review_emergency(shop.actor("reviewer"), Emergency.objects.get())
    assert inbox.unread(second_reviewer) == 0


def test_changed_roles_are_told_to_those_who_give_them(shop: Cast) -> None:
    grants.grant(shop.actor("root"), shop.project, shop.users["viewer"].pseudonym, Role.AUDITOR)
    assert told("access.changed") == {"administrator"}
    [found] = Notification.objects.all()
    assert found.about == {"member": shop.users["viewer"].pseudonym, "roles": "Auditor, Viewer"}


def test_whoever_lost_the_role_is_told_no_more(shop: Cast, mailoutbox: Any) -> None:
    shop.propose()
    reviewer = shop.actor("reviewer")
    assert inbox.unread(reviewer) == 1
    [membership] = shop.project.memberships.filter(member=reviewer.id)
    grants.revoke(shop.actor("root"), membership)
    shop.users["administrator"].is_active = False
    shop.users["administrator"].save()
    delivering.deliver_due()
    mails = [mail.to for mail in mailoutbox if "waits for your review" in mail.subject]
    assert sorted(mails) == [["root@example.com"], ["second_reviewer@example.com"]]
    assert inbox.unread(reviewer) == 0
    dropped = Delivery.objects.filter(state=State.DROPPED, notification__kind="request.waiting")
    assert set(dropped.values_list("person__username", flat=True)) == {"reviewer", "administrator"}


def test_choices_narrow_the_defaults_and_widen_them(shop: Cast) -> None:
    reviewer, author = shop.users["reviewer"], shop.users["author"]
    choices.choose(reviewer, {"request.waiting": {"app": False, "mail": False}})
    choices.choose(author, {"request.applied": {"mail": True}})
    shop.approve(shop.propose())
    assert told("request.waiting") == REVIEWERS - {"reviewer"}
    mails = Delivery.objects.filter(channel="mail", person__in=[reviewer, author])
    assert list(mails.values_list("notification__kind", flat=True)) == ["request.applied"]
    choices.choose(reviewer, {"request.waiting": {"app": True, "mail": True}})
    assert not reviewer.notification_choices.exists()


def test_the_table_names_verbs_and_channels_that_there_are() -> None:
    for name, kind in KINDS.items():
        assert kind.defaults <= set(PERSONAL), name
        assert not kind.verb or VERBS[kind.verb].is_of_project is kind.is_of_project, name


def test_a_plan_that_waits_is_told_to_reviewers_and_one_that_stops_to_on_call_and_its_author(
    shop: Cast, later: Any
) -> None:
    flag = Flag.objects.get(key="banner")
    shop.approve(shop.propose(split(1)))
    stages = [
        {"weights": [["on", 5], ["off", 95]], "hold": 60},
        {"weights": [["on", 25], ["off", 75]], "hold": 60, "go_ahead": True},
        {"weights": [["on", 50], ["off", 50]], "hold": 60},
    ]
    request = rollouts.propose_plan(
        shop.actor("author"), flag, shop.production, stages, title="Plan", rationale="planned"
    )
    shop.approve(request)
    assert told("rollout.waiting") == REVIEWERS - {"reviewer"}  # whose approval carried out the first stage
    request.refresh_from_db()
    rollouts.give_go_ahead(shop.actor("reviewer"), request.plan)
    assert not Delivery.objects.filter(
        notification__kind="rollout.waiting", channel="app", read_at=None
    ).exists()
    workflow.kill(shop.actor("on_call"), Subject.parse(shop.subject()), shop.project)
    later(timedelta(minutes=2))
    carry_out_due()
    assert told("rollout.stopped") == {"on_call", "author", "administrator", "root"}


def test_alarms_of_accounts_reach_the_person_even_of_their_own_doing_and_administrators(
    shop: Cast, mailoutbox: Any
) -> None:
    person = shop.users["viewer"].pseudonym
    with recording(shop.actor("viewer")) as record:
        what = {"what": "an app was added"}
        notify.tell(record, "account.factors_changed", None, about=what, to=[person])
        notify.tell(record, "account.second_factor_reset", None, about={"member": person})
    assert told("account.factors_changed") == {"viewer"}
    assert told("account.second_factor_reset") == {"root"}
    assert inbox.unread(shop.actor("viewer")) == 1
    delivering.deliver_due()
    subjects = {(mail.to[0], mail.subject) for mail in mailoutbox}
    assert ("viewer@example.com", "[Countersign] Your account: an app was added") in subjects
    assert ("root@example.com", "[Countersign] Viewer took away the second factors of Viewer") in subjects


def test_what_goes_back_by_itself_is_told_to_on_call_and_its_author(shop: Cast, later: Any) -> None:
    shop.approve(shop.propose(OFF))
    shop.approve(shop.propose(ON, confirm_within=600))
    later(timedelta(minutes=11))
    carry_out_due()
    assert told("request.went_back") == {"on_call", "author", "administrator", "root"}
    [found] = Notification.objects.filter(kind="request.went_back")
    assert found.about["problem"] == "It was not confirmed in time, and it was taken back."
