"""Finding flags among ten thousand: words and facets, and how many each further choice would leave.

Light rows are read once and passed over once. A choice within a facet adds (this owner or that), facets narrow
each other; a facet's numbers count what the other facets leave. The queries are as many for one flag as for all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from django.db.models import F, IntegerField, Max, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.models import User
from flags import lifecycle
from flags.models import Environment, Flag, FlagConfiguration, Project, RolloutPlan
from flags.subjects import Subject

SORTS = {"key": _("By key"), "changed": _("Last changed first"), "expiry": _("Next to expire first")}
# Of long facets the most frequent; what is chosen is always shown.
MOST_SHOWN = 50
NOBODY = "-"
MARKS = {
    "pending": _("change requested"),
    "rollout": _("rollout plan"),
    "killed": _("killed"),
    "stale": _("stale"),
    "expired": _("expired"),
    "hibernating": _("hibernating"),
    "archived": _("archived"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a facet: how many flags it would leave, and of a chosen one the query string without it."""

    value: str
    label: str
    count: int
    is_chosen: bool
    without: str


@dataclass(slots=True)
class Facet:
    """What can be chosen under one heading."""

    name: str
    label: str
    # Its parameter in the address; several facets may share one.
    parameter: str
    names: Mapping[str, Any]
    chosen: frozenset[str]
    counts: Counter[str] = field(default_factory=Counter)
    choices: list[Choice] = field(default_factory=list)
    environment: Environment | None = None

    def admits(self, row: _Row, states: _States) -> bool:
        """Whether a row has one of the chosen values."""
        if self.environment is not None:
            return ("on" if row[0] in states.on[self.environment.pk] else "off") in self.chosen
        if self.name == "tag":
            return not self.chosen.isdisjoint(_tags(row[6]))
        if self.name == "marks":
            return any(row[0] in states.marked[name] for name in self.chosen)
        return (_COLUMNS[self.name](row) or NOBODY) in self.chosen


@dataclass(slots=True)
class Found:
    """Primary keys of the flags that match, in order; and the facets with their numbers."""

    keys: list[int]
    facets: list[Facet]
    text: str
    sort: str

    @property
    def chips(self) -> list[tuple[str, Choice]]:
        """What is chosen, each with the query string without it."""
        return [(each.label, one) for each in self.facets for one in each.choices if one.is_chosen]

    @property
    def is_filtered(self) -> bool:
        return bool(self.text or any(each.chosen for each in self.facets))


# Primary key, key, name, team, kind, owner, tags as text, archived.
_Row = tuple[int, str, str, str, str, str | None, str, int]
_COLUMNS: Mapping[str, Callable[[_Row], str | None]] = {
    "team": itemgetter(3),
    "kind": itemgetter(4),
    "owner": itemgetter(5),
}


@lru_cache(maxsize=20_000)
def _tags(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def search(
    project: Project, asked: QueryDict, environments: Collection[Environment], pending: Iterable[str]
) -> Found:
    """The flags that a query string asks for. What it names and nobody knows is passed over.

    `pending`: subjects of open requests.
    """
    sort = asked.get("sort", "")
    sort = sort if sort in SORTS else "key"
    text = asked.get("q", "").strip()[:200]
    states = _States(project, environments, pending)
    facets = _facets(project, asked, environments)
    words, wants_archived = text.casefold(), "archived" in facets[-1].chosen
    active = [facet for facet in facets if facet.chosen]
    # Rows that meet everything, and those that one facet alone keeps out: that one counts them too.
    matching: list[_Row] = []
    kept_out: dict[str, list[_Row]] = {facet.name: [] for facet in facets}
    away = 0
    for row in _rows(project, sort):
        if words and words not in "\n".join((row[1], row[2], row[3], *_tags(row[6]))).casefold():
            continue
        missed = [facet for facet in active if not facet.admits(row, states)]
        away += row[7] if missed in ([], [facets[-1]]) else 0
        if bool(row[7]) != wants_archived:
            continue
        if not missed:
            matching.append(row)
        elif len(missed) == 1:
            kept_out[missed[0].name].append(row)
    for facet in facets:
        facet.counts = states.count(facet, matching + kept_out[facet.name])
    facets[-1].counts["archived"] = away
    keys = [row[0] for row in matching]
    if sort == "changed":
        keys = _by_change(project, keys)
    for facet in facets:
        facet.choices = list(_choices(facet, asked))
    return Found(keys, facets, text, sort)


def _rows(project: Project, sort: str) -> Iterable[_Row]:
    rows = Flag.objects.filter(project=project).annotate(
        # Plain text and numbers: what ten thousand rows need not be converted to costs nothing.
        tag_text=Cast("tags", TextField()),
        is_away=Cast("archived", IntegerField()),
    )
    first = [F("expires_at").asc(nulls_last=True)] if sort == "expiry" else []
    members = ("pk", "key", "name", "team", "kind", "owner_id", "tag_text", "is_away")
    found: Iterable[_Row] = rows.order_by(*first, "key").values_list(*members)
    return found


def _by_change(project: Project, keys: list[int]) -> list[int]:
    rows = FlagConfiguration.objects.filter(environment__project=project).values("flag_id")
    changed = rows.annotate(at=Max("changed_at")).order_by("-at").values_list("flag_id", flat=True)
    wanted = dict.fromkeys(keys)
    touched = {key: None for key in changed if key in wanted}
    return [*touched, *(key for key in keys if key not in touched)]


@lru_cache(maxsize=32)
def served(environment: int, revision: int) -> tuple[frozenset[int], frozenset[int]]:
    """The flags (primary keys) that are on in an environment, and those that are killed there.

    Kept by the revision, which grows with every change of what is served there: reading ten thousand documents
    for each letter that somebody types would be most of a page's time. A test that rolls back forgets them.
    """
    rows = FlagConfiguration.objects.filter(environment_id=environment)
    killed = frozenset(rows.filter(document__killed=True).values_list("flag_id", flat=True))
    on = frozenset(rows.filter(document__enabled=True).values_list("flag_id", flat=True))
    return on - killed, killed


class _States:
    """What is so of each flag, as sets of primary keys: where it is on, and what marks it has."""

    def __init__(
        self, project: Project, environments: Collection[Environment], pending: Iterable[str]
    ) -> None:
        now = timezone.now()
        self.on: dict[int, frozenset[int]] = {}
        self.marked: dict[str, Set[int]] = {name: frozenset() for name in MARKS}
        for environment in environments:
            on, killed = served(environment.pk, environment.revision)
            self.on[environment.pk] = on
            self.marked["killed"] = self.marked["killed"] | killed
        mine = Flag.objects.filter(project=project)
        plans = RolloutPlan.objects.filter(flag__project=project, state__in=RolloutPlan.UNFINISHED)
        self.marked["rollout"] = set(plans.values_list("flag_id", flat=True))
        self.marked["stale"] = _keys(lifecycle.stale(now).filter(project=project))
        self.marked["expired"] = _keys(lifecycle.expired(now).filter(project=project))
        self.marked["hibernating"] = _keys(mine.exclude(hibernation={}))
        subjects = (Subject.parse(each) for each in pending)
        named = {
            each.key for each in subjects if each.kind in ("configuration", "definition", "expectations")
        }
        self.marked["archived"] = _keys(mine.filter(archived=True))
        self.marked["pending"] = _keys(mine.filter(key__in=named))

    def count(self, facet: Facet, rows: list[_Row]) -> Counter[str]:
        """How many of the rows have each value of a facet. Sets and columns as a whole: a loop would be slow."""
        if facet.name == "tag":
            return Counter(chain.from_iterable(_tags(row[6]) for row in rows))
        if facet.name in _COLUMNS:
            found = Counter(map(_COLUMNS[facet.name], rows))
            nobody = found.pop(None, 0) + found.pop("", 0)
            return Counter({NOBODY: nobody, **{value: n for value, n in found.items() if value}})
        flags = {row[0] for row in rows}
        if facet.environment is not None:
            on = len(self.on[facet.environment.pk] & flags)
            return Counter({"on": on, "off": len(flags) - on})
        return Counter({name: len(marked & flags) for name, marked in self.marked.items()})


def _keys(flags: QuerySet[Flag]) -> set[int]:
    return set(flags.values_list("pk", flat=True))


def _facets(project: Project, asked: QueryDict, environments: Iterable[Environment]) -> list[Facet]:
    owners = User.objects.filter(owned_flags__project=project).distinct()
    people = {user.pseudonym: str(user) for user in owners}
    free: dict[str, Any] = {NOBODY: _("none")}
    kinds = dict(Flag.Kind.choices)
    found = [
        _facet("owner", _("Owner"), asked, {NOBODY: _("nobody"), **people}),
        _facet("team", _("Team"), asked, free),
        _facet("tag", _("Tag"), asked, {}),
        _facet("kind", _("Kind"), asked, kinds, only=kinds),
    ]
    states = asked.getlist("state")
    for environment in environments:
        suffix = f":{environment.key}"
        chosen = {value.removesuffix(suffix) for value in states if value.endswith(suffix)} & {"on", "off"}
        names = {"on": _("on"), "off": _("off")}
        found.append(
            Facet(suffix, environment.name, "state", names, frozenset(chosen), environment=environment)
        )
    found.append(Facet("marks", str(_("Marks")), "state", MARKS, frozenset(states) & frozenset(MARKS)))
    return found


def _facet(
    name: str, label: Any, asked: QueryDict, names: Mapping[str, Any], only: Collection[str] = ()
) -> Facet:
    """`only`: other values are passed over; empty: any may be asked for."""
    chosen = frozenset(value for value in asked.getlist(name) if value and (not only or value in only))
    return Facet(name, str(label), name, names, chosen)


def _choices(facet: Facet, asked: QueryDict) -> Iterable[Choice]:
    wanted = [value for value, _count in facet.counts.most_common(MOST_SHOWN)]
    shown = list(facet.names) if facet.parameter == "state" else wanted
    shown += [value for value in sorted(facet.chosen) if value not in shown]
    suffix = facet.name if facet.name.startswith(":") else ""
    for value in shown:
        is_chosen, whole = value in facet.chosen, f"{value}{suffix}"
        if not facet.counts[value] and not is_chosen:
            continue
        label = str(facet.names.get(value, value))
        without = _without(asked, facet.parameter, whole) if is_chosen else ""
        yield Choice(whole, label, facet.counts[value], is_chosen, without)


def _without(asked: QueryDict, parameter: str, value: str) -> str:
    query = asked.copy()
    query.pop("page", None)
    query.setlist(parameter, [each for each in query.getlist(parameter) if each != value])
    return f"?{query.urlencode()}"
