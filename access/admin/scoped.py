"""Forms of tokens and trust rules: what they may be used for at most."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.admin.place import Place
from access.limits import LimitsError
from access.roles import VERBS
from flags.models import Environment

CODE = {"spellcheck": "false", "autocomplete": "off"}


class ScopeForm(forms.Form):
    """A name and a scope. Nothing chosen: all that the holder may."""

    name = forms.CharField(label=_("Name"), max_length=128)
    projects = forms.MultipleChoiceField(
        label=_("Only in these projects"), required=False, widget=forms.CheckboxSelectMultiple
    )
    environments = forms.MultipleChoiceField(
        label=_("Only in these environments"), required=False, widget=forms.CheckboxSelectMultiple
    )
    verbs = forms.MultipleChoiceField(
        label=_("Only for this"),
        required=False,
        choices=[(name, f"{name}: {verb.purpose}") for name, verb in VERBS.items()],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "cs-many"}),
    )

    def __init__(self, *args: Any, place: Place) -> None:
        super().__init__(*args)
        environments = Environment.objects.filter(project__in=place.projects).order_by("position", "key")
        keys = dict.fromkeys(environments.values_list("key", flat=True))
        for name, choices in (
            ("projects", [(each.key, each.name) for each in place.projects]),
            ("environments", [(key, key) for key in keys]),
        ):
            field = self.fields[name]
            assert isinstance(field, forms.MultipleChoiceField)
            field.choices = choices

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        """What stands folded away."""
        return [self[name] for name in ("projects", "environments", "verbs")]

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """The others."""
        folded = {field.name for field in self.limit_fields}
        return [field for field in self.visible_fields() if field.name not in folded]

    @property
    def limits_open(self) -> bool:
        return self.is_bound and any(field.data for field in self.limit_fields)

    @property
    def scope(self) -> dict[str, Any]:
        """As the verbs take it; valid forms only."""
        members = ("verbs", "projects", "environments")
        return {name: self.cleaned_data[name] for name in members if self.cleaned_data[name]}

    def refuse(self, error: LimitsError, **fields: str) -> None:
        """Say an error of a verb at its field; `fields`: by member, those that are named otherwise here."""
        member = error.member.removeprefix("scope.").partition("[")[0].partition(".")[0]
        name = fields.get(member, member)
        known = name in self.fields
        self.add_error(name if known else None, error.reason if known else str(error))
