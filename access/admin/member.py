"""Fields of forms that name people, teams and service accounts, and the limits of a role."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access import grants
from access.limits import Limits
from access.models import User
from flags.models import Environment, Flag, Project


class Who(forms.CharField):
    """Somebody by name, address or id. Cleans to their pseudonym."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=254,
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            help_text=_(
                "A user name, an e-mail address, the key of a team or the name of a service account."
            ),
            **options,
        )

    def clean(self, value: Any) -> str:
        try:
            return grants.found(super().clean(value).strip())
        except LookupError as error:
            raise forms.ValidationError(str(error)) from error


class People(forms.ModelMultipleChoiceField):
    """Active people, as checkboxes. Cleans to users."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            queryset=User.objects.filter(is_active=True).order_by("first_name", "last_name", "username"),
            widget=forms.CheckboxSelectMultiple(attrs={"class": "cs-many"}),
            to_field_name="pseudonym",
            required=False,
            **options,
        )

    def label_from_instance(self, obj: User) -> str:
        return f"{obj} ({obj.username})"


class LimitsForm(forms.Form):
    """Where a role holds. Nothing chosen: everywhere in the project."""

    environments = forms.MultipleChoiceField(
        label=_("Only in these environments"), required=False, widget=forms.CheckboxSelectMultiple
    )
    kinds = forms.MultipleChoiceField(
        label=_("Only for flags of these kinds"),
        required=False,
        choices=Flag.Kind.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    tags = forms.CharField(
        label=_("Only for flags with one of these tags"),
        required=False,
        max_length=500,
        help_text=_("Separated by commas."),
    )
    not_critical = forms.BooleanField(label=_("Not for critical flags"), required=False)

    def __init__(self, *args: Any, project: Project | None, **options: Any) -> None:
        """`project` None: it is chosen in the form, and the environments of all are offered."""
        super().__init__(*args, **options)
        rows = Environment.objects.all() if project is None else project.environments.all()
        field = self.fields["environments"]
        assert isinstance(field, forms.MultipleChoiceField)
        named = {each.key: each.name for each in rows}
        field.choices = [(key, key if project is None else name) for key, name in named.items()]

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        """What stands folded away: most roles have no limits."""
        return [self[name] for name in LimitsForm.base_fields]

    @property
    def limits_open(self) -> bool:
        """Whether a limit was given, so that it is not folded away when the form comes back."""
        return self.is_bound and any(self[name].data for name in LimitsForm.base_fields)

    @property
    def limits(self) -> Limits:
        """What was chosen."""
        given = self.cleaned_data
        tags = [tag.strip() for tag in given["tags"].split(",") if tag.strip()]
        return Limits(
            frozenset(given["environments"]),
            frozenset(given["kinds"]),
            frozenset(tags),
            critical=not given["not_critical"],
        )

    @staticmethod
    def of(limits: Limits) -> dict[str, Any]:
        """The form's initial values for limits that stand."""
        return {
            "environments": sorted(limits.environments),
            "kinds": sorted(limits.kinds),
            "tags": ", ".join(sorted(limits.tags)),
            "not_critical": not limits.critical,
        }
