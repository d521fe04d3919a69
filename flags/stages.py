"""The stages of a rollout plan: whom each serves, what it waits for, and the hours in which it may happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from countersign.document import DocumentError
from flags import wording
from flags.documents import Document, read_moment

LONGEST_HOLD = 366 * 86_400
MOST_STAGES = 50
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MEMBERS = frozenset({"weights", "cohort", "variant", "hold", "not_before", "go_ahead"})


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage that was read: a share of everyone (`weights`), or a cohort that gets a variant."""

    hold: int
    weights: list[list[Any]] | None = None
    # `{"segment": key}`, or `{"attribute": name, "values": [text…]}` such as some tenants.
    cohort: dict[str, Any] | None = None
    variant: str = ""
    not_before: datetime | None = None
    # Somebody who may approve says that it may begin.
    go_ahead: bool = False

    @property
    def share(self) -> Fraction:
        """Of everyone, the part that the first slice serves; 0 for a cohort."""
        if self.weights is None:
            return Fraction(0)
        return Fraction(self.weights[0][1], sum(weight for _, weight in self.weights))

    @property
    def words(self) -> str:
        """`25 % *on*, 75 % *off*`, or `segment beta get *on*`."""
        if self.weights is not None:
            return wording.share({"split": {"weights": self.weights}})
        return wording.rule({"constraints": [self.constraint], "serve": {"variant": self.variant}})

    @property
    def constraint(self) -> dict[str, Any]:
        """The condition by which a rule knows the cohort."""
        assert self.cohort is not None, "only a stage with a cohort has one"
        if "segment" in self.cohort:
            return {"attribute": "", "operator": "in_segment", "values": [self.cohort["segment"]]}
        return {"attribute": self.cohort["attribute"], "operator": "in", "values": self.cohort["values"]}


def read_stages(stages: Any) -> list[Stage]:
    """Raises `DocumentError` naming the stage and member that cannot be. A plan only grows."""
    if not isinstance(stages, list | tuple) or not 0 < len(stages) <= MOST_STAGES:
        raise DocumentError("stages", f"must be 1 to {MOST_STAGES} stages")
    read: list[Stage] = []
    for index, stage in enumerate(stages):
        found = _read_stage(f"stages[{index}]", stage)
        if index == 0 and (found.not_before or found.go_ahead):
            raise DocumentError(
                "stages[0]", "begins when the plan is applied; name a time or a go-ahead for later ones"
            )
        if found.weights is not None:
            largest = max((each.share for each in read), default=Fraction(0))
            if found.share == 0:
                raise DocumentError(f"stages[{index}].weights", f"serves nobody *{found.weights[0][0]}*")
            first = next((each.weights for each in read if each.weights is not None), found.weights)
            if [name for name, _ in found.weights] != [name for name, _ in first]:
                raise DocumentError(
                    f"stages[{index}].weights",
                    "names other variants, or in another order, than the stage before; that would deal everyone anew",
                )
            if found.share < largest:
                raise DocumentError(
                    f"stages[{index}].weights",
                    f"serves {_percent(found.share)} after a stage that serves {_percent(largest)}; "
                    "a plan only grows, and aborting it goes back",
                )
        read.append(found)
    return read


def _read_stage(at: str, stage: Any) -> Stage:
    if not isinstance(stage, Mapping) or "hold" not in stage or ("weights" in stage) == ("cohort" in stage):
        raise DocumentError(at, "must be an object of `hold` and either `weights` or `cohort` with `variant`")
    if unknown := sorted(set(stage) - _MEMBERS):
        raise DocumentError(f"{at}.{unknown[0]}", f"is unknown; known are {', '.join(sorted(_MEMBERS))}")
    hold = stage["hold"]
    if isinstance(hold, bool) or not isinstance(hold, int) or not 0 <= hold <= LONGEST_HOLD:
        raise DocumentError(f"{at}.hold", "must be whole seconds, at most a year")
    go_ahead = stage.get("go_ahead", False)
    if not isinstance(go_ahead, bool):
        raise DocumentError(f"{at}.go_ahead", "must be true or false")
    not_before = None
    if stage.get("not_before"):
        not_before = read_moment(stage["not_before"])
        if not_before is None:
            raise DocumentError(f"{at}.not_before", "must be a time like 2026-12-31T18:00:00.000000Z")
    if "weights" in stage:
        if "variant" in stage:
            raise DocumentError(f"{at}.variant", "belongs to a cohort; weights name their variants")
        return Stage(hold, _weights(f"{at}.weights", stage["weights"]), None, "", not_before, go_ahead)
    if not isinstance(stage.get("variant"), str) or not stage["variant"]:
        raise DocumentError(f"{at}.variant", "is missing; say what the cohort gets")
    cohort = _cohort(f"{at}.cohort", stage["cohort"])
    return Stage(hold, None, cohort, stage["variant"], not_before, go_ahead)


def _weights(at: str, weights: Any) -> list[list[Any]]:
    if not isinstance(weights, list) or not all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and isinstance(pair[1], int)
        and not isinstance(pair[1], bool)
        and pair[1] >= 0
        for pair in weights
    ):
        raise DocumentError(
            at, "must be a list of [variant, weight], each weight a whole number of 0 or more"
        )
    if sum(pair[1] for pair in weights) == 0:
        raise DocumentError(at, "add up to nothing; give at least one variant a weight")
    return [list(pair) for pair in weights]


def _cohort(at: str, cohort: Any) -> dict[str, Any]:
    if isinstance(cohort, Mapping) and set(cohort) == {"segment"} and isinstance(cohort["segment"], str):
        return dict(cohort)
    if isinstance(cohort, Mapping) and set(cohort) == {"attribute", "values"}:
        values = cohort["values"]
        if isinstance(values, list) and values and all(isinstance(each, str) and each for each in values):
            return dict(cohort)
    raise DocumentError(at, "must be an object of `segment`, or of `attribute` and a list of `values`")


def documents_of(current: Document, stages: Sequence[Stage], seed: str, bucketing: str) -> list[Document]:
    """What a configuration is after each stage, from what stands there now.

    Cohorts come as rules before all others, and stay. Raises `DocumentError` where a cohort comes first and
    nothing says what everyone else gets.
    """
    document = dict(current)
    if not wording.is_on(current) and stages[0].cohort is not None:
        if not current.get("off"):
            raise DocumentError("stages[0].cohort", "the flag is off and names no off variant for the others")
        document["default"] = {"variant": current["off"]}
    document = {**document, "enabled": True}
    taken = {rule["id"] for rule in document.get("rules", ())}
    found = []
    for number, stage in enumerate(stages, start=1):
        if stage.weights is not None:
            split = {"by": "targetingKey", "seed": seed, "hash": bucketing, "weights": stage.weights}
            document = {**document, "default": {"split": split}}
        else:
            rule_id = f"rollout-{number}"
            while rule_id in taken:
                rule_id += "-x"
            taken.add(rule_id)
            rule = {"id": rule_id, "constraints": [stage.constraint], "serve": {"variant": stage.variant}}
            document = {**document, "rules": [rule, *document.get("rules", ())]}
        found.append(document)
    return found


def _percent(share: Fraction) -> str:
    return f"{float(100 * share):.3f}".rstrip("0").rstrip(".") + " %"


# --- allowed hours ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """The hours and weekdays in which stages after the first may happen, in a time zone."""

    zone: ZoneInfo
    start: time
    end: time
    weekdays: frozenset[int]

    def __str__(self) -> str:
        days = ", ".join(WEEKDAYS[day] for day in sorted(self.weekdays))
        return f"{days} {self.start:%H:%M}-{self.end:%H:%M} {self.zone.key}"

    def next_open(self, moment: datetime) -> datetime:
        """The moment itself while the window is open, else when it opens next."""
        here = moment.astimezone(self.zone)
        for days in range(9):
            day = here.date() + timedelta(days=days)
            if day.weekday() not in self.weekdays:
                continue
            # On the wall, so that nine o'clock stays nine o'clock when the clocks change.
            opens = datetime.combine(day, self.start, self.zone)
            closes = datetime.combine(day, self.end, self.zone)
            if moment < opens:
                return opens
            if moment < closes:
                return moment
        raise AssertionError("a window has a weekday")


def read_window(window: Any) -> Window | None:
    """None for no window. Raises `DocumentError` naming the member that cannot be."""
    if not window:
        return None
    if not isinstance(window, Mapping) or set(window) != {"zone", "from", "to", "weekdays"}:
        raise DocumentError("window", "must be an object of `zone`, `from`, `to` and `weekdays`")
    try:
        zone = ZoneInfo(window["zone"])
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise DocumentError("window.zone", "is no time zone; use a name such as Europe/Berlin") from error
    times = []
    for name in ("from", "to"):
        try:
            at = time.fromisoformat(window[name])
        except (TypeError, ValueError) as error:
            raise DocumentError(f"window.{name}", "must be a time of day like 09:00") from error
        if at.tzinfo is not None:
            raise DocumentError(f"window.{name}", "is in the window's zone; leave the offset out")
        times.append(at)
    if times[0] >= times[1]:
        raise DocumentError("window.to", "must be later than `from`, on the same day")
    days = window["weekdays"]
    if not isinstance(days, list) or not days or not all(day in WEEKDAYS for day in days):
        raise DocumentError("window.weekdays", f"must be some of {', '.join(WEEKDAYS)}")
    return Window(zone, times[0], times[1], frozenset(WEEKDAYS.index(day) for day in days))
