"""Where a limited role holds: in some environments, for flags of some kinds or tags, or not for critical ones.

A limit narrows what one may do. What one may see is a question of the project, which is the partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


class LimitsError(ValueError):
    """Limits that cannot be; `member` names the one at fault."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"{member}: {reason}")
        self.member = member
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Touched:
    """A flag in an environment that an act touches, as far as limits ask.

    `environment` None: none (a new flag, or a definition that is served nowhere). `kind` empty: no flag at
    all (a segment that no flag uses). `protected`: no limit asks, but whether a second factor has to be fresh.
    """

    environment: str | None = None
    kind: str = ""
    tags: frozenset[str] = frozenset()
    critical: bool = False
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Each empty member limits nothing. `critical` False: critical flags are out of reach."""

    environments: frozenset[str] = field(default_factory=frozenset)
    kinds: frozenset[str] = field(default_factory=frozenset)
    tags: frozenset[str] = field(default_factory=frozenset)
    critical: bool = True

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Limits:
        """From the form in which a membership stores them. Raises `LimitsError`."""
        unknown = set(document) - {"environments", "kinds", "tags", "critical"}
        if unknown:
            raise LimitsError(
                f"limits.{sorted(unknown)[0]}",
                "is no limit; there are environments, kinds, tags and critical",
            )
        lists = {}
        for name in ("environments", "kinds", "tags"):
            value = document.get(name, [])
            if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
                raise LimitsError(f"limits.{name}", "must be a list of names")
            lists[name] = frozenset(value)
        critical = document.get("critical", True)
        if not isinstance(critical, bool):
            raise LimitsError("limits.critical", "must be true or false")
        return cls(**lists, critical=critical)

    @property
    def document(self) -> dict[str, Any]:
        """Without what limits nothing; empty for no limits."""
        lists = {
            name: sorted(value)
            for name in ("environments", "kinds", "tags")
            if (value := getattr(self, name))
        }
        return lists if self.critical else {**lists, "critical": False}

    def admit(self, touched: Iterable[Touched]) -> bool:
        """Whether all that is touched lies within the limits."""
        return all(self._admits(each) for each in touched)

    def _admits(self, touched: Touched) -> bool:
        return (
            (not self.environments or touched.environment is None or touched.environment in self.environments)
            and (not self.kinds or touched.kind in self.kinds)
            and (not self.tags or not self.tags.isdisjoint(touched.tags))
            and (self.critical or not touched.critical)
        )

    def __str__(self) -> str:
        """In words, for people; empty for no limits."""
        parts = []
        if self.environments:
            parts.append(f"in {', '.join(sorted(self.environments))}")
        if self.kinds:
            parts.append(f"flags of kind {', '.join(sorted(self.kinds))}")
        if self.tags:
            parts.append(f"flags tagged {', '.join(sorted(self.tags))}")
        if not self.critical:
            parts.append("no critical flags")
        return "; ".join(parts)


EVERYWHERE = Limits()
