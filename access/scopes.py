"""What a token may be used for at most: verbs, in projects, in environments. It narrows what its holder may.

It never gives anything: what a request may do is what the holder of its token may, and the scope admits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from access.limits import Limits, LimitsError, Touched
from access.roles import VERBS
from audit.actor import Actor

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
MOST = 100
"""Entries of one list of a scope, or address ranges of one token."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Each empty member limits nothing."""

    verbs: frozenset[str] = field(default_factory=frozenset)
    projects: frozenset[str] = field(default_factory=frozenset)
    environments: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Scope:
        """From what somebody asks for. Raises `LimitsError` naming the member, e.g. `scope.verbs[1]`."""
        names = ("verbs", "projects", "environments")
        unknown = sorted(set(document) - set(names))
        if unknown:
            raise LimitsError(f"scope.{unknown[0]}", f"is unknown here; known are: {', '.join(names)}")
        for name in names:
            value = document.get(name, [])
            if not isinstance(value, list) or len(value) > MOST:
                raise LimitsError(f"scope.{name}", f"must be a list of at most {MOST} names")
            for index, each in enumerate(value):
                if not isinstance(each, str) or not each:
                    raise LimitsError(f"scope.{name}[{index}]", "must be a name")
                if name == "verbs" and each not in VERBS:
                    raise LimitsError(f"scope.verbs[{index}]", f"{each!r} is no verb; see docs/roles.md")
        scope = cls.stored(document)
        # Whoever may do anything in a project sees the project.
        return (
            cls(scope.verbs | {"project.view"}, scope.projects, scope.environments) if scope.verbs else scope
        )

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Scope:
        """From what is stored. A verb that the table has lost since then admits nothing."""
        return cls(
            **{name: frozenset(document.get(name, ())) for name in ("verbs", "projects", "environments")}
        )

    @property
    def document(self) -> dict[str, list[str]]:
        """Without what limits nothing; empty for no scope."""
        return {
            name: sorted(value)
            for name in ("verbs", "projects", "environments")
            if (value := getattr(self, name))
        }

    def admits(self, verb: str) -> bool:
        """Whether the verb may be used at all: in some environments only, where it is one that can be limited."""
        if self.verbs and verb not in self.verbs:
            return False
        return not self.environments or VERBS[verb].limitable

    def admits_in(self, verb: str, project: str, touched: Iterable[Touched] = ()) -> bool:
        """Whether the verb may be used in a project, for all that is touched."""
        return (
            self.admits(verb)
            and (not self.projects or project in self.projects)
            and Limits(environments=self.environments).admit(touched)
        )

    def admits_everywhere(self, verb: str) -> bool:
        """Whether the verb may be used on the installation as a whole."""
        return self.admits(verb) and not self.projects and not self.environments

    def is_within(self, other: Scope) -> bool:
        """Whether it reaches nothing that `other` does not reach."""
        return all(
            not theirs or (bool(mine) and mine <= theirs)
            for mine, theirs in (
                (self.verbs, other.verbs),
                (self.projects, other.projects),
                (self.environments, other.environments),
            )
        )

    def __str__(self) -> str:
        """In words, for people."""
        parts = []
        if self.verbs:
            parts.append(", ".join(sorted(self.verbs)))
        if self.projects:
            parts.append(f"in {', '.join(sorted(self.projects))}")
        if self.environments:
            parts.append(f"for {', '.join(sorted(self.environments))}")
        return " ".join(parts) or "all that its holder may"


UNLIMITED = Scope()


@dataclass(frozen=True, slots=True)
class Bearer:
    """What came with a request: a token or a trusted identity, as far as it bounds what is made with it."""

    scope: Scope = UNLIMITED
    expires_at: datetime | None = None
    addresses: tuple[Network, ...] = ()
    # Whether whoever made it had shown a second factor then.
    proved: bool = False


@dataclass(frozen=True, slots=True)
class BearerActor(Actor):
    """An actor whose request came with a token, which may be narrower than they are."""

    bearer: Bearer = field(default_factory=Bearer)


def bearer_of(actor: Actor) -> Bearer:
    """What bounds the actor; for a session, a command or a task of ours: nothing."""
    return actor.bearer if isinstance(actor, BearerActor) else Bearer()


def scope_of(actor: Actor) -> Scope:
    """The scope of the token that the actor came with."""
    return bearer_of(actor).scope


def read_networks(given: Iterable[str]) -> tuple[Network, ...]:
    """Address ranges in CIDR notation, IPv4 or IPv6; an address is a range of one.

    Raises `LimitsError` naming the member, e.g. `addresses[0]`.
    """
    found: list[Network] = []
    for index, text in enumerate(given):
        member = f"addresses[{index}]"
        if index >= MOST:
            raise LimitsError("addresses", f"has more than {MOST} ranges")
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise LimitsError(member, f"{error}; write a range like 192.0.2.0/24 or 2001:db8::/32") from error
    return tuple(found)


def is_inside(address: Address | None, networks: Iterable[Network]) -> bool:
    """Whether the address lies in one of the ranges; without any, every address does."""
    networks = list(networks)
    return not networks or (address is not None and any(address in each for each in networks))


def are_inside(inner: Iterable[Network], outer: Iterable[Network]) -> bool:
    """Whether `inner` admits no address that `outer` does not."""
    inner, outer = list(inner), list(outer)
    return not outer or (
        bool(inner)
        and all(
            any(each.version == range_.version and each.subnet_of(range_) for range_ in outer)  # type: ignore[arg-type]
            for each in inner
        )
    )


def address_of(meta: Mapping[str, Any], *, behind_proxy: bool) -> Address | None:
    """The address of a client. `behind_proxy`: the last one in `X-Forwarded-For` is the client's."""
    forwarded = meta.get("HTTP_X_FORWARDED_FOR") if behind_proxy else None
    text = str(forwarded or meta.get("REMOTE_ADDR") or "").rpartition(",")[2].strip()
    if text.count(":") == 1:
        text = text.partition(":")[0]  # some proxies add the port of IPv4
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
