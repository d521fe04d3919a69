"""For how long a key or token that is replaced works yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator
from django.utils.translation import gettext_lazy as _


class OverlapForm(forms.Form):
    """Asks for whole days, `longest` at most."""

    days = forms.IntegerField(
        label=_("Days for which the old one works yet"),
        min_value=0,
        initial=7,
        help_text=_("Put the new one in its place meanwhile. With 0, the old one ends within seconds."),
    )

    def __init__(self, *args: Any, longest: timedelta) -> None:
        super().__init__(*args)
        self.fields["days"].validators.append(MaxValueValidator(longest.days))
        self.fields["days"].widget.attrs["max"] = longest.days

    @property
    def overlap(self) -> timedelta:
        """What was chosen; valid forms only."""
        return timedelta(days=self.cleaned_data["days"])
