"""What is about to happen, as pages show it: an icon, words, a link; and the days that it falls on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from approvals.coming import Coming, Kind
from approvals.models import ChangeRequest, FreezeWindow
from flags.models import Flag, Project, RolloutPlan
from flags.stages import read_stages

DAY = timedelta(days=1)
# For each kind its icon and its name: never told by colour alone.
KINDS = {
    Kind.FREEZE: ("ac_unit", gettext_lazy("Freeze")),
    Kind.SCHEDULED: ("schedule", gettext_lazy("Scheduled change")),
    Kind.STAGE: ("stacked_line_chart", gettext_lazy("Rollout stage")),
    Kind.CONFIRM: ("hourglass_bottom", gettext_lazy("Goes back unless confirmed")),
    Kind.END: ("event_busy", gettext_lazy("Planned end")),
    Kind.EXPIRY: ("hourglass_empty", gettext_lazy("Flag expires")),
    Kind.WAKE: ("alarm", gettext_lazy("Flag is to wake")),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that comes, in words."""

    coming: Coming
    icon: str
    kind: str
    name: str
    detail: str
    url: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day in a zone: what begins or is on it, and the freezes among that."""

    date: date
    entries: tuple[Entry, ...]
    freezes: tuple[Entry, ...]
    is_today: bool = False
    in_month: bool = True

    @property
    def label(self) -> str:
        """`Fri 27 Nov: 2 planned, frozen`, for whoever does not see the drawing."""
        said = [_("%d planned") % len(self.entries)] if self.entries else []
        said += [_("frozen")] if self.freezes else []
        return f"{self.date:%a} {self.date.day} {self.date:%b}: {', '.join(said) or _('nothing planned')}"


def entry(project: Project, each: Coming) -> Entry:
    """What comes, in words and with the page to look at."""
    icon, kind = KINDS[each.kind]
    about = each.about
    if isinstance(about, ChangeRequest):
        where = ", ".join(place.name for place in about.environments.all())
        state = "" if each.is_sure else _("not approved yet")
        detail = " · ".join(part for part in (about.change_id, where, state) if part)
        return Entry(each, icon, str(kind), about.title, detail, _at(project, "request", about.number))
    if isinstance(about, RolloutPlan):
        stage = read_stages(about.stages)[each.stage - 1]
        parts = [
            about.environment.name,
            _("stage %(number)d of %(all)d") % {"number": each.stage, "all": len(about.stages)},
            stage.words.replace("*", ""),
        ]
        if about.state == RolloutPlan.State.WAITING or stage.go_ahead:
            parts.append(_("waits for a go-ahead"))
        elif not each.is_sure:
            parts.append(_("not before"))
        return Entry(
            each, icon, str(kind), about.flag.key, " · ".join(parts), _at(project, "plan", about.number)
        )
    if isinstance(about, FreezeWindow):
        return Entry(each, icon, str(kind), about.key, about.reason, _at(project, "freeze", about.key))
    if each.kind is Kind.WAKE:
        detail = about.hibernation.get("plan") or _("its owner is told to wake it")
        return Entry(each, icon, str(kind), about.key, detail, _at(project, "flag", about.key))
    turns_off = about.on_expiry == Flag.OnExpiry.OFF
    detail = _("turns off where that was approved") if turns_off else _("its owner is told")
    return Entry(each, icon, str(kind), about.key, detail, _at(project, "flag", about.key))


def days_of(
    entries: Sequence[Entry],
    dates: Iterable[date],
    zone: tzinfo,
    now: datetime,
    month: date | None = None,
) -> list[Day]:
    """The days with what falls on them; a freeze is on every day that it touches. `month`: its first day."""
    today = now.astimezone(zone).date()
    by_day: dict[date, list[Entry]] = {}
    for each in entries:
        if each.coming.kind is not Kind.FREEZE:
            by_day.setdefault(each.coming.at.astimezone(zone).date(), []).append(each)
    freezes = [each for each in entries if each.coming.kind is Kind.FREEZE]
    return [
        Day(
            day,
            tuple(by_day.get(day, ())),
            tuple(_touching(freezes, day, zone)),
            day == today,
            month is None or (day.year, day.month) == (month.year, month.month),
        )
        for day in dates
    ]


def _touching(freezes: Iterable[Entry], day: date, zone: tzinfo) -> list[Entry]:
    start = datetime.combine(day, datetime.min.time(), zone)
    end = datetime.combine(day + DAY, datetime.min.time(), zone)
    return [
        each
        for each in freezes
        if each.coming.at < end and each.coming.until is not None and each.coming.until > start
    ]


def _at(project: Project, name: str, *args: object) -> str:
    return reverse(f"admin:{name}", args=[project.key, *args])
