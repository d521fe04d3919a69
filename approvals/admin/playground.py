"""The playground: what one context gets from many flags in several environments, now or at a moment of the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from approvals.admin.explain import ContextForm
from approvals.explain import Step, sentence_of, steps_of, unsigned
from approvals.past import configurations_at, segments_at
from approvals.resulting import Resulting
from countersign import evaluate
from countersign.result import Result
from flags.documents import segments_named
from flags.models import Environment, Flag, FlagConfiguration, Segment

FLAGS_A_PAGE = 50
# How many flags are evaluated to find those that differ.
COMPARED = 500


class PlaygroundForm(ContextForm):
    """For whom, which flags, where and when."""

    q = forms.CharField(
        label=_("Flags"), required=False, max_length=200, help_text=_("Part of a key or name. Empty: all.")
    )
    environments = forms.MultipleChoiceField(
        label=_("Environments"), required=False, widget=forms.CheckboxSelectMultiple
    )
    different = forms.BooleanField(label=_("Only flags whose answers differ"), required=False)
    at = forms.CharField(
        label=_("As it stood at"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=_("Empty: now."),
    )
    zone = forms.CharField(label=_("Zone"), required=False, max_length=64, initial="UTC")
    field_order = ("targeting_key", "attributes", "q", "environments", "different", "region", "at", "zone")
    page = forms.IntegerField(required=False, widget=forms.HiddenInput)
    why = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, environments: list[Environment], **kwargs: Any) -> None:
        super().__init__(*args, environments=environments, **kwargs)
        self.all = environments
        self.fields["environments"].choices = [(each.key, each.name) for each in environments]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("at"):
            try:
                zone = ZoneInfo(cleaned.get("zone") or "UTC")
                moment = datetime.fromisoformat(cleaned["at"])
                # In UTC at once, which the ends of the calendar have no room for.
                cleaned["moment"] = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
            except (KeyError, ValueError, OSError, OverflowError):
                self.add_error("at", _("Say when: a date, a time and a zone such as Europe/Berlin."))
                return cleaned
            if cleaned["moment"] > timezone.now():
                self.add_error("at", _("This is in the future; nobody knows what stands then."))
        return cleaned

    @property
    def chosen(self) -> list[Environment]:
        """The environments to ask, in order of promotion; all where none was chosen."""
        keys = set(self.cleaned_data["environments"]) or {each.key for each in self.all}
        return [each for each in self.all if each.key in keys]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a flag answers in one environment."""

    environment: Environment
    result: Result | None
    document: Mapping[str, Any] | None
    sentence: str

    @property
    def words(self) -> str:
        if self.result is None:
            return str(_("not configured"))
        return self.result.variant if self.result.variant is not None else str(_("caller's default"))

    @property
    def cause(self) -> str:
        """What decided: the rule's name, or the step."""
        if self.result is None:
            return ""
        return str(self.result.metadata.get("rule") or self.result.metadata.get("cause") or "")


@dataclass(frozen=True, slots=True)
class Row:
    """A flag with its answers."""

    flag: Flag
    answers: list[Answer]

    @property
    def differs(self) -> bool:
        return len({(each.words, each.result is None) for each in self.answers}) > 1


@dataclass(slots=True)
class Playground:
    """Answers for one context; at a moment of the past where one is given."""

    environments: Sequence[Environment]
    context: Mapping[str, Any]
    region: str | None
    moment: datetime | None
    _segments: dict[int, dict[str, Segment]] = field(default_factory=dict)

    def rows(self, flags: Sequence[Flag]) -> list[Row]:
        """A row a flag. A fixed number of queries for each environment and link of prerequisites."""
        by_environment = [self._answers(each, [flag.key for flag in flags]) for each in self.environments]
        return [Row(flag, [answers[flag.key] for answers in by_environment]) for flag in flags]

    def steps(self, answer: Answer) -> tuple[Step, ...]:
        """The way to an answer."""
        if answer.result is None or answer.document is None:
            return ()
        segments = self._segments[answer.environment.pk]
        return steps_of(answer.document, answer.result, self.context, segments)

    def _answers(self, environment: Environment, keys: Sequence[str]) -> dict[str, Answer]:
        if self.moment is None:
            rows = Resulting(environment.project).with_prerequisites(environment, keys)
        else:
            rows = configurations_at(environment, keys, self.moment)
        names = set().union(*(segments_named(row.document) for row in rows.values()))
        if self.moment is None:
            found = Segment.objects.filter(project_id=environment.project_id, key__in=names)
            segments = {each.key: each for each in found}
        else:
            segments = segments_at(environment, names, self.moment)
        self._segments[environment.pk] = segments
        snapshot = unsigned(environment, rows.values(), segments)
        return {key: self._answer(environment, rows.get(key), snapshot, key) for key in keys}

    def _answer(
        self, environment: Environment, row: FlagConfiguration | None, snapshot: Any, key: str
    ) -> Answer:
        if row is None:
            sentence = str(_("It is not configured there: callers get their default."))
            return Answer(environment, None, None, sentence)
        result = evaluate(snapshot, key, self.context, region=self.region)
        return Answer(environment, result, row.document, sentence_of(row.document, result))


class PlaygroundPage(Page):
    """Asks by POST, because a context is personal and addresses are logged. Nothing that is typed is kept."""

    template = "countersign/playground.html"
    title = _("Playground")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        # What a link asks for is no context: which flags.
        asked = {"q": request.GET.get("q", "")[:200]}
        return self._show(PlaygroundForm(environments=self._environments(), initial=asked))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = PlaygroundForm(request.POST, environments=self._environments())
        if not form.is_valid():
            return self._show(form, status=422)
        chosen = form.cleaned_data
        asked = Playground(form.chosen, form.context, chosen.get("region") or None, chosen.get("moment"))
        flags = Flag.objects.filter(project=self.project).order_by("key")
        if asked.moment is None:
            flags = flags.filter(archived=False)
        if text := chosen["q"].strip():
            flags = flags.filter(Q(key__icontains=text) | Q(name__icontains=text))
        if chosen["different"]:
            rows = [row for row in asked.rows(list(flags[:COMPARED])) if row.differs]
            return self._show(form, rows=rows, asked=asked, compared=min(COMPARED, flags.count()))
        page = Paginator(flags, FLAGS_A_PAGE).get_page(chosen.get("page") or 1)
        return self._show(form, rows=asked.rows(list(page.object_list)), asked=asked, answers_page=page)

    def _environments(self) -> list[Environment]:
        return list(self.project.environments.select_related("project"))

    def _show(
        self,
        form: PlaygroundForm,
        *,
        status: int = 200,
        rows: Sequence[Row] | None = None,
        asked: Playground | None = None,
        **more: Any,
    ) -> HttpResponse:
        why = None
        if asked is not None and rows:
            key, _colon, where = form.cleaned_data["why"].partition(":")
            for row in rows:
                for answer in row.answers:
                    if row.flag.key == key and answer.environment.key == where:
                        why = {"flag": row.flag, "answer": answer, "steps": asked.steps(answer)}
        return self.show(
            status=status,
            form=form,
            rows=rows,
            environments=asked.environments if asked else [],
            moment=asked.moment if asked else None,
            why=why,
            **more,
        )
