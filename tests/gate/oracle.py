"""A second reading of the gate's rules, from the ledger's lines alone: nothing here asks the product.

It follows each event, keeps what it says stands, and asserts that what was served was allowed to be.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

REVIEW = {"reviewer", "administrator"}
KILL = {"on-call", "administrator"}
APPLY = {"editor", "reviewer", "release-manager", "on-call", "administrator"}
SYSTEM = "system:scheduler"
DAY = timedelta(days=1)
# Of a definition, what snapshots have, and whether the flag is there at all.
SERVED = ("type", "variants", "fail_safe", "client_side", "archived")
Document = dict[str, Any]


def digest(change: Document) -> str:
    text = json.dumps(change, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass
class Proposal:
    change: Document
    digest: str
    proposer: str
    approved_by: set[str] = field(default_factory=set)
    is_rejected: bool = False
    applied: datetime | None = None
    is_confirmed: bool = False
    carried_out: set[int] = field(default_factory=set)


@dataclass
class Needs:
    approvals: int = 0
    shares: list[tuple[int, str]] = field(default_factory=list)

    def ask(self, policy: Document) -> None:
        self.approvals = max(self.approvals, policy.get("approvals", 0))
        for share in policy.get("from", []):
            self.shares.append((share.get("count", 1), share["role"]))
            self.approvals = max(self.approvals, share.get("count", 1))


class Oracle:
    """What stands by the ledger, and what may happen next."""

    def __init__(self) -> None:
        self.size = 0
        self.standing: dict[str, Document | None] = {}
        self.written: Counter[str] = Counter()
        self.proposals: dict[str, Proposal] = {}
        # By event id, the debt that an act without review leaves: who did it, who reviewed it.
        self.debts: dict[str, list[str]] = {}
        self.seen: Counter[str] = Counter()
        self.was_unprotected: set[str] = set()
        self._needs: tuple[str, Needs] | None = None
        self._going_back: set[str] = set()
        self._stages: dict[str, tuple[datetime, int]] = {}
        self._told_to_go_on: dict[str, int] = {}

    def read(self, lines: list[str]) -> None:
        """Follow the events that are new, in the order of the ledger."""
        for line in lines:
            event = json.loads(line)
            assert int(event["sequence"]) == self.size
            self._follow(event)
            self.size += 1
        assert not self._going_back, "a way back was written without saying so"

    def _follow(self, event: Document) -> None:
        kind, data = event["type"], event["data"]
        self.seen[kind] += 1
        if "change_request" not in data:
            self._needs = None
        if kind.startswith("approvals.v1.change_request."):
            self._request(kind.rpartition(".")[2], event)
        elif kind == "approvals.v1.emergency.reviewed" or kind == "approvals.v1.revert.reviewed":
            debt = self.debts[data["event"]]
            assert len(debt) == 1
            assert data["actor"]["id"] != debt[0], "nobody reviews their own"
            assert self.holds(data["actor"]["id"], REVIEW)
            debt.append(data["actor"]["id"])
        elif "after" in data:
            self._document(event)

    def _request(self, verb: str, event: Document) -> None:
        data, actor = event["data"], event["data"]["actor"]["id"]
        if verb == "proposed":
            change = data["change"]
            assert change["id"] not in self.proposals
            self.proposals[change["id"]] = Proposal(change, digest(change), actor)
            return
        proposal = self.proposals[event["subject"].removeprefix("change/")]
        assert data.get("digest", proposal.digest) == proposal.digest
        if verb == "approved":
            assert not proposal.is_rejected
            assert proposal.applied is None
            assert actor != proposal.proposer
            assert self.holds(actor, REVIEW)
            proposal.approved_by.add(actor)
        elif verb == "rejected":
            assert proposal.applied is None
            proposal.is_rejected = True
        elif verb == "applied":
            proposal.applied = proposal.applied or moment(event["time"])
        elif verb == "confirmed":
            assert actor == SYSTEM or self.holds(actor, APPLY)
            proposal.is_confirmed = True
        elif verb == "reverted":
            self._reverted(event, proposal)

    def _reverted(self, event: Document, proposal: Proposal) -> None:
        actor, now, change = event["data"]["actor"]["id"], moment(event["time"]), proposal.change
        assert change["id"] in self._going_back
        self._going_back.discard(change["id"])
        assert proposal.applied is not None
        if actor == SYSTEM:
            labels = [each.get("label", "") for each in change["operations"]]
            ends = [label[4:] for label in labels if label.startswith("end ")]
            within = change.get("confirm_within")
            is_late = within is not None and now >= proposal.applied + timedelta(seconds=within)
            assert (is_late and not proposal.is_confirmed) or any(moment(end) <= now for end in ends)
            return
        assert self.holds(actor, KILL)
        assert now <= proposal.applied + DAY
        places = {place for each in change["operations"] for place, _ in self._reach(each, change)}
        assert places
        for place in places:
            assert any(
                policy.get("on_call_may_revert") and place in policy.get("environments", [place])
                for policy in self._all("policy")
            ), "no policy lets on-call take this back"
        self.debts[event["id"]] = [actor]

    def _document(self, event: Document) -> None:
        subject, kind, data = event["subject"], event["type"], event["data"]
        before, after = data["before"], data["after"]
        assert self.standing.get(subject) == before, f"{subject} was something else"
        actor = data["actor"]["id"]
        if "/rollout-plan/" in subject:
            self._plan(event)
        elif kind == "flags.v1.configuration.killed":
            assert after == {**before, "killed": True}, "a kill only kills"
            assert self.holds(actor, KILL)
            self.debts[event["id"]] = [actor]
        elif "change_request" in data:
            self._carried_out(event)
        else:
            # What serves, and what governs that, has the one door, once there is something to guard.
            assert "/flag/" not in subject
            assert kind not in ("approvals.v1.policy.changed", "flags.v1.environment.updated")
            if kind == "access.v1.membership.changed" and "/shop/" in subject:
                assert not any(policy.get("access") for policy in self._all("policy"))
        self.standing[subject] = after
        self.written[subject] += 1
        if "/environment-settings/" in subject and not after.get("protected"):
            self.was_unprotected.add(subject.rpartition("/")[2])

    def _carried_out(self, event: Document) -> None:
        data, now = event["data"], moment(event["time"])
        named, actor = data["change_request"], data["actor"]["id"]
        proposal = self.proposals[named["id"]]
        change = proposal.change
        operation = change["operations"][named["operation"]]
        assert named["digest"] == proposal.digest
        if not event["subject"].startswith("access/"):  # where roles have another name in the ledger
            assert operation["subject"] == event["subject"]
        assert (operation["type"], operation["after"]) == (event["type"], data["after"])
        assert data["before"] in operation.get("before_any", [operation.get("before")])
        assert actor == SYSTEM or self.holds(actor, APPLY)
        assert not proposal.is_rejected
        assert operation.get("repeat") or named["operation"] not in proposal.carried_out
        proposal.carried_out.add(named["operation"])
        if self._needs is None or self._needs[0] != named["id"]:
            self._needs = named["id"], self._needs_of(change)
        self._approved(proposal, self._needs[1])
        assert "not_before" not in change or now >= moment(change["not_before"])
        label = operation.get("label", "")
        if label.startswith("end "):
            assert now >= moment(label[4:])
        elif label.startswith("expiry "):
            assert now >= moment(label[7:])
        if label.startswith(("end ", "revert")):
            self._going_back.add(named["id"])
        elif not label.startswith("expiry "):
            self._not_frozen(operation, change, now)
        if label.startswith("stage "):
            self._stage(named["id"], int(label[6:].partition(",")[0]), actor, now)

    def _approved(self, proposal: Proposal, needs: Needs) -> None:
        """By people who may review now, none of them the proposer: what was promised, and what is asked now."""
        counted = {each for each in proposal.approved_by - {proposal.proposer} if self.holds(each, REVIEW)}
        asked = max(needs.approvals, proposal.change["required_approvals"])
        assert len(counted) >= asked, f"{proposal.change['id']} has {len(counted)} of {asked} approvals"
        for count, role in needs.shares:
            assert sum(self.holds(each, {role}) for each in counted) >= count, f"too few of the role {role}"

    def _stage(self, change_id: str, number: int, actor: str, now: datetime) -> None:
        key = change_id.removeprefix("CR-")
        if number > 1:
            plan = self.standing[f"project/shop/rollout-plan/{key}"]
            assert plan is not None
            done = plan.get("done", 0)
            assert plan["state"] in ("running", "paused", "waiting")
            asked = [n for n in range(done + 1, number + 1) if plan["stages"][n - 1].get("go_ahead")]
            assert not asked or (asked == [number] and self._told_to_go_on.get(key) == number)
            if actor == SYSTEM:
                assert plan["state"] == "running"
                assert number == done + 1
                since, last = self._stages[key]
                if last == done:
                    assert now >= since + timedelta(seconds=plan["stages"][done - 1]["hold"])
        self._stages[key] = now, number

    def _plan(self, event: Document) -> None:
        key = event["subject"].rpartition("/")[2]
        before, after = event["data"]["before"], event["data"]["after"]
        if before is None:
            return
        proposal = self.proposals[f"CR-{key}"]
        actor = event["data"]["actor"]["id"]
        if after["state"] == "aborted":
            self._going_back.discard(f"CR-{key}")
        if (before["state"], after["state"]) == ("waiting", "running") and before["done"] == after["done"]:
            assert self.holds(actor, REVIEW)
            assert actor != proposal.proposer
            self._told_to_go_on[key] = after["done"] + 1
        if before["state"] == "paused" and key in self._stages:
            self._stages[key] = (self._stages[key][0], 0)  # resumed: what comes next need not wait again
        assert before["state"] not in ("done", "aborted"), "it is over"

    def _not_frozen(self, operation: Document, change: Document, now: datetime) -> None:
        for place, _ in self._reach(operation, change):
            if "/flag/" not in operation["subject"] and "/segment/" not in operation["subject"]:
                continue
            for freeze in self._all("freeze"):
                holds = moment(freeze["starts_at"]) <= now < moment(freeze["ends_at"])
                assert not (holds and place in freeze.get("environments", [place])), f"{place} is frozen"

    def _needs_of(self, change: Document) -> Needs:
        needs = Needs()
        for operation in change["operations"]:
            parts = operation["subject"].split("/")
            for place, flag in self._reach(operation, change):
                if self.is_protected(place):
                    needs.approvals = max(needs.approvals, 1)
                for policy in self._all("policy"):
                    if _matches(policy, place, flag):
                        needs.ask(policy)
            if parts[2] == "policy" and operation["before"]:
                needs.ask(operation["before"])
            if parts[2] == "member":
                for policy in self._all("policy"):
                    if policy.get("access"):
                        needs.ask(policy)
        return needs

    def _reach(self, operation: Document, change: Document) -> Iterator[tuple[str, Document | None]]:
        """The environments that an operation is about, each with the flag in question, if it is of one."""
        parts, after = operation["subject"].split("/"), operation["after"]
        before = operation.get("before")
        if parts[2] == "environment":
            yield from ((parts[3], flag) for flag in self._definitions(parts[5], change))
        elif parts[2] == "flag":
            if before is None or all(before.get(name) == after.get(name) for name in SERVED):
                return
            for place, key, _ in self._configurations():
                if key == parts[3]:
                    yield from ((place, flag) for flag in (before, after))
        elif parts[2] == "segment":
            for place, key, document in self._configurations():
                if f'["{parts[3]}"]' in json.dumps(document):
                    yield place, self.standing[f"project/shop/flag/{key}"]
        elif parts[2] == "environment-settings":
            yield parts[3], None
        elif parts[2] == "policy":
            for document in filter(None, (before, after)):
                yield from ((place, None) for place in document.get("environments", self.places()))

    def _definitions(self, key: str, change: Document) -> list[Document | None]:
        """What the flag is, or was and will be where the change says so."""
        text = f"project/shop/flag/{key}"
        for operation in change["operations"]:
            if operation["subject"] == text:
                return [each for each in (operation["before"], operation["after"]) if each]
        return [self.standing[text]]

    def _configurations(self) -> Iterator[tuple[str, str, Document]]:
        for subject, document in list(self.standing.items()):
            parts = subject.split("/")
            if len(parts) == 6 and parts[2] == "environment" and document is not None:
                yield parts[3], parts[5], document

    def _all(self, kind: str) -> list[Document]:
        start = f"project/shop/{kind}/"
        return [each for subject, each in self.standing.items() if subject.startswith(start) and each]

    def places(self) -> list[str]:
        start = "project/shop/environment-settings/"
        return [subject.removeprefix(start) for subject in self.standing if subject.startswith(start)]

    def is_protected(self, place: str) -> bool:
        return bool((self.standing[f"project/shop/environment-settings/{place}"] or {}).get("protected"))

    def holds(self, actor: str, roles: set[str]) -> bool:
        document = self.standing.get(f"access/project/shop/member/{actor}")
        return document is not None and not roles.isdisjoint(document["roles"])


def _matches(policy: Document, place: str, flag: Document | None) -> bool:
    flag = flag or {}
    return (
        place in policy.get("environments", [place])
        and ("kinds" not in policy or flag.get("kind") in policy["kinds"])
        and ("tags" not in policy or not set(policy["tags"]).isdisjoint(flag.get("tags", [])))
        and (not policy.get("critical") or bool(flag.get("critical")))
    )
