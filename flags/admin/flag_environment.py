"""A flag in one environment: who gets what in the order in which it is decided, and what is on its way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from distribution.models import Snapshot
from flags import wording
from flags.admin.flag_page import FlagTab
from flags.documents import Document
from flags.models import Environment
from flags.stages import read_stages

# Of a long list of keys, so many are on the page; all of them are in the document below it.
MOST_KEYS = 100
# As many variants have a colour of their own.
_TONES = 6


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a split, as a bar shows it. `tone`: the number of its colour; 0 for what off gives."""

    variant: str
    percent: str
    width: float
    tone: int


@dataclass(frozen=True, slots=True)
class Served:
    """What a rule or the default gives: in words, and as the parts of a bar where it splits."""

    words: str
    slices: tuple[Slice, ...]
    # The attribute by which it deals, where it splits.
    by: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: whom it is about, condition by condition, and what they get."""

    name: str
    conditions: tuple[str, ...]
    served: Served


@dataclass(frozen=True, slots=True)
class Named:
    """The targeting keys that get a variant by name; `more` of them are not listed."""

    variant: str
    keys: tuple[str, ...]
    more: int

    @property
    def count(self) -> int:
        return len(self.keys) + self.more


@dataclass(frozen=True, slots=True)
class Targeting:
    """A configuration, taken apart in the order in which it is decided."""

    off: str
    regions: tuple[tuple[str, bool], ...]
    prerequisites: tuple[tuple[str, tuple[str, ...]], ...]
    named: tuple[Named, ...]
    rules: tuple[Rule, ...]
    rest: Served


def read_targeting(document: Document, variants: Sequence[str], regions: Sequence[str]) -> Targeting:
    """Take a valid configuration apart. `variants`: of the flag; `regions`: of the environment."""
    tones = {name: 1 + number % _TONES for number, name in enumerate(variants)}
    if document.get("off"):
        tones[document["off"]] = 0
    switched = document.get("regions") or {}
    targets = document.get("targets") or {}
    return Targeting(
        wording.off_value(document),
        tuple((name, switched.get(name, True)) for name in regions),
        tuple((each["flag"], tuple(each["variants"])) for each in document.get("prerequisites") or ()),
        tuple(
            Named(variant, tuple(keys[:MOST_KEYS]), max(0, len(keys) - MOST_KEYS))
            for variant, keys in sorted(targets.items())
            if keys
        ),
        tuple(
            Rule(
                entry["id"],
                tuple(wording.constraint_words(each) for each in entry.get("constraints", ())),
                _served(entry["serve"], tones),
            )
            for entry in document.get("rules") or ()
        ),
        _served(document["default"], tones),
    )


def _served(serve: Mapping[str, Any], tones: Mapping[str, int]) -> Served:
    if "variant" in serve:
        return Served(wording.share(serve), ())
    weights = [(name, weight) for name, weight in serve["split"]["weights"] if weight]
    total = sum(weight for _, weight in weights)
    slices = tuple(
        Slice(
            name or "",
            wording.percent(weight, total),
            round(100 * weight / total, 3),
            tones.get(name or "", 0),
        )
        for name, weight in weights
    )
    return Served(wording.share(serve), slices, serve["split"]["by"])


class FlagEnvironmentPage(FlagTab):
    """One environment's tab."""

    route = "flag-environment"
    template = "countersign/flag_environment.html"

    def get(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        flag = self.find()
        cell = next((each for each in self.cells if each.environment.key == environment), None)
        if cell is None:
            raise Http404
        [card] = self.cards([cell])
        here: Environment = cell.environment
        targeting = None
        if cell.document is not None:
            targeting = read_targeting(cell.document, list(flag.variants), here.regions)
        return self.show_tab(
            title=f"{flag.key} · {here.name}",
            card=card,
            here=here,
            targeting=targeting,
            names=self.names([card]),
            published=Snapshot.newest([here]).get(here.pk),
            stages=read_stages(cell.plan.stages) if cell.plan else [],
        )
