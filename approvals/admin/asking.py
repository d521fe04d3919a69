"""What every form that asks for a change has in common: why, for which ticket, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError

from access.admin.pages import Page
from access.api import strict_json
from approvals import drafting
from approvals.policy_document import Requirements
from approvals.workflow import LONGEST_CONFIRMATION, SHORTEST_CONFIRMATION, InvalidError

# The second button of every form that asks for a change (`countersign/add_to_draft.html`).
TO_DRAFT = "to-draft"
DRAFT_CHANGED = _("Your draft changed meanwhile, in another window. This starts from how it is now.")
SOON, AT, BY_HAND = "soon", "at", "by-hand"
# What the database holds as a version; a larger one was never shown by a page.
LARGEST_VERSION = 2**31 - 1


def read_json(text: str) -> Any:
    """The value of a JSON text that somebody typed, as strictly as the API reads it."""
    try:
        return strict_json.read(text.encode())
    except ParseError as error:
        # The API speaks of a body; whoever typed this sees a field.
        reason = (
            str(error.detail).replace("The body is not JSON", "This is no JSON").replace("The body", "This")
        )
    except UnicodeEncodeError:
        reason = str(_("This contains half of a surrogate pair; send whole characters."))
    raise ValidationError(reason)


class DocumentField(forms.JSONField):
    """A JSON document to read and edit: indented, members in order, empty where there is none."""

    def __init__(self, *, rows: int = 14, **kwargs: Any) -> None:
        attributes = {"rows": rows, "spellcheck": "false", "class": "cs-code"}
        super().__init__(widget=forms.Textarea(attrs=attributes), **kwargs)

    def to_python(self, value: Any) -> Any:
        if self.disabled or value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        return read_json(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        # What was typed stays as it was typed: reading it to show it again may fail.
        return initial if self.disabled else data

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial) != (data or ""))

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            # A string is what was typed; a document that is one would not be valid anywhere here.
            return value or ""
        return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def zone_named(name: str) -> ZoneInfo:
    """Raises ValidationError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValidationError(
            _("%s is no time zone; use a name such as Europe/Berlin, or UTC.") % name
        ) from error


class WhyForm(forms.Form):
    """Rationale and ticket, required where the policies say so. Not of a draft: it is asked when it is proposed."""

    rationale = forms.CharField(
        label=_("Why"),
        max_length=4_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_(
            "For those who review now and those who audit later. It stays for good: no names or addresses."
        ),
    )
    ticket = forms.CharField(
        label=_("Ticket"),
        max_length=200,
        required=False,
        help_text=_("Its key or address, such as SHOP-412."),
    )

    def __init__(self, *args: Any, needs: Requirements, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs = needs
        self.fields["rationale"].required = needs.rationale and not self.goes_to_draft
        self.fields["ticket"].required = needs.ticket and not self.goes_to_draft

    @property
    def goes_to_draft(self) -> bool:
        """Whether it was sent by the second button."""
        return self.is_bound and TO_DRAFT in self.data


class AskForm(WhyForm):
    """The same with a time."""

    when = forms.ChoiceField(label=_("When"), required=False, widget=forms.RadioSelect, initial=SOON)
    at = forms.CharField(
        label=_("At"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    confirm_minutes = forms.IntegerField(
        label=_("Undo unless confirmed within so many minutes"),
        required=False,
        min_value=SHORTEST_CONFIRMATION // 60,
        max_value=LONGEST_CONFIRMATION // 60,
    )
    ends = forms.CharField(
        label=_("End it again at"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=_("What stands there now comes back then, under the same approval."),
    )
    # The browser's zone, filled in by our script; without it, UTC.
    zone = forms.CharField(label=_("Zone"), required=False, max_length=64, initial="UTC")

    def __init__(self, *args: Any, needs: Requirements, **kwargs: Any) -> None:
        super().__init__(*args, needs=needs, **kwargs)
        soon = _("As soon as it is approved") if needs.approvals else _("Now")
        self.fields["when"].choices = [  # type: ignore[attr-defined]
            (SOON, soon),
            (AT, _("At a time")),
            (BY_HAND, _("I apply it myself")),
        ]

    def clean_when(self) -> str:
        return self.cleaned_data.get("when") or SOON

    def clean_zone(self) -> ZoneInfo:
        return zone_named(self.cleaned_data.get("zone") or "UTC")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.goes_to_draft:
            return cleaned
        if cleaned.get("when") == AT and "zone" in cleaned:
            cleaned["moment"] = self._moment("at", cleaned["zone"])
        if cleaned.get("ends") and "zone" in cleaned:
            cleaned["end"] = self._moment("ends", cleaned["zone"])
        return cleaned

    def _moment(self, field: str, zone: ZoneInfo) -> datetime | None:
        try:
            moment = datetime.fromisoformat(self.cleaned_data.get(field) or "")
            moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
            moment.astimezone(UTC)  # the ends of the calendar have no place there
        except (ValueError, OverflowError):
            self.add_error(field, _("Say when: a date and a time."))
            return None
        if moment <= timezone.now():
            self.add_error(field, _("This is in the past; choose a later time."))
        return moment

    @property
    def timing(self) -> dict[str, Any]:
        """The options of `workflow.change` for what was chosen; valid forms only."""
        options: dict[str, Any] = {}
        if minutes := self.cleaned_data.get("confirm_minutes"):
            options["confirm_within"] = minutes * 60
        if self.cleaned_data.get("end"):
            options["ends_at"] = self.cleaned_data["end"]
        match self.cleaned_data["when"]:
            case "at":
                options["scheduled_at"] = self.cleaned_data["moment"]
            case "by-hand":
                options["scheduled_at"] = None
        return options


def into_draft(
    page: Page, subject: str, after: Any, base: int, back: str, *, mark: str | None = None
) -> HttpResponse:
    """Add what a form makes to the draft of whoever filled it in, say so, and go back. Raises as `collect`.

    `mark`: of the edit that the form started from (`drafting.mark_of`); where another stands there by now,
    nothing is added, and the form is opened again.
    """
    if mark is not None and mark != drafting.mark_of(drafting.edit_of(page.actor, page.project, subject)):
        page.complain(DRAFT_CHANGED)
        return page.leave(page.request.path)
    if drafting.collect(page.actor, page.project, [{"subject": subject, "after": after}], {subject: base}):
        page.say(_("Added to your draft. Nobody was asked yet, and nothing changed."))
    else:
        page.say(_("This is what stands there already, so there is nothing of it in your draft."))
    return page.leave(back)


def place_error(form: forms.Form, error: InvalidError, **fields: str) -> None:
    """Put what the gate refused beside the field that it is about, else above the form.

    `fields`: by member, the field of another name.
    """
    name = fields.get(error.member, error.member)
    form.add_error(name if name in form.fields else None, f"{error.member} {error.reason}")
