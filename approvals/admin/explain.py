"""Who gets what, and why: type a context, see the answer and what stands behind it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.permissions import display_names
from approvals.admin.asking import read_json
from approvals.admin.constraint_rows import seen_attributes
from approvals.admin.contexts import examples
from approvals.explain import Explanation, explain
from flags.models import Environment, Flag


class ContextForm(forms.Form):
    """For whom."""

    region = forms.ChoiceField(label=_("Region of the service"), required=False)
    targeting_key = forms.CharField(
        label=_("Targeting key"),
        required=False,
        max_length=1_000,
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Such as customer-1017. Nothing that you type here is kept."),
    )
    attributes = forms.CharField(
        label=_("Attributes (JSON)"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "cs-code"}),
        help_text=_('As the service gives them, such as {"country": "DE", "plan": "pro"}.'),
    )

    def __init__(self, *args: Any, environments: list[Environment], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if environments:
            seen = seen_attributes(environments[0].project, ())
            seen.pop("targetingKey", None)
            self.fields["attributes"].examples = examples(seen)  # type: ignore[attr-defined]
        regions = sorted({region for each in environments for region in each.regions})
        if regions:
            self.fields["region"].choices = [("", _("none")), *((name, name) for name in regions)]  # type: ignore[attr-defined]
        else:
            del self.fields["region"]

    def clean_attributes(self) -> dict[str, Any]:
        text = self.cleaned_data["attributes"].strip()
        value = read_json(text) if text else {}
        if not isinstance(value, dict):
            raise forms.ValidationError(_("This must be a JSON object: { … }."))
        return value

    @property
    def context(self) -> dict[str, Any]:
        """The context that was typed; valid forms only."""
        key = self.cleaned_data["targeting_key"]
        return {**self.cleaned_data["attributes"], **({"targetingKey": key} if key else {})}


class ExplainForm(ContextForm):
    """For whom, and where."""

    environment = forms.ChoiceField(label=_("Environment"))
    field_order = ("environment",)

    def __init__(self, *args: Any, environments: list[Environment], **kwargs: Any) -> None:
        super().__init__(*args, environments=environments, **kwargs)
        self.fields["environment"].choices = [(each.key, each.name) for each in environments]  # type: ignore[attr-defined]


class ExplainPage(Page):
    """Answers as the evaluator does. A POST, because a context is personal and addresses are logged."""

    template = "countersign/explain.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag, environments = self._find(key)
        wanted = request.GET.get("environment", "")
        production = next((each for each in reversed(environments) if each.protected), None)
        known = {each.key for each in environments}
        chosen = wanted if wanted in known else (production.key if production else "")
        return self._show(flag, ExplainForm(environments=environments, initial={"environment": chosen}))

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag, environments = self._find(key)
        form = ExplainForm(request.POST, environments=environments)
        if not form.is_valid():
            return self._show(flag, form, status=422)
        chosen = next(each for each in environments if each.key == form.cleaned_data["environment"])
        found = explain(flag, chosen, form.context, form.cleaned_data.get("region") or None)
        return self._show(flag, form, found=found, names=_names(found))

    def _find(self, key: str) -> tuple[Flag, list[Environment]]:
        flag = Flag.objects.filter(project=self.project, key=key).select_related("project").first()
        if flag is None:
            raise Http404
        return flag, list(self.project.environments.select_related("project"))

    def _show(self, flag: Flag, form: ExplainForm, *, status: int = 200, **more: Any) -> HttpResponse:
        title = _("Who gets what, and why: %s") % flag.key
        return self.show(status=status, title=title, flag=flag, form=form, **more)


def _names(found: Explanation) -> dict[str, str]:
    """Names of all who are behind an answer, by their ids."""
    changes = [found.behind, *(each.behind for each in found.segments)]
    changes += [each.behind for each in found.prerequisites]
    people = {name for each in changes if each for name in (each.proposer, *each.approvers)}
    if found.kill:
        people |= {found.kill.killed_by, found.kill.reviewed_by} - {""}
    return display_names(people)
