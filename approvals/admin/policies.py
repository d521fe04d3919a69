"""The policies of a project: which changes each matches and what they need; asking for other ones."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from access.admin.based import BasedForm
from access.admin.pages import Page
from access.admin.people import role_names
from access.models import Team
from approvals import workflow
from approvals.admin.asking import WhyForm, place_error
from approvals.models import ApprovalPolicy, ChangeRequest
from approvals.policies import FLOOR, Rules, touched_as
from approvals.policy_document import (
    LONGEST_HOURS,
    MOST_APPROVALS,
    Policy,
    Requirements,
    normal_policy,
    read_policy,
)
from approvals.workflow import ConflictError, GateError, InvalidError
from flags.models import Environment, Flag, validate_key
from flags.subjects import Subject

_SHARES = 3


def matching_in_words(policy: Policy, names: dict[str, str]) -> str:
    """`in Production, critical flags tagged payments`; `every change` for a policy that matches all."""
    parts = []
    if policy.environments:
        parts.append(f"in {', '.join(names.get(key, key) for key in sorted(policy.environments))}")
    flags = "critical flags" if policy.critical else "flags" if policy.kinds or policy.tags else ""
    if policy.kinds:
        flags += f" of kind {', '.join(sorted(policy.kinds))}"
    if policy.tags:
        flags += f" tagged {', '.join(sorted(policy.tags))}"
    if flags:
        parts.append(flags)
    return ", ".join(parts) or str(_("every change"))


class PolicyForm(BasedForm, WhyForm):
    """The members of a policy, and why it should be so."""

    name = forms.CharField(
        label=_("Name"), max_length=128, help_text=_("Requests say by this name who asks for what.")
    )
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
    critical = forms.BooleanField(label=_("Only for critical flags"), required=False)
    approvals = forms.IntegerField(
        label=_("Approvals"),
        min_value=0,
        max_value=MOST_APPROVALS,
        initial=1,
        help_text=_("By people other than the one who asks."),
    )
    ask_rationale = forms.BooleanField(label=_("Ask why"), required=False)
    ask_ticket = forms.BooleanField(label=_("Ask for a ticket"), required=False)
    ask_signature = forms.BooleanField(
        label=_("Ask for personal signatures"),
        required=False,
        help_text=_("Written down now; enforced once people have keys."),
    )
    served_environment = forms.ChoiceField(label=_("First on, unchanged, in"), required=False)
    served_hours = forms.IntegerField(
        label=_("for so many hours"), min_value=1, max_value=LONGEST_HOURS, required=False
    )
    access = forms.BooleanField(label=_("Also for giving and taking roles in this project"), required=False)
    on_call_may_revert = forms.BooleanField(
        label=_("On-call may revert a fresh change at once"),
        required=False,
        help_text=_("Exactly back to what stood before; it is reviewed afterwards."),
    )

    def __init__(self, *args: Any, project: Any, **kwargs: Any) -> None:
        environments = [(each.key, each.name) for each in project.environments.all()]
        whom = [
            ("", _("anybody who may review")),
            (_("Roles"), [(f"role:{key}", name) for key, name in role_names().items()]),
            (_("Teams"), [(f"team:{team.key}", team.name) for team in Team.objects.order_by("name")]),
        ]
        super().__init__(*args, needs=Requirements(), **kwargs)
        self.fields["environments"].choices = environments  # type: ignore[attr-defined]
        self.fields["served_environment"].choices = [("", _("nowhere")), *environments]  # type: ignore[attr-defined]
        for number in range(_SHARES):
            self.fields[f"share_count_{number}"] = forms.IntegerField(
                label=_("Of them, at least"), min_value=1, max_value=MOST_APPROVALS, required=False
            )
            self.fields[f"share_whom_{number}"] = forms.ChoiceField(
                label=_("from"), choices=whom, required=False
            )

    @property
    def shares(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """The pairs of fields that say how many approvals come from whom."""
        return [(self[f"share_count_{n}"], self[f"share_whom_{n}"]) for n in range(_SHARES)]

    def matching(self) -> list[forms.BoundField]:
        """The fields that say which changes it is about."""
        return [self[name] for name in ("environments", "kinds", "tags", "critical")]

    def asking(self) -> list[forms.BoundField]:
        """The fields that say what else is asked for."""
        return [self[name] for name in ("ask_rationale", "ask_ticket", "ask_signature")]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if bool(given.get("served_environment")) != bool(given.get("served_hours")):
            self.add_error("served_hours", _("Name both an environment and a number of hours, or neither."))
        return given

    def document(self) -> dict[str, Any]:
        """The policy that was typed; valid forms only."""
        given = self.cleaned_data
        shares = []
        for number in range(_SHARES):
            kind, _colon, key = given[f"share_whom_{number}"].partition(":")
            if key:
                shares.append({kind: key, "count": given[f"share_count_{number}"] or 1})
        document = {
            "name": given["name"],
            "environments": given["environments"],
            "kinds": given["kinds"],
            "tags": [tag.strip() for tag in given["tags"].split(",") if tag.strip()],
            "critical": given["critical"],
            "approvals": given["approvals"],
            "from": shares,
            "rationale": given["ask_rationale"],
            "ticket": given["ask_ticket"],
            "signature": given["ask_signature"],
            "access": given["access"],
            "on_call_may_revert": given["on_call_may_revert"],
        }
        if given["served_environment"]:
            document["served_in"] = {
                "environment": given["served_environment"],
                "hours": given["served_hours"],
            }
        return document

    @staticmethod
    def initial_of(document: dict[str, Any]) -> dict[str, Any]:
        """The form's initial values for a policy that stands."""
        served = document.get("served_in", {})
        shown = {
            **{name: document.get(name, []) for name in ("environments", "kinds")},
            **{name: document.get(name, False) for name in ("critical", "access", "on_call_may_revert")},
            **{f"ask_{name}": document.get(name, False) for name in ("rationale", "ticket", "signature")},
            "name": document["name"],
            "tags": ", ".join(document.get("tags", [])),
            "approvals": document.get("approvals", 0),
            "served_environment": served.get("environment", ""),
            "served_hours": served.get("hours"),
        }
        for number, share in enumerate(document.get("from", [])[:_SHARES]):
            kind = "team" if "team" in share else "role"
            shown[f"share_whom_{number}"] = f"{kind}:{share[kind]}"
            shown[f"share_count_{number}"] = share["count"]
        return shown


class NewPolicyForm(PolicyForm):
    """The same with the key."""

    key = forms.CharField(
        label=_("Key"), max_length=128, validators=[validate_key], help_text=_("In addresses; for good.")
    )


class WhatIfForm(forms.Form):
    """A change that somebody thinks of."""

    environment = forms.ChoiceField(label=_("In"))
    kind = forms.ChoiceField(label=_("A flag of the kind"), choices=Flag.Kind.choices)
    tags = forms.CharField(
        label=_("tagged"), required=False, max_length=500, help_text=_("Separated by commas.")
    )
    critical = forms.BooleanField(label=_("critical"), required=False)

    def __init__(self, *args: Any, environments: list[Environment], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["environment"].choices = [(each.key, each.name) for each in environments]  # type: ignore[attr-defined]

    def needs(self, rules: Rules, environments: list[Environment]) -> Requirements:
        """What it would need; valid forms only."""
        asked = self.cleaned_data
        where = next(each for each in environments if each.key == asked["environment"])
        tags = [tag for each in asked["tags"].split(",") if (tag := each.strip())]
        definition = {"kind": asked["kind"], "tags": tags, "critical": asked["critical"]}
        return rules.ask([where], [touched_as(definition, where.key, protected=where.protected)])


class PolicyListPage(Page):
    """All policies, and what together they make each environment ask for."""

    template = "countersign/policy_list.html"
    title = _("Policies")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        environments = list(self.project.environments.all())
        names = {each.key: each.name for each in environments}
        rules = Rules(self.project)
        what_if = WhatIfForm(request.GET if "environment" in request.GET else None, environments=environments)
        return self.show(
            what_if=what_if,
            would_need=what_if.needs(rules, environments) if what_if.is_valid() else None,
            floor=str(FLOOR),
            protected=[each.name for each in environments if each.protected],
            rows=[
                {
                    "key": key,
                    "policy": policy,
                    "matches": matching_in_words(policy, names),
                    "needs": str(policy.needs),
                }
                for key, policy in rules.policies.items()
            ],
            environments=[
                {"environment": each, "needs": str(needs), "asked_by": needs.asked_by}
                for each in environments
                for needs in [rules.ask([each])]
            ],
        )


class EditPolicyPage(Page):
    """Asks for a policy to be made, changed or taken away. It goes through the gate like any change."""

    verb = "policy.change"
    template = "countersign/policy_form.html"

    def get(self, request: HttpRequest, project: str, key: str = "") -> HttpResponse:
        row = self._find(key)
        if row is None:
            wanted = request.GET.getlist("environment")
            return self._show(None, NewPolicyForm(project=self.project, initial={"environments": wanted}))
        shown = {**PolicyForm.initial_of(row.document), "base": row.version}
        return self._show(row, PolicyForm(initial=shown, project=self.project))

    def post(self, request: HttpRequest, project: str, key: str = "") -> HttpResponse:
        row = self._find(key)
        kind = PolicyForm if row else NewPolicyForm
        form = kind(request.POST, project=self.project)
        if "remove" in request.POST and row is not None:
            form.full_clean()
            return self._ask(row, form, row.key, None)
        if not form.is_valid():
            return self._show(row, form, 422)
        return self._ask(row, form, row.key if row else form.cleaned_data["key"], form.document())

    def _ask(self, row: Any, form: PolicyForm, key: str, after: Any) -> HttpResponse:
        subject = str(Subject("policy", self.project.key, key))
        if row is not None and after is not None and normal_policy(after) == row.document:
            self.say(_("Nothing was changed: this is the policy that stands."))
            return self.go("policy-list")
        base = form.cleaned_data.get("base") if row else 0
        name = after["name"] if after else row.document["name"]
        verb = "Take away the policy" if after is None else "Change the policy" if row else "New policy"
        try:
            made = workflow.change(
                self.actor,
                self.project,
                [{"subject": subject, "after": after}],
                title=f"{verb} {name}",
                base={subject: base if base is not None else -1},
                rationale=form.cleaned_data.get("rationale", ""),
                ticket=form.cleaned_data.get("ticket", ""),
            )
        except ConflictError as error:
            if row is None:
                form.add_error("key", _("There is a policy with this key already."))
            else:
                form.add_error(None, str(error))
            return self._show(row, form, 409)
        except InvalidError as error:
            place_error(form, error)
            return self._show(row, form, 422)
        except GateError as error:
            self.complain(error)
            return self._show(row, form, 409)
        if made.state == ChangeRequest.State.APPLIED:
            self.say(_("Done. Open requests are held to it when they are applied."))
            return self.go("policy-list")
        self.say(
            _("%s asks for review: until it is approved, the policies stand as they are.") % made.change_id
        )
        return self.go("request", made.number)

    def _find(self, key: str) -> ApprovalPolicy | None:
        if not key:
            return None
        row: ApprovalPolicy | None = ApprovalPolicy.objects.filter(project=self.project, key=key).first()
        if row is None:
            raise Http404
        return row

    def _show(self, row: ApprovalPolicy | None, form: PolicyForm, status: int = 200) -> HttpResponse:
        reached: list[Environment] = list(self.project.environments.all())
        if row is not None:
            policy = read_policy(row.document)
            keys = policy.covers(each.key for each in reached)
            reached = [each for each in reached if each.key in keys]
        needs = Rules(self.project).ask(reached) if row is not None else None
        return self.show(
            status=status,
            title=_("Policy %s") % row if row else _("New policy"),
            row=row,
            form=form,
            reached=reached,
            needs=needs,
        )
