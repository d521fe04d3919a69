"""Forms about what somebody else may change at the same time: they say which version was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from django import forms
from django.utils.translation import gettext as _

from approvals.workflow import ConflictError
from audit.history import OutdatedBaseError


class BasedForm(forms.Form):
    """A form with the version that its sender saw; `initial["base"]` is read before what the form shows."""

    base = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def based(self, subject: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was typed, and the base as the verbs take it; valid forms only."""
        members = dict(self.cleaned_data)
        return members, {subject: members.pop("base")}

    def again(self, error: OutdatedBaseError | ConflictError, standing: Mapping[str, Any]) -> Self:
        """The form with what was typed, for the version that stands now, saying beside each field what that is."""
        sent: Any = self.data  # a QueryDict, which copies lists as they are
        data = sent.copy()
        data["base"] = str(error.found)
        again = self.filled(data)
        again.add_error(
            None,
            _("Somebody else saved this meanwhile, so nothing was changed. Compare, then save again."),
        )
        for name, value in standing.items():
            if self.cleaned_data[name] != value:
                again.add_error(name, _("Stands at %s now.") % self._in_words(name, value))
        return again

    def filled(self, data: Any) -> Self:
        """A form like this one with other data; forms with arguments of their own say how."""
        return type(self)(data)

    def _in_words(self, name: str, value: Any) -> str:
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, list):
            return ", ".join(map(str, value)) or _("none")
        choices = getattr(self.fields[name], "choices", ())
        return str(dict(choices).get(value, value)) if choices else str(value)
