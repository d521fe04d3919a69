"""A flag's expectations: whether they hold, and changing them through the gate."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from access.admin.pages import holders
from approvals import drafting
from approvals.admin.asking import WhyForm, into_draft, place_error, read_json
from approvals.admin.once import change_once
from approvals.expectations import outcomes
from approvals.models import ChangeRequest, DraftEdit
from approvals.policy_document import Requirements
from approvals.resulting import Resulting
from approvals.workflow import BlockedError, ConflictError, InvalidError
from flags import wording
from flags.admin.flag_page import FlagTab
from flags.documents import MOST_EXPECTATIONS, Document
from flags.models import Environment, Expectations, Flag
from flags.subjects import Subject

CALLERS_DEFAULT = "-"


class ExpectationForm(forms.Form):
    """One expectation."""

    sentence = forms.CharField(
        label=_("In a sentence"), max_length=200, help_text=_("Such as: Customers in Germany have it.")
    )
    environment = forms.ChoiceField(label=_("Environment"))
    region = forms.ChoiceField(label=_("Region of the service"), required=False)
    context = forms.CharField(
        label=_("For whom (context as JSON)"),
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "class": "cs-code"}),
        help_text=_('Such as {"targetingKey": "customer-1", "country": "DE"}. It stays for good: no names.'),
    )
    variant = forms.ChoiceField(label=_("Is to get"))

    def __init__(self, *args: Any, flag: Flag, environments: list[Environment], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        regions = sorted({region for each in environments for region in each.regions})
        variants = [*flag.variants]
        # One that the flag had when this was written, and has no more.
        if (kept := self.initial.get("variant")) and kept not in (*variants, CALLERS_DEFAULT):
            variants.append(kept)
        choices: dict[str, list[tuple[str, Any]]] = {
            "environment": [(each.key, each.name) for each in environments],
            "region": [("", _("none")), *((region, region) for region in regions)],
            "variant": [*((name, name) for name in variants), (CALLERS_DEFAULT, _("the caller's default"))],
        }
        for name, options in choices.items():
            self.fields[name].choices = options  # type: ignore[attr-defined]

    def has_changed(self) -> bool:
        # The empty one at the end: its menus always send something.
        if self.empty_permitted:
            return any(self.data.get(self.add_prefix(name)) for name in ("sentence", "context"))
        return bool(super().has_changed())

    def clean_context(self) -> dict[str, Any]:
        value = read_json(self.cleaned_data["context"])
        if not isinstance(value, dict):
            raise forms.ValidationError(_("This must be a JSON object: { … }."))
        return value

    @property
    def entry(self) -> Document:
        given = self.cleaned_data
        entry = {
            name: given[name] for name in ("sentence", "environment", "region", "context") if given[name]
        }
        variant = given["variant"]
        return {"context": {}, **entry, "variant": None if variant == CALLERS_DEFAULT else variant}


class ExpectationsPage(FlagTab):
    """Shows what is expected of a flag, and asks for changes of it."""

    route = "expectations"
    template = "countersign/expectations.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag, row = self._find()
        document, base = (row.document, row.version) if row else ({"expectations": []}, 0)
        if edit := self._drafted(flag):
            document, base = edit.after, edit.base
        forms_shown = self._formset(flag, None, document["expectations"])
        return self._show(flag, forms_shown, WhyForm(needs=Requirements()), base)

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag, row = self._find()
        entries = self._formset(flag, request.POST, [])
        why = WhyForm(request.POST, needs=Requirements())
        sent = request.POST.get("base", "")
        base = int(sent) if sent.isdecimal() and len(sent) < 10 else 0
        if not entries.is_valid() or not why.is_valid():
            return self._show(flag, entries, why, base, 422)
        kept = [form for form in entries.forms if not form.empty_permitted or form.has_changed()]
        after = {"expectations": [form.entry for form in kept if not form.cleaned_data.get("DELETE")]}
        subject = str(Subject("expectations", self.project.key, flag.key))
        try:
            if why.goes_to_draft:
                back = reverse("admin:expectations", args=[project, key])
                return into_draft(self, subject, after, base, back, mark=request.POST.get("draft", ""))
            made = change_once(
                self.actor,
                self.project,
                [{"subject": subject, "after": after}],
                title=f"Expectations of {flag.key}"[:200],
                rationale=why.cleaned_data["rationale"],
                ticket=why.cleaned_data["ticket"],
                base={subject: base},
            )
        except ConflictError:
            seen = row.history.filter(version=base).first() if row else None
            conflict = {
                "effects": wording.expectation_effects(
                    flag.key, seen.document if seen else None, row.document if row else None
                ),
                "seen": base,
            }
            return self._show(flag, entries, why, row.version if row else 0, 409, conflict=conflict)
        except BlockedError as error:
            why.add_error(None, str(error))
            return self._show(flag, entries, why, base, 409)
        except InvalidError as error:
            if error.member.endswith(".after"):
                why.add_error(None, _("This is how it stands already; change something first."))
            else:
                place_error(why, error)
            return self._show(flag, entries, why, base, 422)
        if made.state == ChangeRequest.State.APPLIED:
            self.say(_("Saved (%s). Every change is held to them from now on.") % made.change_id)
            return self.go("expectations", key)
        self.say(_("%s waits for review. Nothing has changed yet.") % made.change_id)
        return self.go("request", made.number)

    def _drafted(self, flag: Flag) -> DraftEdit | None:
        return drafting.edit_of(
            self.actor, self.project, str(Subject("expectations", self.project.key, flag.key))
        )

    def _find(self) -> tuple[Flag, Expectations | None]:
        flag = self.find()
        return flag, Expectations.objects.filter(flag=flag).first()

    def _formset(self, flag: Flag, data: Any, entries: list[Document]) -> BaseFormSet[ExpectationForm]:
        kind = formset_factory(
            ExpectationForm,
            extra=1,
            can_delete=True,
            max_num=MOST_EXPECTATIONS,
            absolute_max=MOST_EXPECTATIONS + 1,
            validate_max=True,
        )
        initial = [
            {
                **entry,
                "context": json.dumps(entry["context"], ensure_ascii=False),
                "variant": CALLERS_DEFAULT if entry["variant"] is None else entry["variant"],
            }
            for entry in entries
        ]
        options = {"flag": flag, "environments": self.environments}
        made: BaseFormSet[ExpectationForm] = kind(data, initial=initial, form_kwargs=options, prefix="e")
        return made

    def _show(
        self,
        flag: Flag,
        entries: BaseFormSet[ExpectationForm],
        why: WhyForm,
        base: int,
        status: int = 200,
        **more: Any,
    ) -> HttpResponse:
        can_ask = self.holds("change.propose") and not flag.archived
        edit = self._drafted(flag)
        return self.show_tab(
            status=status,
            title=_("Expectations of %s") % flag.key,
            entries=entries,
            form=why,
            base=base,
            drafted="; ".join(wording.expectation_effects(flag.key, edit.before, edit.after)) if edit else "",
            draft_mark=drafting.mark_of(edit),
            outcomes=list(outcomes(Resulting(self.project), [flag.key])),
            can_ask=can_ask,
            helpers=[] if can_ask or flag.archived else holders(self.project, "change.propose"),
            **more,
        )
