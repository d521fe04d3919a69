"""Freezes: when nothing is applied, and planning, changing and lifting one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.based import BasedForm
from access.admin.pages import Page, holders
from access.models import CustomRole, Membership
from access.permissions import display_names
from access.roles import Role, label_of
from approvals.admin.asking import zone_named
from approvals.freezes import HORIZON, lift_freeze, save_freeze, windows
from approvals.freezes.wording import in_words
from approvals.models import FreezeWindow
from approvals.workflow import StateError
from audit.history import OutdatedBaseError, version_of
from flags.models import Project, validate_key

ONCE, AGAIN = "once", "again"


def moment_of(text: str, zone: ZoneInfo, *, fold: int) -> datetime:
    """The moment of a wall clock time. `fold`: which, where the clocks show it twice.

    Raises ValidationError for what is no time, or one that the clocks skip.
    """
    try:
        wall = datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise ValidationError(_("Say when: a date and a time.")) from error
    moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) != wall:
        raise ValidationError(
            _("There is no %(time)s in %(zone)s: the clocks are put forward then. Choose another time.")
            % {"time": f"{wall:%Y-%m-%d %H:%M}", "zone": zone.key}
        )
    return moment


class FreezeForm(BasedForm):
    """When, what and whom not."""

    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("For everyone whom it stops, and for those who audit.")
    )
    kind = forms.ChoiceField(
        label=_("How often"),
        choices=[(ONCE, _("Once")), (AGAIN, _("Again and again"))],
        widget=forms.RadioSelect,
        initial=ONCE,
    )
    starts = forms.CharField(
        label=_("From"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
        help_text=_("Of one that recurs, the first time."),
    )
    ends = forms.CharField(
        label=_("To (once)"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
    )
    zone = forms.CharField(
        label=_("Zone"), max_length=64, initial="UTC", help_text=_("Whose wall clock counts: Europe/Berlin.")
    )
    rrule = forms.CharField(
        label=_("Recurs by (RFC 5545)"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"spellcheck": "false", "class": "cs-code"}),
        help_text=_(
            "Such as FREQ=WEEKLY;BYDAY=FR, or FREQ=MONTHLY;BYMONTHDAY=-1 for each last day of a month."
        ),
    )
    days = forms.IntegerField(label=_("Lasts (days)"), required=False, min_value=0, max_value=366)
    hours = forms.DecimalField(
        label=_("and hours"),
        required=False,
        min_value=0,
        max_value=24,
        decimal_places=4,
        help_text=_("Friday 18:00 and 2 days 12 hours ends on Monday at 06:00, also when clocks change."),
    )
    environments = forms.MultipleChoiceField(
        label=_("Environments"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: all, later ones too."),
    )
    regions = forms.MultipleChoiceField(
        label=_("Regions"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: all."),
    )
    tags = forms.CharField(
        label=_("Only flags tagged"),
        required=False,
        max_length=500,
        help_text=_("Separated by commas. Empty: all flags."),
    )
    exempt_roles = forms.MultipleChoiceField(
        label=_("Does not stop these roles"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("When they apply a change themselves. A kill never waits for anybody."),
    )
    exempt_members = forms.MultipleChoiceField(
        label=_("Nor these people and teams"), required=False, widget=forms.CheckboxSelectMultiple
    )
    exempt_tags = forms.CharField(
        label=_("Nor flags tagged"), required=False, max_length=500, help_text=_("Separated by commas.")
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        environments = list(project.environments.all())
        regions = sorted({region for each in environments for region in each.regions})
        members = set(Membership.objects.filter(project=project).values_list("member", flat=True))
        initial = self.initial
        members |= set(initial.get("exempt_members", ()))
        roles = [*Role.values, *CustomRole.objects.values_list("key", flat=True)]
        names = display_names(members)
        choices = {
            "environments": [(each.key, each.name) for each in environments],
            "regions": [(region, region) for region in regions],
            "exempt_roles": [(role, label_of(role)) for role in roles],
            "exempt_members": sorted(names.items(), key=lambda each: each[1].lower()),
        }
        for name, options in choices.items():
            self.fields[name].choices = options  # type: ignore[attr-defined]
        if not regions:
            del self.fields["regions"]

    def clean_zone(self) -> str:
        return zone_named(self.cleaned_data["zone"]).key

    def clean_tags(self) -> list[str]:
        return _split(self.cleaned_data["tags"])

    def clean_exempt_tags(self) -> list[str]:
        return _split(self.cleaned_data["exempt_tags"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("kind") == AGAIN and not cleaned.get("rrule"):
            self.add_error("rrule", _("Say by which rule it recurs."))
        if "zone" not in cleaned:
            return cleaned
        zone = ZoneInfo(cleaned["zone"])
        # Of a time that the clocks show twice, the one that makes the freeze longer.
        for name, fold in (("starts", 0), ("ends", 1)):
            if cleaned.get(name) and (name == "starts" or cleaned.get("kind") == ONCE):
                try:
                    cleaned[f"{name}_at"] = moment_of(cleaned[name], zone, fold=fold)
                except ValidationError as error:
                    self.add_error(name, error)
        return cleaned

    @property
    def members(self) -> dict[str, Any]:
        """What was typed as the verb takes it; valid forms only."""
        given = self.cleaned_data
        once = given["kind"] == ONCE
        return {
            "reason": given["reason"],
            "starts_at": given["starts_at"],
            "ends_at": given.get("ends_at") if once else None,
            "rrule": "" if once else given["rrule"],
            "zone": given["zone"],
            "duration": None
            if once
            else (given["days"] or 0) * 86_400 + round((given["hours"] or 0) * 3_600),
            "environments": given["environments"],
            "regions": given.get("regions", []),
            "tags": given["tags"],
            "exempt": {
                "members": given["exempt_members"],
                "roles": given["exempt_roles"],
                "tags": given["exempt_tags"],
            },
        }

    def place(self, error: ValidationError) -> None:
        """Put what the verb refused beside the fields that it is about."""
        named = {"starts_at": "starts", "ends_at": "ends", "duration": "days", "exempt": "exempt_members"}
        for member, reasons in error.message_dict.items():
            field = named.get(member, member)
            for reason in reasons:
                self.add_error(field if field in self.fields else None, reason)


class NewFreezeForm(FreezeForm):
    """The same with the key."""

    key = forms.CharField(
        label=_("Key"),
        max_length=128,
        validators=[validate_key],
        help_text=_("Such as holidays-2026; for good."),
    )
    field_order = ("key", "reason")


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))


class FreezeListPage(Page):
    """All freezes; when they are among all that is planned is on the calendar."""

    template = "countersign/freeze_list.html"
    title = _("Freezes")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        now = timezone.now()
        freezes = list(FreezeWindow.objects.filter(project=self.project).select_related("project"))
        names = display_names({freeze.made_by for freeze in freezes})
        return self.show(rows=[_row(freeze, now, names) for freeze in freezes])


def _row(freeze: FreezeWindow, now: datetime, names: dict[str, str]) -> dict[str, Any]:
    coming = windows(freeze, now, now + HORIZON)
    return {
        "freeze": freeze,
        "when": in_words(freeze),
        "what": cover(freeze),
        "next": coming[0] if coming else None,
        "holds": bool(coming and coming[0].start <= now),
        "made_by": names[freeze.made_by],
    }


def cover(freeze: FreezeWindow) -> str:
    """What it covers, in words."""
    names = dict(freeze.project.environments.values_list("key", "name"))
    parts = [
        ", ".join(names.get(key, key) for key in freeze.environments) or str(_("all environments")),
        f"{_('regions')} {', '.join(freeze.regions)}" if freeze.regions else "",
        f"{_('flags tagged')} {', '.join(freeze.tags)}" if freeze.tags else "",
    ]
    return "; ".join(part for part in parts if part)


class NewFreezePage(Page):
    """Plans a freeze."""

    verb = "freeze.manage"
    template = "countersign/form.html"
    title = _("New freeze")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show(NewFreezeForm(project=self.project))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = NewFreezeForm(request.POST, project=self.project)
        if not form.is_valid():
            return self._show(form, 422)
        key = form.cleaned_data["key"]
        base = {f"project/{self.project.key}/freeze/{key}": 0}
        try:
            save_freeze(self.actor, self.project, key, form.members, base=base)
        except OutdatedBaseError:
            form.add_error("key", _("There is a freeze with this key already; choose another one."))
            return self._show(form, 409)
        except ValidationError as error:
            form.place(error)
            return self._show(form, 422)
        self.say(_("%s is planned. What falls into it waits.") % key)
        return self.go("freeze-list")

    def _show(self, form: FreezeForm, status: int = 200) -> HttpResponse:
        return self.show(
            status=status,
            intro=_(
                "While it holds nothing is applied. A kill and the way back of a rollout work all the same."
            ),
            form=form,
            button=_("Plan freeze"),
            back_name="freeze-list",
        )


class FreezePage(Page):
    """One freeze: changing and lifting it."""

    template = "countersign/freeze.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        freeze = self._find(key)
        return self._show(freeze, FreezeForm(project=self.project, initial=_shown(freeze)))

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        freeze = self._find(key)
        try:
            if "lift" in request.POST:
                lift_freeze(self.actor, freeze)
                self.say(_("%s is lifted. What waited for it can be applied.") % key)
                return self.go("freeze-list")
            form = FreezeForm(request.POST, project=self.project)
            if not form.is_valid():
                return self._show(freeze, form, 422)
            base = {freeze.ledger_subject: form.cleaned_data["base"]}
            save_freeze(self.actor, self.project, key, form.members, base=base)
        except StateError as error:
            self.complain(error)
            return self._show(freeze, FreezeForm(project=self.project, initial=_shown(freeze)), 409)
        except ValidationError as error:
            form.place(error)
            return self._show(freeze, form, 422)
        except OutdatedBaseError:
            self.complain(
                _("Somebody else changed it meanwhile, so nothing was changed. This is how it stands.")
            )
            return self._show(freeze, FreezeForm(project=self.project, initial=_shown(freeze)), 409)
        self.say(_("%s is changed.") % key)
        return self.go("freeze-list")

    def _find(self, key: str) -> FreezeWindow:
        rows = FreezeWindow.objects.filter(project=self.project, key=key)
        freeze: FreezeWindow | None = rows.select_related("project").first()
        if freeze is None:
            raise Http404
        return freeze

    def _show(self, freeze: FreezeWindow, form: FreezeForm, status: int = 200) -> HttpResponse:
        now = timezone.now()
        names = display_names({freeze.made_by, *freeze.exempt.get("members", ())})
        exempt = [
            *(label_of(role) for role in freeze.exempt.get("roles", ())),
            *(names[member] for member in freeze.exempt.get("members", ())),
            *(f"{_('flags tagged')} {tag}" for tag in freeze.exempt.get("tags", ())),
        ]
        return self.show(
            status=status,
            title=_("Freeze %s") % freeze.key,
            freeze=freeze,
            form=form,
            exempt=exempt,
            managers=holders(self.project, "freeze.manage", freeze.made_by),
            coming=windows(freeze, now, now + HORIZON)[:5],
            **{name: value for name, value in _row(freeze, now, names).items() if name != "freeze"},
        )


def _local(moment: datetime, zone: ZoneInfo) -> str:
    wall = moment.astimezone(zone).replace(tzinfo=None)
    return wall.isoformat(timespec="seconds" if wall.second else "minutes")


def _shown(freeze: FreezeWindow) -> dict[str, Any]:
    zone = ZoneInfo(freeze.zone)
    days, rest = divmod(freeze.duration or 0, 86_400)
    return {
        "base": version_of(freeze),
        "reason": freeze.reason,
        "kind": AGAIN if freeze.rrule else ONCE,
        "starts": _local(freeze.starts_at, zone),
        "ends": _local(freeze.ends_at, zone) if freeze.ends_at else "",
        "zone": freeze.zone,
        "rrule": freeze.rrule,
        "days": days or None,
        "hours": (Decimal(rest) / 3_600).quantize(Decimal("0.0001")).normalize() if rest else None,
        "environments": freeze.environments,
        "regions": freeze.regions,
        "tags": ", ".join(freeze.tags),
        "exempt_roles": freeze.exempt.get("roles", []),
        "exempt_members": freeze.exempt.get("members", []),
        "exempt_tags": ", ".join(freeze.exempt.get("tags", ())),
    }
