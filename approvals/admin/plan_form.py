"""The form of a rollout plan: up to six stages with what each waits for, and the hours in which they happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext_lazy as _

from approvals.admin.asking import LARGEST_VERSION, WhyForm
from audit.ledger import timestamp
from countersign.document import DocumentError
from flags.admin import drafts
from flags.models import Flag
from flags.stages import WEEKDAYS, read_window

HOUR = 3_600
ROWS = 6
_EVERYONE, _SEGMENT = "", "segment:"
_USUAL = ((Decimal(5), 24), (Decimal(25), 24), (Decimal(50), 24), (Decimal(100), 0))


class PlanForm(WhyForm):
    """A variant to roll out, the stages, and the allowed hours."""

    base = forms.IntegerField(min_value=0, max_value=LARGEST_VERSION, widget=forms.HiddenInput)
    variant = forms.ChoiceField(label=_("Roll out"))
    rest = forms.ChoiceField(label=_("The others get"))
    weekdays = forms.MultipleChoiceField(
        label=_("Only on these days"),
        required=False,
        choices=[(day, day) for day in WEEKDAYS],
        widget=forms.CheckboxSelectMultiple,
    )
    window_from = forms.TimeField(
        label=_("From"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    window_to = forms.TimeField(
        label=_("To"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    zone = forms.CharField(
        label=_("Time zone"),
        required=False,
        max_length=64,
        help_text=_("A name such as Europe/Berlin, of these hours and the dates of stages."),
    )

    kept_as = forms.CharField(
        label=_("Name of the template"),
        required=False,
        max_length=128,
        help_text=_("One of the same name is replaced."),
    )

    def __init__(self, *args: Any, flag: Flag, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(name, name) for name in flag.variants]
        self.fields["variant"].choices = self.fields["rest"].choices = choices  # type: ignore[attr-defined]
        segments = flag.project.segments.values_list("key", flat=True)
        whom: list[tuple[str, Any]] = [(_EVERYONE, _("a share of everyone"))]
        whom += [(f"{_SEGMENT}{key}", _("segment %s") % key) for key in segments]
        for number in range(1, ROWS + 1):
            self.fields |= _row(number, whom)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The fields of each stage; what it waits for beside its hold time is folded away."""
        return [
            {
                "number": number,
                "main": [self[f"{name}-{number}"] for name in ("whom", "percent", "hold")],
                "more": [self[f"{name}-{number}"] for name in ("at", "go-ahead")] if number > 1 else [],
                "is_open": bool(self[f"at-{number}"].value() or self[f"go-ahead-{number}"].value()),
            }
            for number in range(1, ROWS + 1)
        ]

    @property
    def window_fields(self) -> list[forms.BoundField]:
        """The fields that say when stages may happen."""
        return [self[name] for name in ("weekdays", "window_from", "window_to", "zone")]

    @property
    def window_is_open(self) -> bool:
        """Whether hours were given, so that they are not folded away."""
        return any(field.value() or field.errors for field in self.window_fields)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("variant") == cleaned.get("rest"):
            self.add_error("rest", _("Choose another variant for the others."))
        try:
            zone = ZoneInfo(cleaned.get("zone") or "UTC")
        except (KeyError, ValueError, OSError):
            self.add_error("zone", _("This is no time zone; use a name such as Europe/Berlin, or UTC."))
            return cleaned
        for number in range(1, ROWS + 1):
            self._clean_row(cleaned, number, zone)
        if not self.errors:
            try:
                read_window(self.window)
            except DocumentError as error:
                self.add_error("weekdays", f"{error.member} {error.reason}")
            if not self.stages:
                self.add_error("percent-1", _("Give at least one stage."))
        return cleaned

    def _clean_row(self, cleaned: dict[str, Any], number: int, zone: ZoneInfo) -> None:
        if cleaned.get(f"at-{number}"):
            moment: datetime = cleaned[f"at-{number}"]
            cleaned[f"at-{number}"] = moment.replace(tzinfo=zone)
        if cleaned.get(f"whom-{number}") and cleaned.get(f"percent-{number}") is not None:
            self.add_error(f"percent-{number}", _("A segment gets the variant as a whole; leave this empty."))

    @property
    def stages(self) -> list[dict[str, Any]]:
        """As `rollouts.propose_plan` takes them; valid forms only."""
        given = self.cleaned_data
        found = []
        for number in range(1, ROWS + 1):
            whom, percent = given[f"whom-{number}"], given[f"percent-{number}"]
            if not whom and percent is None:
                continue
            stage: dict[str, Any] = {"hold": int((given[f"hold-{number}"] or 0) * HOUR)}
            if whom:
                stage |= {"cohort": {"segment": whom.removeprefix(_SEGMENT)}, "variant": given["variant"]}
            else:
                weight = int(percent * drafts.TOTAL / 100)
                stage["weights"] = [[given["variant"], weight], [given["rest"], drafts.TOTAL - weight]]
            if given[f"at-{number}"]:
                stage["not_before"] = timestamp(given[f"at-{number}"])
            if given[f"go-ahead-{number}"]:
                stage["go_ahead"] = True
            found.append(stage)
        return found

    @property
    def template_stages(self) -> list[dict[str, Any]]:
        """The same for flags of any variants; dates stay with the plan. Valid forms only."""
        found = []
        for stage in self.stages:
            kept = {name: value for name, value in stage.items() if name in ("hold", "cohort", "go_ahead")}
            if "weights" in stage:
                percent = stage["weights"][0][1] * 100 / drafts.TOTAL
                kept["percent"] = int(percent) if percent.is_integer() else percent
            found.append(kept)
        return found

    @property
    def window(self) -> dict[str, Any]:
        """As `flags.stages` reads it; empty for no hours. Valid forms only."""
        given = self.cleaned_data
        if not (given["weekdays"] or given["window_from"] or given["window_to"]):
            return {}
        return {
            "zone": given["zone"] or "UTC",
            "from": f"{given['window_from']:%H:%M}" if given["window_from"] else "00:00",
            "to": f"{given['window_to']:%H:%M}" if given["window_to"] else "23:59",
            "weekdays": given["weekdays"] or list(WEEKDAYS),
        }

    @staticmethod
    def usual() -> dict[str, Any]:
        """The initial stages of a plan without a template."""
        initial: dict[str, Any] = {}
        for number, (percent, hours) in enumerate(_USUAL, start=1):
            initial |= {f"percent-{number}": percent, f"hold-{number}": hours or None}
        return initial

    @staticmethod
    def initial_of(stages: Sequence[Mapping[str, Any]], window: Mapping[str, Any]) -> dict[str, Any]:
        """The initial values that a template gives, as far as the form's rows go."""
        initial: dict[str, Any] = {}
        for number, stage in enumerate(stages[:ROWS], start=1):
            segment = stage.get("cohort", {}).get("segment")
            initial |= {
                f"whom-{number}": f"{_SEGMENT}{segment}" if segment else _EVERYONE,
                f"percent-{number}": stage.get("percent"),
                f"hold-{number}": Decimal(stage["hold"]) / HOUR or None,
                f"go-ahead-{number}": stage.get("go_ahead", False),
            }
        if window:
            initial |= {
                "weekdays": window["weekdays"],
                "window_from": window["from"],
                "window_to": window["to"],
                "zone": window["zone"],
            }
        return initial


def _row(number: int, whom: Sequence[Any]) -> dict[str, forms.Field]:
    """The fields of stage `number`; each may stay empty."""
    names = {"n": number}
    return {
        f"whom-{number}": forms.ChoiceField(label=_("Stage %(n)s") % names, choices=whom, required=False),
        f"percent-{number}": forms.DecimalField(
            label=_("Stage %(n)s, percent") % names,
            required=False,
            min_value=0,
            max_value=100,
            max_digits=6,
            decimal_places=3,
        ),
        f"hold-{number}": forms.DecimalField(
            label=_("Stage %(n)s, hours until the next") % names,
            required=False,
            min_value=0,
            max_value=8_760,
            max_digits=7,
            decimal_places=2,
        ),
        f"at-{number}": forms.DateTimeField(
            label=_("Stage %(n)s, not before") % names,
            required=False,
            widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        ),
        f"go-ahead-{number}": forms.BooleanField(
            label=_("Stage %(n)s waits for a reviewer's go-ahead") % names, required=False
        ),
    }
