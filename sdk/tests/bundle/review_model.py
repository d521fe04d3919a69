"""The rules of reviews a second time, straight from section 6: slow, obvious, and no code of the verifier's.

Every question is answered by reading the whole history before the event. ``history`` makes random ones,
most of them long and valid up to the last event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bundle_writer import Ledger, change, digest, jcs, operation, stand_in

PROPOSED, APPROVED, REJECTED, APPLIED = (
    f"approvals.v1.change_request.{verb}" for verb in ("proposed", "approved", "rejected", "applied")
)
KILL_REVIEWED = "approvals.v1.emergency.reviewed"
UPDATED, KILLED = "flags.v1.configuration.updated", "flags.v1.configuration.killed"

PEOPLE = ["user:a", "user:b", "user:c", "user:d"]
SUBJECTS = [f"project/shop/environment/production/flag/{flag}" for flag in ("x", "y")]
LARGE: dict[str, Any] = {"text": "x" * 9000}
LARGE_KILLED = {**LARGE, "killed": True}
BLOBS = {digest(value): value for value in (LARGE, LARGE_KILLED)}
DOCUMENTS: list[Any] = [
    None,
    {"enabled": False},
    {"enabled": True},
    {"enabled": True, "killed": True},
    {"enabled": True, "killed": False},
    stand_in(LARGE),
    stand_in(LARGE_KILLED),
]


@dataclass
class History:
    """A log, which of its events an export withholds, and what the auditor asks for."""

    ledger: Ledger
    hidden: set[int] = field(default_factory=set)
    policy: dict[str, Any] = field(default_factory=dict)

    def visible(self, before: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, event in enumerate(self.ledger.events[:before]):
            if index not in self.hidden:
                yield index, event

    def hidden_between(self, low: int, high: int) -> bool:
        return any(low < index < high for index in self.hidden)


@dataclass
class Verdict:
    """The index of the first event that breaks a rule, or None and what the report must hold."""

    refused: int | None = None
    log_vouched: list[int] = field(default_factory=list)
    emergency: list[int] = field(default_factory=list)
    unreviewed: list[int] = field(default_factory=list)
    emergency_unreviewed: list[str] = field(default_factory=list)


def judge(history: History) -> Verdict:
    """What the specification says of this history."""
    events = history.ledger.events
    verdict = Verdict()
    for index in range(1, len(events)):
        if index in history.hidden:
            continue
        if not allowed(history, index):
            return Verdict(refused=index)
        if events[index]["type"] == KILLED:
            verdict.emergency.append(index)
        elif "change_request" in events[index]["data"]:
            needed = proposal_of(history, index)[1]["data"]["change"]["required_approvals"]
            (verdict.log_vouched if needed else verdict.unreviewed).append(index)
        elif "before" in events[index]["data"]:
            verdict.unreviewed.append(index)
    reviewed = {
        event["data"]["event"] for _, event in history.visible(len(events)) if is_a(event, KILL_REVIEWED)
    }
    verdict.emergency_unreviewed = [
        events[index]["id"]
        for index in verdict.emergency
        if events[index]["id"] not in reviewed or not history.policy["accept_log_vouched"]
    ]
    return verdict


def allowed(history: History, index: int) -> bool:
    """Whether the event may follow those before it."""
    event = history.ledger.events[index]
    data, actor = event["data"], event["data"]["actor"]["id"]
    if is_a(event, PROPOSED):
        return all(
            past["data"]["change"]["id"] != data["change"]["id"] for _, past in proposals(history, index)
        )
    if is_a(event, APPROVED, REJECTED, APPLIED):
        found = [
            (place, past)
            for place, past in proposals(history, index)
            if past["data"]["change"]["id"] == data["change_id"]
        ]
        if not found or digest(found[0][1]["data"]["change"]) != data["digest"]:
            return False
        place, proposal = found[0]
        if is_a(event, APPROVED):
            return bool(actor != proposal["data"]["actor"]["id"])
        if is_a(event, APPLIED):
            return may_have_been_used(history, place, data["change_id"], index)
        return True
    if is_a(event, KILL_REVIEWED):
        kills = [
            past for _, past in history.visible(index) if is_a(past, KILLED) and past["id"] == data["event"]
        ]
        return (
            bool(kills)
            and digest(kills[0]["data"]) == data["digest"]
            and actor != kills[0]["data"]["actor"]["id"]
        )
    if "before" not in data:
        return "change_request" not in data and "change" not in data
    return follows_the_last_document(history, index) and (
        is_a_kill(history, index) if is_a(event, KILLED) else is_reviewed_enough(history, index)
    )


def follows_the_last_document(history: History, index: int) -> bool:
    event = history.ledger.events[index]
    earlier = [
        (place, past)
        for place, past in history.visible(index)
        if "after" in past["data"] and past["subject"] == event["subject"]
    ]
    if not earlier or history.hidden_between(earlier[-1][0], index):
        return True
    return same(earlier[-1][1]["data"]["after"], event["data"]["before"])


def is_a_kill(history: History, index: int) -> bool:
    data = history.ledger.events[index]["data"]
    before, after = whole(data["before"]), whole(data["after"])
    kills = sum(is_a(event, KILLED) for _, event in history.visible(index + 1))
    return (
        "change_request" not in data
        and isinstance(before, dict)
        and before.get("killed", False) is False
        and same(after, {**before, "killed": True})
        and kills <= history.policy.get("max_emergency", kills)
    )


def is_reviewed_enough(history: History, index: int) -> bool:
    policy = history.policy
    event = history.ledger.events[index]
    asked = index >= policy["review_from"] and any(
        event["subject"] == prefix or event["subject"].startswith(prefix + "/")
        for prefix in policy["review_required"]
    )
    if "change_request" not in event["data"]:
        return not asked
    if not is_carried_out_rightly(history, index):
        return False
    return not asked or (
        policy["accept_log_vouched"] and len(approvers(history, index)) >= max(1, policy["min_approvals"])
    )


def is_carried_out_rightly(history: History, index: int) -> bool:
    event = history.ledger.events[index]
    reference = event["data"]["change_request"]
    found = [past for _, past in proposals(history, index) if past["data"]["change"]["id"] == reference["id"]]
    if not found or digest(found[0]["data"]["change"]) != reference["digest"]:
        return False
    proposed = found[0]["data"]["change"]
    number = reference["operation"]
    if number >= len(proposed["operations"]):
        return False
    step = proposed["operations"][number]
    admissible = step["before_any"] if "before_any" in step else [step["before"]]
    repeat = step.get("repeat", False)
    used = {
        past["data"]["change_request"]["operation"]
        for _, past in carried_out(history, reference["id"], index)
    }
    rejections = [
        place
        for place, past in history.visible(index)
        if is_a(past, REJECTED) and past["data"]["change_id"] == reference["id"]
    ]
    proposed_at = proposal_of(history, index)[0]
    return (
        (step["subject"], step["type"]) == (event["subject"], event["type"])
        and same(step["after"], event["data"]["after"])
        and any(same(value, event["data"]["before"]) for value in admissible)
        and (repeat or number not in used)
        and event["time"] >= proposed.get("not_before", "")
        and (repeat or event["time"] <= proposed.get("not_after", "9999"))
        and len(approvers(history, index)) >= proposed["required_approvals"]
        and (
            not rejections
            or (repeat and may_have_been_used(history, proposed_at, reference["id"], rejections[0]))
        )
    )


def approvers(history: History, index: int) -> set[str]:
    change_id = history.ledger.events[index]["data"]["change_request"]["id"]
    proposer = proposal_of(history, index)[1]["data"]["actor"]["id"]
    return {
        past["data"]["actor"]["id"]
        for _, past in history.visible(index)
        if is_a(past, APPROVED) and past["data"]["change_id"] == change_id
    } - {proposer}


def may_have_been_used(history: History, proposed_at: int, change_id: str, before: int) -> bool:
    return bool(carried_out(history, change_id, before)) or history.hidden_between(proposed_at, before)


def carried_out(history: History, change_id: str, before: int) -> list[tuple[int, dict[str, Any]]]:
    return [
        (place, past)
        for place, past in history.visible(before)
        if past["data"].get("change_request", {}).get("id") == change_id
    ]


def proposals(history: History, before: int) -> list[tuple[int, dict[str, Any]]]:
    return [(place, past) for place, past in history.visible(before) if is_a(past, PROPOSED)]


def proposal_of(history: History, index: int) -> tuple[int, dict[str, Any]]:
    change_id = history.ledger.events[index]["data"]["change_request"]["id"]
    return next(
        (place, past)
        for place, past in proposals(history, index)
        if past["data"]["change"]["id"] == change_id
    )


def is_a(event: dict[str, Any], *kinds: str) -> bool:
    return event["type"] in kinds


def same(one: Any, other: Any) -> bool:
    return jcs(one) == jcs(other)


def whole(value: Any) -> Any:
    return BLOBS[value["blob"]] if isinstance(value, dict) and "blob" in value else value


# Making histories


def history(random: Random, length: int) -> History:
    """A random history. Steps that the model refuses are mostly taken back, or all would end at once."""
    made = History(
        Ledger(),
        policy={
            "review_required": random.choice(
                [[], [], [SUBJECTS[0]], ["project/shop/environment"], ["project/sh"]]
            ),
            "review_from": random.choice([0, 0, length // 2]),
            "min_approvals": random.choice([0, 1, 1, 2]),
            "accept_log_vouched": random.random() < 0.9,
            **({"max_emergency": random.randrange(4)} if random.random() < 0.3 else {}),
        },
    )
    withholding = random.random() < 0.3
    patience = random.choice([3, 30, 30])
    for _ in range(length):
        for _ in range(patience):
            _step(random, made, withholding)
            index = made.ledger.size - 1
            if index in made.hidden or allowed(made, index):
                break
            made.ledger.lines.pop()
            made.ledger.events.pop()
        else:
            _step(random, made, withholding)
    return made


def _step(random: Random, made: History, withholding: bool) -> None:
    ledger = made.ledger
    index = ledger.size
    changes = [event["data"]["change"] for _, event in proposals(made, index)]
    kills = [event for _, event in made.visible(index) if is_a(event, KILLED)]
    actor = random.choice(PEOPLE)
    kind = random.choice(["propose", "approve", "approve", "carry", "carry", "carry", "reject", "other"])
    if kind == "propose" or not changes:
        ledger.propose(_change(random, made), actor)
    elif kind in ("approve", "reject"):
        chosen = random.choice(changes)
        verb = "approved" if kind == "approve" else random.choice(["rejected", "applied", "applied"])
        wrong = {"digest": digest("other")} if random.random() < 0.05 else {}
        ledger.review(verb, actor, chosen, **wrong)
    elif kind == "carry":
        _carry_out(random, made, random.choice(changes), actor)
    elif kills and random.random() < 0.4:
        ledger.review_kill(random.choice(kills), actor)
    else:
        subject = random.choice(SUBJECTS)
        before = _current(random, made, subject)
        if random.random() < 0.5:
            value = whole(before)
            after = {**value, "killed": True} if isinstance(value, dict) else random.choice(DOCUMENTS)
            after = stand_in(after) if len(jcs(after)) > 8192 else after
            ledger.document(before, after, subject, kind=KILLED, actor=actor)
            return
        ledger.document(before, random.choice(DOCUMENTS), subject, actor=actor)
    if withholding and "before" in ledger.last["data"] and random.random() < 0.4:
        made.hidden.add(index)


def _carry_out(random: Random, made: History, chosen: dict[str, Any], actor: str) -> None:
    number = random.randrange(len(chosen["operations"]) + (random.random() < 0.05))
    step = chosen["operations"][min(number, len(chosen["operations"]) - 1)]
    reference = {"id": chosen["id"], "digest": digest(chosen), "operation": number}
    if random.random() < 0.05:
        reference[random.choice(["id", "digest"])] = digest("other")[7:20]
    made.ledger.document(
        _current(random, made, step["subject"]),
        step["after"] if random.random() < 0.95 else random.choice(DOCUMENTS),
        step["subject"] if random.random() < 0.95 else random.choice(SUBJECTS),
        kind=step["type"] if random.random() < 0.95 else "flags.v1.configuration.created",
        actor=actor,
        change_request=reference,
    )


def _current(random: Random, made: History, subject: str) -> Any:
    """What stands at the subject, sometimes something else."""
    documents = [
        event["data"]["after"]
        for event in made.ledger.events
        if event.get("subject") == subject and "after" in event["data"]
    ]
    return documents[-1] if documents and random.random() < 0.95 else random.choice(DOCUMENTS)


def _change(random: Random, made: History) -> dict[str, Any]:
    steps = []
    for _ in range(random.randint(1, 3)):
        subject = random.choice(SUBJECTS)
        start: dict[str, Any] = {"before": _current(random, made, subject)}
        if random.random() < 0.6:
            start = {"before": ..., "before_any": random.sample(DOCUMENTS, random.randint(0, len(DOCUMENTS)))}
        repeat = {"repeat": True} if random.random() < 0.4 else {}
        steps.append(
            operation(**start, after=random.choice(DOCUMENTS), subject=subject, type=UPDATED, **repeat)
        )
    bounds = {}
    for name, first, last in (("not_before", 0, 6), ("not_after", 1, 12)):
        if random.random() < 0.2:
            bounds[name] = made.ledger.time(made.ledger.size + random.randint(first, last))
    return change(
        f"CR-{random.randrange(5)}",
        *steps,
        base=dict.fromkeys(SUBJECTS, 0),
        required_approvals=random.choice([0, 1, 1, 2]),
        **bounds,
    )
