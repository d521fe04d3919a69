"""The switch: what a flag does in one environment, changed through the gate; and the kill."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page, holders
from approvals import drafting, workflow
from approvals.admin.asking import (
    AT,
    BY_HAND,
    DRAFT_CHANGED,
    LARGEST_VERSION,
    SOON,
    AskForm,
    into_draft,
    place_error,
    read_json,
)
from approvals.admin.once import change_once
from approvals.admin.pending import open_by_subject
from approvals.merging import Member, three_way
from approvals.models import ChangeRequest
from approvals.policies import requirements, touched_flag
from approvals.workflow import BlockedError, ConflictError, Finding, InvalidError, StateError
from flags import personal, wording
from flags.admin import drafts
from flags.documents import Document
from flags.models import Environment, Flag, FlagConfiguration
from flags.subjects import Subject
from flags.templatetags.countersign import plain

ON, OFF = "on", "off"
KEEP, ALL, SPLIT = "keep", "all", "split"
# What telling a document in words may raise while somebody is still typing it.
_UNREADABLE = (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError)


class SwitchForm(AskForm):
    """State, share or whole document, with why and when. `document` counts where it was edited."""

    base = forms.IntegerField(min_value=0, max_value=LARGEST_VERSION, widget=forms.HiddenInput)
    next = forms.CharField(required=False, widget=forms.HiddenInput)
    # Of the draft's edit that the form starts from; empty: it starts from what stands there.
    draft = forms.CharField(required=False, widget=forms.HiddenInput)
    state = forms.ChoiceField(
        label=_("Switch"), choices=[(ON, _("On")), (OFF, _("Off"))], widget=forms.RadioSelect
    )
    serve = forms.ChoiceField(
        label=_("Who gets what"), required=False, widget=forms.RadioSelect, initial=KEEP
    )
    variant = forms.ChoiceField(label=_("Variant"), required=False)
    percent = forms.DecimalField(
        label=_("Percentage"), required=False, min_value=0, max_value=100, max_digits=6, decimal_places=3
    )
    rest = forms.ChoiceField(label=_("The others get"), required=False)
    document = forms.CharField(
        label=_("Document"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "class": "cs-code"}),
        help_text=_("The whole configuration. Where you edit it, it replaces the choices above."),
    )

    def __init__(
        self,
        *args: Any,
        flag: Flag,
        environment: Environment,
        shown: Document,
        stands: Document,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        # What the form starts from, and what stood there: the same, unless a draft has something else.
        self.flag, self.environment, self.shown, self.stands = flag, environment, shown, stands
        variants = [(name, name) for name in flag.variants]
        self.fields["variant"].choices = self.fields["rest"].choices = variants  # type: ignore[attr-defined]
        everyone = _("Everyone else") if shown.get("rules") or shown.get("targets") else _("Everyone")
        self.fields["serve"].choices = [  # type: ignore[attr-defined]
            (KEEP, _("As it is: %s") % plain(wording.share(shown["default"]))),
            (ALL, _("%s gets one variant") % everyone),
            (SPLIT, _("A percentage of %s") % str(everyone).lower()),
        ]

    def clean_document(self) -> Document | None:
        """The edited document; None where it is as it was shown."""
        text = self.cleaned_data["document"].strip()
        if not text:
            return None
        document = read_json(text)
        if not isinstance(document, dict):
            raise forms.ValidationError(_("This must be a JSON object: { … }."))
        return None if document == self.shown else document

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("serve") == SPLIT and "percent" in cleaned:
            if cleaned["percent"] is None:
                self.add_error("percent", _("Say how many of a hundred."))
            elif cleaned.get("variant") == cleaned.get("rest"):
                self.add_error("rest", _("Choose another variant for the others."))
        return cleaned

    @property
    def opening(self) -> Document:
        """The document that the form would make as it opens: a click on a switch means to switch it."""
        return drafts.switched(self.shown, self.initial["state"] == ON)

    @property
    def is_clear(self) -> bool:
        """Whether what was chosen makes a document, whatever else is missing."""
        return not set(self.errors) & {"state", "serve", "variant", "percent", "rest", "document"}

    @property
    def after(self) -> Document:
        """The document that would stand there; clear forms only."""
        chosen = self.cleaned_data
        if chosen["document"] is not None:
            return dict(chosen["document"])
        after = drafts.switched(self.shown, chosen["state"] == ON)
        if chosen["serve"] == ALL:
            return drafts.serving(after, chosen["variant"])
        if chosen["serve"] == SPLIT:
            percent: Decimal = chosen["percent"]
            return drafts.splitting(
                after, self.flag, self.environment, chosen["variant"], percent, chosen["rest"]
            )
        return after


class ConfigurationPage(Page):
    """A page about one flag in one environment."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.flag_key, self.environment_key = kwargs["key"], kwargs["environment"]
        return super().dispatch(request, *args, **kwargs)

    def find(self) -> None:
        """Load flag, environment and configuration. Raises Http404 for what does not exist here."""
        rows = Flag.objects.filter(project=self.project, key=self.flag_key).select_related("project", "owner")
        flag = rows.first()
        environment = (
            Environment.objects.filter(project=self.project, key=self.environment_key)
            .select_related("project")
            .first()
        )
        if flag is None or environment is None:
            raise Http404
        self.flag, self.environment = flag, environment
        self.configuration = FlagConfiguration.objects.filter(flag=flag, environment=environment).first()
        self.document: Document | None = self.configuration.document if self.configuration else None
        self.version: int = self.configuration.version if self.configuration else 0
        self.subject = Subject("configuration", self.project.key, flag.key, environment.key)
        self.edit = drafting.edit_of(self.actor, self.project, str(self.subject))

    @property
    def back(self) -> str:
        """Where one came from, if that is here; else the list of flags."""
        wanted = self.request.POST.get("next") or self.request.GET.get("next") or ""
        if url_has_allowed_host_and_scheme(wanted, {self.request.get_host()}, self.request.is_secure()):
            return wanted
        return reverse("admin:flag-list", args=[self.project.key])


class SwitchPage(ConfigurationPage):
    """Asks what should change, says in words what will happen, and hands it to the gate."""

    template = "countersign/switch.html"
    effect_template = "countersign/switch_effect.html"
    form_class: type[SwitchForm] = SwitchForm

    def get(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        self.find()
        return self._show(self._fresh())

    def _fresh(self) -> SwitchForm:
        """Starting from one's own draft, where it has this, else from what stands there."""
        stands = self._shown(self.document)
        if self.edit is None:
            return self._form(None, stands, stands)
        return self._form(None, self.edit.after, self._shown(self.edit.before))

    def post(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        self.find()
        base = request.POST.get("base", "")
        seen = self._document_at(int(base)) if base.isdecimal() and len(base) < 10 else None
        stands = self._shown(seen)
        started, is_gone = stands, False
        if mark := request.POST.get("draft"):
            is_gone = mark != drafting.mark_of(self.edit)
            started = self.edit.after if self.edit and not is_gone else stands
        form = self._form(request.POST, started, stands)
        if "preview" in request.POST:
            return self._preview(form)
        if not self.holds("change.propose"):
            return self._show(self._fresh(), 403)
        if is_gone:
            self.complain(DRAFT_CHANGED)
            return self.leave(request.get_full_path())
        if not form.is_valid():
            return self._show(form, 422)
        after = form.after
        try:
            if form.goes_to_draft:
                return into_draft(self, str(self.subject), after, form.cleaned_data["base"], self.back)
            made = change_once(
                self.actor,
                self.project,
                [{"subject": str(self.subject), "after": after}],
                title=self._title(form.stands, after),
                rationale=form.cleaned_data["rationale"],
                ticket=form.cleaned_data["ticket"],
                base={str(self.subject): form.cleaned_data["base"]},
                **form.timing,
            )
        except ConflictError:
            return self._conflict(request.POST, form)
        except BlockedError as error:
            form.add_error(None, str(error))
            return self._show(form, 409)
        except InvalidError as error:
            if error.member.endswith(".after"):
                form.add_error(None, _("This is what stands there already; choose something else."))
            else:
                place_error(form, error)
            return self._show(form, 422)
        return self._done(made)

    def _done(self, made: ChangeRequest) -> HttpResponse:
        if made.state == ChangeRequest.State.APPLIED:
            self.find()
            where = f"{self.environment.name}: {self.flag.key} {plain(wording.summary(self.document))}"
            self.say(_("Done (%(id)s). %(where)s.") % {"id": made.change_id, "where": where})
            return self.leave(self.back)
        if made.state == ChangeRequest.State.IN_REVIEW:
            self.say(_("%s waits for review. Nothing has changed yet.") % made.change_id)
        else:
            self.say(_("%s is ready. Nothing has changed yet.") % made.change_id)
        return self.leave(reverse("admin:request", args=[self.project.key, made.number]))

    def _conflict(self, posted: QueryDict, form: SwitchForm) -> HttpResponse:
        """Somebody was faster: show what they changed, keep what was typed, overwrite nothing."""
        self.find()
        data = posted.copy()
        data["base"], data["draft"] = str(self.version), ""
        now = self._shown(self.document)
        typed = form.cleaned_data["document"]
        members: list[Member] = []
        document = now if typed is None else typed
        if typed is not None:
            # What is no document cannot be put together with one: the gate will say where it is wrong.
            with suppress(*_UNREADABLE):
                # What both changed is as it was typed; else nobody would see what they asked for.
                members, document = three_way("configuration", form.stands, now, typed)
        if document != typed:
            data["document"] = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
        again = self._form(data, now, now)
        conflict = {
            "effects": wording.effects(self.environment.name, form.stands, now),
            "before": form.stands,
            "after": now,
            "members": [each.told for each in members],
            "collides": any(each.collides for each in members),
            "change_id": self.configuration.change_id if self.configuration else "",
            "seen": form.cleaned_data["base"],
        }
        return self._show(again, 409, conflict=conflict)

    def _preview(self, form: SwitchForm) -> HttpResponse:
        return self.show(self.effect_template, **self._effect(form))

    def _effect(self, form: SwitchForm) -> dict[str, Any]:
        """What would happen, in words, and the verb for the button; errors are shown by the form itself."""
        after: Document | None = form.opening
        when = SOON
        if form.is_bound:
            form.is_valid()
            # Why and when may still be missing while what would happen is clear.
            after = form.after if form.is_clear else None
            when = form.cleaned_data.get("when", SOON)
        if after is None:
            return {"effects": [], "button": self._verb(form, None, when)}
        try:
            effects = wording.effects(self.environment.name, form.stands, after)
        except _UNREADABLE:
            # A document that was typed may be anything; the gate will say where it is wrong.
            effects = [str(_("The document changes; it is checked when you ask."))]
        nothing = after == form.stands and self.document is not None
        return {
            "effects": [str(_("Nothing changes."))] if nothing else effects,
            "nothing": nothing,
            "addresses": personal.addresses_in([after], [str(form["rationale"].value() or "")]),
            "button": self._verb(form, after, when),
            "findings": [] if nothing else self._findings(form, after),
            "before": self.document,
            "after": after,
            "needs": form.needs,
        }

    def _findings(self, form: SwitchForm, after: Document) -> list[Finding]:
        """What the checks would say; policy and conflicts are told elsewhere in the dialog."""
        planned = form.cleaned_data.get("moment") if form.is_bound and form.is_valid() else None
        wanted = [{"subject": str(self.subject), "after": after}]
        return workflow.foresee(self.actor, self.project, wanted, planned)

    def _verb(self, form: SwitchForm, after: Document | None, when: str) -> str:
        if form.needs.approvals:
            return str(_("Ask for review"))
        if when == AT:
            return str(_("Schedule it"))
        if when == BY_HAND:
            return str(_("Prepare it"))
        if after is not None and wording.is_on(after) != wording.is_on(form.stands):
            return str(_("Turn on now") if wording.is_on(after) else _("Turn off now"))
        return str(_("Change it now"))

    def _title(self, before: Document, after: Document) -> str:
        name, where = self.flag.key, self.environment.name
        text = f"Change {name} in {where}"
        try:
            was, now = wording.rollout_share(before), wording.rollout_share(after)
            if wording.is_on(before) != wording.is_on(after):
                share = f" for {now[0]}" if now else ""
                text = f"Turn {name} {'on' if wording.is_on(after) else 'off'} in {where}{share}"
            elif now and now != was:
                text = f"{name} in {where}: {was[0] if was else 'everyone'} → {now[0]} {now[1]}"
        except _UNREADABLE:
            pass  # the gate says where the document is wrong
        return text[:200]

    def _form(self, data: QueryDict | None, shown: Document, stands: Document) -> SwitchForm:
        on = drafts.on_variant(self.flag)
        split = shown["default"].get("split", {}) if isinstance(shown.get("default"), dict) else {}
        weights = split.get("weights") or []
        rest = drafts.off_variant(self.flag) or on
        percent: Decimal | None = None
        if len(weights) == 2:
            on, rest = weights[0][0], weights[1][0]
            percent = Decimal(weights[0][1] * 100) / Decimal(weights[0][1] + weights[1][1])
        edit = self.edit
        initial = {
            "base": edit.base if edit else self.version,
            "draft": drafting.mark_of(edit),
            "next": self.request.GET.get("next", ""),
            # A click means to switch it; what is in the draft was switched there already.
            "state": ON if wording.is_on(shown) == bool(edit) else OFF,
            "serve": KEEP,
            "variant": on,
            "rest": rest,
            "percent": percent.normalize() if percent is not None else None,
            "document": json.dumps(shown, ensure_ascii=False, indent=2, sort_keys=True),
            "when": "soon",
            "zone": "UTC",
        }
        if "share" in self.request.GET:
            # "Change the percentage" opens the same dialog with the switch left on.
            initial |= {"state": ON, "serve": SPLIT}
        return self.form_class(
            data,
            flag=self.flag,
            environment=self.environment,
            shown=shown,
            stands=stands,
            needs=requirements(self.project, [self.environment], [touched_flag(self.flag, self.environment)]),
            initial=initial,
        )

    def _shown(self, document: Document | None) -> Document:
        return document if document is not None else drafts.starting_document(self.flag)

    def _document_at(self, version: int) -> Document | None:
        """The document that a version had, from history; now's where it is the current one."""
        if self.configuration is None or version == 0:
            return None
        if version == self.version:
            return self.document
        row = self.configuration.history.filter(version=version).first()
        return row.document if row else self.document

    def _show(self, form: SwitchForm, status: int = 200, **more: Any) -> HttpResponse:
        can_ask = self.holds("change.propose")
        pending = open_by_subject(self.project).get(str(self.subject), [])
        return self.show(
            status=status,
            title=_("%(flag)s in %(environment)s")
            % {"flag": self.flag.key, "environment": self.environment.name},
            form=form,
            flag=self.flag,
            here=self.environment,
            configuration=self.configuration,
            summary=wording.summary(self.document),
            is_on=wording.is_on(self.document),
            drafted=wording.summary(self.edit.after) if self.edit else "",
            is_killed=bool(self.document and self.document.get("killed")),
            pending=pending,
            can_ask=can_ask,
            can_kill=self.holds("flag.kill") and wording.is_on(self.document),
            helpers=[] if can_ask else holders(self.project, "change.propose"),
            reviewers=holders(self.project, "change.approve", self.actor.id) if form.needs.approvals else [],
            back=self.back,
            **self._effect(form),
            **more,
        )


class KillPage(ConfigurationPage):
    """Turning a flag off at once and without review, confirmed in words."""

    verb = "flag.kill"
    template = "countersign/kill.html"

    def get(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        self.find()
        off = (self.document or {}).get("off")
        return self.show(
            title=_("Kill %(flag)s in %(environment)s")
            % {"flag": self.flag.key, "environment": self.environment.name},
            flag=self.flag,
            here=self.environment,
            summary=wording.summary(self.document),
            off=off,
            back=self.back,
            can_be_killed=self.document is not None and not self.document.get("killed"),
        )

    def post(self, request: HttpRequest, project: str, key: str, environment: str) -> HttpResponse:
        self.find()
        was = plain(wording.summary(self.document))
        try:
            workflow.kill(self.actor, self.subject, self.project)
        except StateError as error:
            self.complain(error)
        else:
            self.say(
                _(
                    "%(flag)s is off for everyone in %(environment)s. Before that: %(was)s. "
                    "A reviewer owes this a look."
                )
                % {"flag": self.flag.key, "environment": self.environment.name, "was": was}
            )
        return self.leave(self.back)
