"""What a freeze covers: which of them stop a change at a moment, whom not, and when there is an open slot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from access.holders import standings
from access.models import Team
from approvals.freezes.times import Window, windows
from approvals.models import FreezeWindow
from audit.actor import Actor
from flags.models import Environment, Project

# How far ahead an open slot is looked for.
HORIZON = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Reached:
    """One flag that a change reaches in one environment: in which regions, and what the flag is tagged."""

    environment: str
    regions: frozenset[str]
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Frozen:
    """A window that stops a change, and where."""

    window: Window
    environments: tuple[str, ...]

    @property
    def freeze(self) -> FreezeWindow:
        return self.window.freeze


def covers(freeze: FreezeWindow, reached: Reached) -> bool:
    """Whether the freeze is about this flag in this environment."""
    if reached.tags & set(freeze.exempt.get("tags", ())):
        return False
    return (
        (not freeze.environments or reached.environment in freeze.environments)
        and (not freeze.regions or not reached.regions.isdisjoint(freeze.regions))
        and (not freeze.tags or not reached.tags.isdisjoint(freeze.tags))
    )


def concerning(project: Project, reached: Iterable[Reached]) -> list[FreezeWindow]:
    """The project's freezes that cover something of what a change reaches, whenever they are. One query."""
    reached = list(reached)
    if not reached:
        return []
    rows = FreezeWindow.objects.filter(project=project)
    return [row for row in rows if any(covers(row, each) for each in reached)]


def exempted(freeze: FreezeWindow, actor: Actor | None) -> bool:
    """Whether the freeze does not stop the actor: named, in a named team, or in a named role.

    Our own tasks are nobody: what they carry out is never exempt by who asked for it.
    """
    if actor is None or actor.is_system:
        return False
    named = set(freeze.exempt.get("members", ()))
    if actor.id in named:
        return True
    if named and Team.objects.filter(pseudonym__in=named, members__member=actor.id).exists():
        return True
    roles = set(freeze.exempt.get("roles", ()))
    return bool(roles) and any(each.role in roles for each in standings(freeze.project, {actor.id}))


def freezing(
    freezes: Iterable[FreezeWindow], reached: Sequence[Reached], moment: datetime, actor: Actor | None
) -> list[Frozen]:
    """Which of these stop the change at a moment, each with the window that lasts longest."""
    found = []
    for freeze in freezes:
        now = windows(freeze, moment, moment + timedelta(microseconds=1))
        where = sorted({each.environment for each in reached if covers(freeze, each)})
        if now and where and not exempted(freeze, actor):
            found.append(Frozen(max(now, key=lambda each: each.end), tuple(where)))
    return found


def next_open_slot(freezes: Iterable[FreezeWindow], moment: datetime) -> datetime | None:
    """The first moment from `moment` on at which none of these holds; None: none within a year."""
    end = moment + HORIZON
    slot = moment
    for window in sorted(
        (each for freeze in freezes for each in windows(freeze, moment, end)), key=lambda each: each.start
    ):
        if window.start > slot:
            break
        slot = max(slot, window.end)
    return slot if slot < end else None


def protected_environments(freeze: FreezeWindow) -> list[str]:
    """The names of the protected environments that the freeze covers."""
    rows = Environment.objects.filter(project=freeze.project, protected=True)
    return [each.name for each in rows if not freeze.environments or each.key in freeze.environments]
