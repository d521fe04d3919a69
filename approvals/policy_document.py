"""A policy as one document: which changes it matches, and what they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from access.limits import Touched
from countersign.document import DocumentError

MOST_APPROVALS = 20
LONGEST_HOURS = 24 * 365


@dataclass(frozen=True, slots=True)
class Share:
    """That so many of the approvals come from people with a role in the project, or in a team."""

    count: int
    role: str = ""
    team: str = ""

    def __str__(self) -> str:
        whom = f"the team {self.team}" if self.team else f"the role {self.role}"
        return f"{self.count} from {whom}"


@dataclass(frozen=True, slots=True)
class ServedIn:
    """That a flag has been on in an earlier environment, unchanged, for so many hours."""

    environment: str
    hours: int

    def __str__(self) -> str:
        return f"{self.hours} h on in {self.environment}, unchanged"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a change needs, all policies that match it together."""

    approvals: int = 0
    rationale: bool = False
    ticket: bool = False
    signature: bool = False
    shares: tuple[Share, ...] = ()
    served_in: tuple[ServedIn, ...] = ()
    # Which policy asks for what, by its name.
    asked_by: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def __or__(self, other: Requirements) -> Requirements:
        """Both together: the stricter of each."""
        return Requirements(
            max(self.approvals, other.approvals),
            self.rationale or other.rationale,
            self.ticket or other.ticket,
            self.signature or other.signature,
            tuple(dict.fromkeys((*self.shares, *other.shares))),
            tuple(dict.fromkeys((*self.served_in, *other.served_in))),
            tuple(dict.fromkeys((*self.asked_by, *other.asked_by))),
        )

    def __str__(self) -> str:
        """In words: `2 approvals by other people (1 from the team payments), a rationale and a ticket`."""
        parts = []
        if self.approvals:
            people = "another person" if self.approvals == 1 else "other people"
            shares = f" ({', '.join(map(str, self.shares))})" if self.shares else ""
            parts.append(f"{self.approvals} approval{'s' if self.approvals > 1 else ''} by {people}{shares}")
        if self.rationale:
            parts.append("a rationale")
        if self.ticket:
            parts.append("a ticket")
        if self.signature:
            parts.append("personal signatures (not enforced yet)")
        parts += map(str, self.served_in)
        if not parts:
            return "nothing: changes are applied at once"
        return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was read. Each empty member of what it matches matches everything."""

    name: str
    environments: frozenset[str]
    kinds: frozenset[str]
    tags: frozenset[str]
    # Only flags marked critical.
    critical: bool
    needs: Requirements
    # It also holds for roles given and taken in the project.
    access: bool
    on_call_may_revert: bool

    def matches(self, touched: Touched) -> bool:
        """Whether it holds for a flag in an environment."""
        return (
            (not self.environments or touched.environment in self.environments)
            and (not self.kinds or touched.kind in self.kinds)
            and (not self.tags or not self.tags.isdisjoint(touched.tags))
            and (not self.critical or touched.critical)
        )

    def covers(self, environments: Iterable[str]) -> list[str]:
        """Those of the environments for which it holds."""
        return [key for key in environments if not self.environments or key in self.environments]


_LISTS = ("environments", "kinds", "tags")
_TRUTHS = ("critical", "rationale", "ticket", "signature", "access", "on_call_may_revert")
_MEMBERS = frozenset({"name", "approvals", "from", "served_in", *_LISTS, *_TRUTHS})


def normal_policy(document: Mapping[str, Any]) -> dict[str, Any]:
    """As it will stand there: without what asks for nothing and matches everything."""
    return {name: value for name, value in document.items() if value not in ("", None, [], {}, False, 0)}


def read_policy(document: Any) -> Policy:
    """Raises `DocumentError` naming the member that cannot be."""
    if not isinstance(document, Mapping):
        raise DocumentError("policy", "must be an object")
    if unknown := sorted(set(document) - _MEMBERS):
        raise DocumentError(unknown[0], f"is no member of a policy; known are {', '.join(sorted(_MEMBERS))}")
    name = document.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > 128:
        raise DocumentError("name", "must be a text of 1 to 128 characters: it says who asks for an approval")
    lists = {member: _names(member, document.get(member, [])) for member in _LISTS}
    truths = {member: document.get(member, False) for member in _TRUTHS}
    for member, value in truths.items():
        if not isinstance(value, bool):
            raise DocumentError(member, "must be true or false")
    shares = tuple(
        _share(f"from[{i}]", each) for i, each in enumerate(_list("from", document.get("from", [])))
    )
    approvals = _count("approvals", document.get("approvals", 0), 0, MOST_APPROVALS)
    # One approval from payments is one approval.
    approvals = max([approvals, *(share.count for share in shares)])
    served = (_served_in(document["served_in"]),) if document.get("served_in") else ()
    needs = Requirements(
        approvals, truths["rationale"], truths["ticket"], truths["signature"], shares, served
    )
    needs = Requirements(
        approvals,
        truths["rationale"],
        truths["ticket"],
        truths["signature"],
        shares,
        served,
        ((name, str(needs)),) if needs != Requirements() else (),
    )
    return Policy(
        name=name,
        **lists,
        critical=truths["critical"],
        needs=needs,
        access=truths["access"],
        on_call_may_revert=truths["on_call_may_revert"],
    )


def _list(member: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise DocumentError(member, "must be a list")
    return value


def _names(member: str, value: Any) -> frozenset[str]:
    if not all(isinstance(each, str) and each for each in _list(member, value)):
        raise DocumentError(member, "must be a list of names")
    return frozenset(value)


def _count(member: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise DocumentError(member, f"must be a whole number from {least} to {most}")
    return value


def _share(member: str, value: Any) -> Share:
    known = {"count", "role", "team"}
    if not isinstance(value, Mapping) or set(value) - known or ("role" in value) == ("team" in value):
        raise DocumentError(member, "must be an object of `count` and either `role` or `team`")
    whom = value.get("role", value.get("team"))
    if not isinstance(whom, str) or not whom:
        raise DocumentError(member, "names no role or team")
    count = _count(f"{member}.count", value.get("count", 1), 1, MOST_APPROVALS)
    return Share(count, value.get("role", ""), value.get("team", ""))


def _served_in(value: Any) -> ServedIn:
    if not isinstance(value, Mapping) or set(value) != {"environment", "hours"}:
        raise DocumentError("served_in", "must be an object of `environment` and `hours`")
    if not isinstance(value["environment"], str) or not value["environment"]:
        raise DocumentError("served_in.environment", "must be the key of an environment")
    return ServedIn(value["environment"], _count("served_in.hours", value["hours"], 1, LONGEST_HOURS))
