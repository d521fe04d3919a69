"""Pages that say what a way would do before it is asked for: back, on to the next environment, to sleep, away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from access.admin.pages import Page
from approvals import archive, drafting, hibernation, promotion, rollback, workflow
from approvals.admin import inbox
from approvals.admin.asking import WhyForm, into_draft, place_error
from approvals.effects import sentences_of
from approvals.models import ChangeRequest
from approvals.policies import requirements
from approvals.workflow import GateError, InvalidError, StateError
from approvals.workflow.request import same
from approvals.workflow.standing import standings
from audit.models import Event
from flags.admin import drafts
from flags.documents import Document, environments_using
from flags.models import Environment, Flag
from flags.subjects import Subject


class BasedWhyForm(WhyForm):
    """Why, with the version that the page showed."""

    base = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class HibernateForm(WhyForm):
    """What is pinned, until when, and what is planned then."""

    variant = forms.ChoiceField(
        label=_("Everyone gets"), help_text=_("Wherever the flag is on. Where it is off it stays off.")
    )
    wakes = forms.DateField(
        label=_("Wake it on"),
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("At 00:00 UTC; its owner is told, nothing changes by itself."),
    )
    plan = forms.CharField(
        label=_("What is planned then"),
        required=False,
        max_length=4_000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    field_order = ("variant", "wakes", "plan", "rationale", "ticket")

    def __init__(self, *args: Any, variants: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["variant"].choices = [(name, name) for name in variants]  # type: ignore[attr-defined]

    @property
    def wake_at(self) -> datetime:
        return datetime.combine(self.cleaned_data["wakes"], datetime.min.time(), UTC)


@dataclass(slots=True)
class Way:
    """What a page says: a heading and sentences in parts, documents before and after, and the button."""

    title: Any
    lead: Any
    button: Any
    back: str
    # `(heading, sentences)`, of which empty ones are not shown.
    parts: list[tuple[Any, Iterable[str]]] = field(default_factory=list)
    # `(what, before, after)`.
    documents: list[tuple[str, Any, Any]] = field(default_factory=list)
    # Why it cannot be asked for, a sentence each.
    obstacles: Iterable[str] = ()
    is_danger: bool = False
    # What on-call may do instead, without a new review; empty: there is no such way.
    at_once: Any = ""
    # `(subject, document)`, where it is one operation, which a draft can take.
    operation: tuple[str, Document] | None = None
    # Why there is none, for whoever could otherwise.
    why_not_at_once: str = ""


class WayPage(Page):
    """Shows a way and asks for it. Subclasses say what it is, with which form, and which verb it calls."""

    verb = "change.propose"
    template = "countersign/way.html"

    def way(self) -> Way:
        """What would be asked for. Raises Http404, or `StateError` where there is no such way."""
        raise NotImplementedError

    def environments(self) -> Iterable[Environment]:
        """Those whose policies say what is asked of the one who asks."""
        return []

    def form(self, data: Any = None) -> WhyForm:
        return WhyForm(data, needs=requirements(self.project, self.environments()))

    def ask(self, form: WhyForm, why: dict[str, str]) -> ChangeRequest:
        """Call the verb; valid forms only."""
        raise NotImplementedError

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return self._show()

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            way = self.way()
        except StateError as error:
            self.complain(error)
            return self.leave(self.home)
        form = self.form(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        why = {name: form.cleaned_data[name] for name in ("rationale", "ticket")}
        try:
            if form.goes_to_draft and way.operation and not way.obstacles:
                subject, after = way.operation
                mark = request.POST.get("draft", "")
                return into_draft(self, subject, after, form.cleaned_data["base"], way.back, mark=mark)
            made = self.ask(form, why)
        except InvalidError as error:
            place_error(form, error)
            return self._show(form, 422)
        except GateError as error:
            form.add_error(None, str(error))
            return self._show(form, 409)
        if made.state == ChangeRequest.State.APPLIED:
            self.say(_("Done (%s).") % made.change_id)
        else:
            self.say(_("%s waits for review. Nothing has changed yet.") % made.change_id)
        return self.leave(reverse("admin:request", args=[self.project.key, made.number]))

    @property
    def home(self) -> str:
        """Where one goes where there is no such way."""
        return reverse("admin:request-list", args=[self.project.key])

    def _show(self, form: WhyForm | None = None, status: int = 200) -> HttpResponse:
        try:
            way = self.way()
        except StateError as error:
            self.complain(error)
            return self.leave(self.home)
        edit = way.operation and drafting.edit_of(self.actor, self.project, way.operation[0])
        return self.show(
            status=status,
            title=way.title,
            way=way,
            form=form or self.form(),
            draft_mark=drafting.mark_of(edit or None),
            drafted=_("another change of it; adding this one takes its place.") if edit else "",
        )


class RevertPage(WayPage):
    """Taking back what a request did."""

    @property
    def row(self) -> ChangeRequest:
        return inbox.find(self, self.kwargs["number"])

    def environments(self) -> Iterable[Environment]:
        return self.row.environments.select_related("project")

    def form(self, data: Any = None) -> WhyForm:
        needs = requirements(self.project, self.environments())
        return WhyForm(data, needs=needs, initial={"ticket": self.row.ticket})

    def way(self) -> Way:
        row = self.row
        inverse = rollback.inverse_of(row)
        environments = {each.key: each.name for each in self.project.environments.all()}
        documents: list[tuple[str, Any, Any]] = []
        said: list[str] = []
        after_by_subject = {each["subject"]: each["after"] for each in inverse.operations}
        standing = standings(self.project, after_by_subject)
        for text, after in after_by_subject.items():
            subject, now = Subject.parse(text), standing[text].document
            place = environments.get(subject.environment, subject.environment)
            said += sentences_of(subject, place, now, after)
            documents.append((f"{subject.key} {place}".strip(), now, after))
        return Way(
            _("Revert %s") % row.change_id,
            _("What stood before %s is asked for again, exactly.") % row.change_id,
            _("Ask for the revert"),
            reverse("admin:request", args=[self.project.key, row.number]),
            [(_("What it will do"), said), (_("What stays"), inverse.stays)],
            documents,
            inverse.obstacles or (() if inverse.operations else inverse.stays),
        )

    def ask(self, form: WhyForm, why: dict[str, str]) -> ChangeRequest:
        return rollback.propose_revert(self.actor, self.row, **why)


class RestorePage(WayPage):
    """Bringing back an earlier version."""

    def _event(self, event: UUID) -> tuple[Event, Subject]:
        row = Event.objects.filter(pk=event, project=self.project.key).first()
        try:
            return row, Subject.parse(row.subject)  # type: ignore[union-attr, return-value]
        except (AttributeError, ValueError) as error:
            raise Http404 from error

    def environments(self) -> Iterable[Environment]:
        _event, subject = self._event(self.kwargs["event"])
        rows = Environment.objects.filter(project=self.project).select_related("project")
        if subject.kind == "configuration":
            return rows.filter(key=subject.environment)
        return environments_using(subject.key, self.project.pk) if subject.kind == "segment" else []

    def form(self, data: Any = None) -> WhyForm:
        _event, subject = self._event(self.kwargs["event"])
        version = standings(self.project, [str(subject)])[str(subject)].version
        return BasedWhyForm(
            data, needs=requirements(self.project, self.environments()), initial={"base": version}
        )

    def way(self) -> Way:
        event, subject = self._event(self.kwargs["event"])
        now = standings(self.project, [str(subject)])[str(subject)].document
        after = rollback.version_put_by(event)
        place = next((each.name for each in self.environments()), "") if subject.environment else ""
        is_same = now is not None and same(now, after)
        may_at_once = self.holds("flag.kill")
        why_not = workflow.why_not_restored_at_once(self.project, event) if may_at_once else ""
        name, key = ("segment", subject.key) if subject.kind == "segment" else ("flag", subject.key)
        return Way(
            _("Restore %s") % " ".join(filter(None, (subject.key, place))),
            _("The version of %s is asked for again.") % f"{event.time.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            _("Ask for this version"),
            reverse(f"admin:{name}", args=[self.project.key, key]),
            [(_("What it will do"), sentences_of(subject, place, now, after))],
            [(subject.key, now, after)],
            [str(_("This is what stands there already."))] if is_same else (),
            at_once=_(
                "What came after it is taken back by the ways that its reviewers approved, and served within a "
                "second. It is possible for 24 hours; a reviewer looks at it afterwards."
            )
            if may_at_once and not why_not
            else "",
            why_not_at_once=why_not,
        )

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if "at-once" not in request.POST:
            return super().post(request, **kwargs)
        event, subject = self._event(kwargs["event"])
        base = request.POST.get("base", "")
        try:
            seen = {str(subject): int(base)} if base.isdecimal() and len(base) < 10 else {}
            debts = workflow.restore_at_once(self.actor, self.project, event, base=seen)
        except GateError as error:
            self.complain(error)
            return self._show(status=409)
        self.say(
            ngettext(
                "Restored. A reviewer looks at %d change that was taken back.",
                "Restored. A reviewer looks at %d changes that were taken back.",
                len(debts),
            )
            % len(debts)
        )
        return self.leave(self.way().back)

    def ask(self, form: WhyForm, why: dict[str, str]) -> ChangeRequest:
        event, subject = self._event(self.kwargs["event"])
        base = {str(subject): form.cleaned_data["base"]}
        return rollback.propose_restore(self.actor, self.project, event, base=base, **why)


class FlagWayPage(WayPage):
    """A way of one flag."""

    @property
    def flag(self) -> Flag:
        rows = Flag.objects.filter(project=self.project, key=self.kwargs["key"])
        row: Flag | None = rows.select_related("project", "owner").first()
        if row is None:
            raise Http404
        return row

    @property
    def home(self) -> str:
        return reverse("admin:flag", args=[self.project.key, self.kwargs["key"]])

    def environments(self) -> Iterable[Environment]:
        return Environment.objects.filter(configurations__flag=self.flag).select_related("project")


class PromotePage(FlagWayPage):
    """On to the next environment."""

    @property
    def source(self) -> Environment:
        rows = Environment.objects.filter(project=self.project, key=self.kwargs["environment"])
        row: Environment | None = rows.select_related("project").first()
        if row is None:
            raise Http404
        return row

    def environments(self) -> Iterable[Environment]:
        return [self._promotion.target]

    @property
    def _promotion(self) -> promotion.Promotion:
        return promotion.promotion_of(self.flag, self.source)

    def form(self, data: Any = None) -> WhyForm:
        needs = requirements(self.project, self.environments())
        return BasedWhyForm(data, needs=needs, initial={"base": self._promotion.version})

    def way(self) -> Way:
        found = self._promotion
        return Way(
            _("Promote %(flag)s to %(where)s") % {"flag": found.flag.key, "where": found.target.name},
            _("What it does in %(here)s is asked for in %(there)s.")
            % {"here": found.source.name, "there": found.target.name},
            _("Ask for the promotion"),
            self.home,
            [
                (_("What it will do"), found.effects),
                (_("What travels"), found.travels),
                (_("What does not, or means something else there"), found.stays),
            ],
            [(found.target.name, found.before, found.after)],
            found.blockers,
            operation=(found.subject, found.after),
        )

    def ask(self, form: WhyForm, why: dict[str, str]) -> ChangeRequest:
        found = self._promotion
        base = {found.subject: form.cleaned_data["base"]}
        return promotion.promote(self.actor, found.flag, found.source, found.target, base=base, **why)


class ArchivePage(FlagWayPage):
    """Away from lists and snapshots, and back."""

    def way(self) -> Way:
        flag = self.flag
        if flag.archived:
            return Way(
                _("Restore %s from the archive") % flag.key,
                _("It comes back off everywhere, in lists and snapshots again; without expectations."),
                _("Ask for it back"),
                self.home,
            )
        return Way(
            _("Archive %s") % flag.key,
            _(
                "It leaves lists and snapshots: whoever still asks for it gets their own default. "
                "Its history stays, and it can be restored."
            ),
            _("Ask to archive it"),
            self.home,
            [
                (
                    _("Expectations that end with it"),
                    [each["sentence"] for each in row.document["expectations"]],
                )
                for row in archive.expectations_of(flag)
            ],
            obstacles=archive.why_not(flag),
            is_danger=True,
        )

    def ask(self, form: WhyForm, why: dict[str, str]) -> ChangeRequest:
        flag = self.flag
        verb = archive.unarchive if flag.archived else archive.archive
        return verb(self.actor, flag, **why)


class HibernatePage(FlagWayPage):
    """To sleep with one variant for everyone, and awake again."""

    def form(self, data: Any = None) -> WhyForm:
        flag, needs = self.flag, requirements(self.project, self.environments())
        if flag.hibernation:
            return WhyForm(data, needs=needs)
        wakes = (timezone.now() + timedelta(days=30)).date()
        initial = {"variant": drafts.off_variant(flag), "wakes": wakes}
        return HibernateForm(data, needs=needs, variants=flag.variants, initial=initial)

    def way(self) -> Way:
        flag = self.flag
        if flag.hibernation:
            waking = hibernation.waking_of(flag)
            return self._described(
                Way(
                    _("Wake %s") % flag.key,
                    _("What stood before it hibernated is asked for again."),
                    _("Ask to wake it"),
                    self.home,
                    [(_("What stays"), waking.stays)],
                ),
                waking.operations,
            )
        rows = hibernation.where_on(flag)
        where = ", ".join(row.environment.name for row in rows)
        obstacles = []
        if not rows:
            obstacles.append(str(_("It is on nowhere, so there is nothing to pin; archive it instead.")))
        if flag.owner_id is None:
            obstacles.append(str(_("It has no owner who could be told to wake it; edit its details first.")))
        return Way(
            _("Hibernate %s") % flag.key,
            _("Everyone gets one variant in %s until it wakes; then what stands now comes back.") % where
            if where
            else _("What it serves is pinned until it wakes."),
            _("Ask to pin it"),
            self.home,
            obstacles=obstacles,
        )

    def _described(self, way: Way, operations: Iterable[dict[str, Any]]) -> Way:
        names = {each.key: each.name for each in self.project.environments.all()}
        operations = list(operations)
        standing = standings(self.project, [each["subject"] for each in operations])
        said: list[str] = []
        for each in operations:
            subject = Subject.parse(each["subject"])
            now: Document | None = standing[each["subject"]].document
            place = names.get(subject.environment, "")
            if subject.kind == "configuration":
                said += sentences_of(subject, place, now, each["after"])
            way.documents.append((place or str(_("Definition")), now, each["after"]))
        way.parts.insert(0, (_("What it will do"), said))
        return way

    def ask(self, form: WhyForm, why: dict[str, str]) -> ChangeRequest:
        flag = self.flag
        if not isinstance(form, HibernateForm):
            return hibernation.wake(self.actor, flag, **why)
        given = form.cleaned_data
        return hibernation.hibernate(
            self.actor, flag, given["variant"], form.wake_at, plan=given["plan"], **why
        )


class KillEverywherePage(Page):
    """Turning a flag off at once in every environment, confirmed in words."""

    verb = "flag.kill"
    template = "countersign/kill_everywhere.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = self._flag(key)
        rows = flag.configurations.select_related("environment").order_by("environment__position")
        return self.show(
            title=_("Kill %s everywhere") % flag.key,
            flag=flag,
            where=[row for row in rows if not row.document.get("killed")],
        )

    def post(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = self._flag(key)
        try:
            made = workflow.kill_everywhere(self.actor, flag)
        except StateError as error:
            self.complain(error)
        else:
            self.say(
                _("%(flag)s is off for everyone in %(n)s environments. A reviewer owes each a look.")
                % {"flag": flag.key, "n": len(made)}
            )
        return self.leave(reverse("admin:flag", args=[self.project.key, flag.key]))

    def _flag(self, key: str) -> Flag:
        flag: Flag | None = (
            Flag.objects.filter(project=self.project, key=key).select_related("project").first()
        )
        if flag is None:
            raise Http404
        return flag
