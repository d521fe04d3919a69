"""A person's draft, reviewed as a whole before anybody else is asked: what it does, what stands in its way."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from access.admin.pages import Page, holders
from access.permissions import ForbiddenError
from approvals import drafting, workflow
from approvals.admin.asking import AskForm, place_error
from approvals.admin.once import change_once
from approvals.drafting import Drafted
from approvals.effects import Effect, effects_of, extent, grouped, sentences_of
from approvals.models import ChangeRequest
from approvals.policy_document import Requirements
from approvals.workflow import BlockedError, ConflictError, InvalidError
from approvals.workflow.checks import invalid
from audit.jcs import digest
from flags import personal


class DraftForm(AskForm):
    """What the whole draft is called, why, and when."""

    title = forms.CharField(
        label=_("Title"), max_length=200, help_text=_("What reviewers see first, in lists and in the ledger.")
    )
    field_order = ("title", "rationale", "ticket")


class DraftPage(Page):
    """Shows one's own draft; takes edits out, brings them up to what stands now, and proposes it all at once."""

    verb = "change.propose"
    template = "countersign/draft.html"
    title = _("Your draft")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self._show()

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        subject = request.POST.get("subject", "")
        match request.POST.get("verb"):
            case "propose":
                return self._propose()
            case "discard":
                gone = drafting.discard(self.actor, self.project)
                told = ngettext("%d change is discarded.", "%d changes are discarded.", gone)
                self.say(told % gone)
                return self.go("flag-list")
            case "remove":
                drafting.discard(self.actor, self.project, [subject])
                self.say(_("Taken out of your draft."))
            case "mine":
                drafting.keep_mine(self.actor, self.project, subject)
                self.say(_("Your edit is for what stands now."))
            case _unknown:
                self.complain(_("Nothing was done: the page sent no verb that is known here."))
        return self.go("draft")

    def _propose(self) -> HttpResponse:
        everything = drafting.drafted(self.actor, self.project)
        asked = [each for each in everything if not each.stands_already]
        if not asked:
            self.complain(_("Your draft holds nothing to propose; what you proposed before is here."))
            return self.leave(f"{reverse('admin:request-list', args=[self.project.key])}?which=mine")
        form = DraftForm(self.request.POST, needs=self._needs(asked))
        if not form.is_valid():
            return self._show(form, 422)
        if self.request.POST.get("seen") != _seen(everything):
            form.add_error(
                None, _("Your draft changed since this page was shown. Look at it, then propose it.")
            )
            return self._show(form, 409)
        try:
            made = change_once(
                self.actor,
                self.project,
                [each.edit.operation for each in asked],
                title=form.cleaned_data["title"],
                rationale=form.cleaned_data["rationale"],
                ticket=form.cleaned_data["ticket"],
                base={each.edit.subject: each.edit.base for each in asked},
                **form.timing,
            )
        except (ConflictError, BlockedError, ForbiddenError) as error:
            form.add_error(None, str(error))
            return self._show(form, 409)
        except InvalidError as error:
            place_error(form, error, confirm_within="confirm_minutes", ends_at="ends")
            return self._show(form, 422)
        # What stands there already was left out, and is no draft any more either.
        drafting.discard(self.actor, self.project, [each.edit.subject for each in everything])
        if made.state == ChangeRequest.State.APPLIED:
            self.say(_("Done (%s).") % made.change_id)
        elif made.state == ChangeRequest.State.IN_REVIEW:
            self.say(_("%s waits for review. Nothing has changed yet.") % made.change_id)
        else:
            self.say(_("%s is ready. Nothing has changed yet.") % made.change_id)
        return self.leave(reverse("admin:request", args=[self.project.key, made.number]))

    def _needs(self, asked: list[Drafted]) -> Requirements:
        return workflow.needs_of(self.project, [each.operation for each in asked])

    def _show(self, form: DraftForm | None = None, status: int = 200) -> HttpResponse:
        everything = drafting.drafted(self.actor, self.project)
        asked = [each for each in everything if not each.stands_already]
        operations = [each.operation for each in asked]
        effects = effects_of({"operations": operations}, list(self.project.environments.all()))
        told = extent({"operations": operations}) if operations else ""
        needs = self._needs(asked)
        if form is None:
            form = DraftForm(needs=needs, initial={"title": f"Change {told}"[:200], "zone": "UTC"})
        fault = invalid(self.project, operations)
        findings = (
            [fault]
            if fault
            else workflow.foresee(self.actor, self.project, [each.edit.operation for each in asked])
        )
        by_subject = {each.edit.subject: each for each in everything}
        return self.show(
            status=status,
            is_draft=True,
            form=form,
            everything=everything,
            groups=grouped(effects),
            extent=told,
            standing=[each for each in everything if each.stands_already],
            behind=[
                self._behind(by_subject[each.text], each)
                for each in effects
                if by_subject[each.text].is_behind
            ],
            findings=findings,
            addresses=personal.addresses_in([each.edit.after for each in asked], []),
            reviewers=holders(self.project, "change.approve", self.actor.id) if needs.approvals else [],
            wants_discard="discard" in self.request.GET,
            seen=_seen(everything),
            button=_("Ask for review") if needs.approvals else _("Propose and apply"),
        )

    @staticmethod
    def _behind(found: Drafted, effect: Effect) -> dict[str, Any]:
        """What changed under an edit, by member and in words."""
        edit = found.edit
        return {
            "drafted": found,
            "effect": effect,
            "sentences": sentences_of(effect.subject, effect.place, edit.before, found.now.document),
            "members": [member.told for member in found.members],
        }


def _seen(everything: list[Drafted]) -> str:
    """By which a page is known to show the draft as it is."""
    return digest([[each.edit.subject, each.edit.base, each.edit.after] for each in everything])
