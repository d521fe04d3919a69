"""The list of flags with a switch per environment: the home of product managers.

A page costs the same number of queries for one flag and for ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.admin.saved_views import views_shown
from approvals import drafting
from approvals.admin.pending import Pending, open_by_subject
from approvals.policies import Rules, touched_flag
from approvals.policy_document import Requirements
from approvals.waiting import overdue_in
from approvals.workflow import GateError
from audit.actor import Actor
from flags import lifecycle, wording
from flags.admin import flag_bulk
from flags.admin.flag_search import SORTS, search
from flags.documents import Document
from flags.models import Environment, Flag, FlagConfiguration, Project, RolloutPlan
from flags.subjects import Subject

PAGE_SIZE = 50
# More environments than these are chosen from.
MOST_COLUMNS = 4
# In a sentence, so many rules are told; the others are counted.
MOST_RULES = 3


@dataclass(slots=True)
class Cell:
    """A flag in one environment, as its switch shows it."""

    flag: Flag
    environment: Environment
    needs: Requirements
    configuration: FlagConfiguration | None = None
    pending: list[Pending] = field(default_factory=list)
    plan: RolloutPlan | None = None
    # What it is in the draft of whoever looks.
    drafted: Document | None = None

    @property
    def subject(self) -> Subject:
        return Subject("configuration", self.flag.project.key, self.flag.key, self.environment.key)

    @property
    def drafted_state(self) -> str:
        """Of the draft; empty where it has nothing of this."""
        if self.drafted is None:
            return ""
        share = wording.rollout_share(self.drafted)
        if not wording.is_on(self.drafted):
            return str(_("off"))
        return str(_("on for %s") % share[0]) if share else str(_("on"))

    @property
    def document(self) -> Document | None:
        return self.configuration.document if self.configuration else None

    @property
    def is_on(self) -> bool:
        return wording.is_on(self.document)

    @property
    def is_killed(self) -> bool:
        return bool(self.document and self.document.get("killed"))

    @property
    def share(self) -> str:
        """`25 %` where the default splits."""
        found = wording.rollout_share(self.document) if self.is_on else None
        return found[0] if found else ""

    @property
    def rules(self) -> int:
        return len((self.document or {}).get("rules", ())) if self.is_on else 0

    @property
    def summary(self) -> str:
        """What is served to whom, in a sentence; of many rules, the first ones."""
        if self.flag.archived:
            return str(_("archived: callers get their own default"))
        return wording.summary(self.document, most=MOST_RULES)

    @property
    def state(self) -> str:
        """In words, without markup."""
        if self.is_killed:
            return str(_("killed"))
        if self.document is None:
            return str(_("not configured"))
        if self.is_on and self.share:
            return str(_("on for %s") % self.share)
        return str(_("on") if self.is_on else _("off"))

    @property
    def shown_state(self) -> str:
        """Beside the switch, in a word."""
        if self.is_killed:
            return str(_("Killed"))
        if self.document is None:
            return str(_("Not set"))
        return self.share or str(_("On") if self.is_on else _("Off"))

    @property
    def label(self) -> str:
        """The switch's accessible name: `checkout-revamp in Production, on, needs review`."""
        parts = [f"{self.flag.key} in {self.environment.name}", self.state]
        if self.needs.approvals:
            parts.append(str(_("needs review")))
        if self.pending:
            parts.append(str(_("change requested")))
        if self.drafted is not None:
            parts.append(str(_("in your draft: %s") % self.drafted_state))
        if self.plan:
            parts.append(f"{_('rollout plan')} {self.plan.get_state_display().lower()}")
        return ", ".join(parts)


@dataclass(slots=True)
class Row:
    """A flag with its cells, in order of promotion."""

    flag: Flag
    cells: list[Cell]
    is_stale: bool
    is_expired: bool
    pending: list[Pending]


def cells_of(
    project: Project,
    flags: Iterable[Flag],
    environments: Iterable[Environment],
    pending: Mapping[str, list[Pending]],
) -> dict[int, list[Cell]]:
    """Per flag (primary key), a cell per environment. A fixed number of queries, however many there are."""
    flags, environments = list(flags), list(environments)
    rules = Rules(project)
    configurations = {
        (row.flag_id, row.environment_id): row for row in FlagConfiguration.objects.filter(flag__in=flags)
    }
    plans = {
        (plan.flag_id, plan.environment_id): plan
        for plan in RolloutPlan.objects.filter(flag__in=flags, state__in=RolloutPlan.UNFINISHED).order_by(
            "pk"
        )
    }
    return {
        flag.pk: [
            Cell(
                flag,
                environment,
                rules.ask([environment], [touched_flag(flag, environment)]),
                configurations.get((flag.pk, environment.pk)),
                pending.get(str(Subject("configuration", project.key, flag.key, environment.key)), []),
                plans.get((flag.pk, environment.pk)),
            )
            for environment in environments
        ]
        for flag in flags
    }


def mark_drafted(actor: Actor, project: Project, cells: Iterable[Cell]) -> None:
    """Say of each cell what it is in the actor's draft. One query."""
    by_subject = {str(cell.subject): cell for cell in cells}
    mine = drafting.edits_of(actor, project).filter(subject__in=list(by_subject))
    for subject, after in mine.values_list("subject", "after"):
        by_subject[subject].drafted = after


class FlagListPage(Page):
    """Flags of a project: search, facets, 50 a page; and edits of many of them, into one's own draft."""

    template = "countersign/flag_list.html"
    title = _("Flags")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        environments = list(self.project.environments.all())
        pending = open_by_subject(self.project)
        found = search(self.project, request.GET, environments, pending)
        page = Paginator(found.keys, PAGE_SIZE).get_page(request.GET.get("page"))
        columns = _columns(environments, request.GET.getlist("column"))
        rows = self._rows(list(page.object_list), columns, pending)
        return self.show(
            page=page,
            rows=rows,
            found=found,
            columns=columns,
            environments=environments,
            can_choose_columns=len(environments) > MOST_COLUMNS,
            sorts=SORTS.items(),
            overdue=overdue_in(self.project).count(),
            **views_shown(self, "flags"),
        )

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        """Edit what was ticked, into the draft."""
        try:
            told = flag_bulk.edit(
                self.actor,
                self.project,
                request.POST.getlist("flag"),
                request.POST.get("what", ""),
                request.POST.get("tag", ""),
            )
        except (GateError, flag_bulk.BulkError) as error:
            self.complain(error)
        else:
            self.say(told)
        return self.leave(request.get_full_path())

    def _rows(
        self, keys: list[int], environments: list[Environment], pending: Mapping[str, list[Pending]]
    ) -> list[Row]:
        now = timezone.now()
        by_key = {row.pk: row for row in Flag.objects.filter(pk__in=keys).select_related("project", "owner")}
        flags = [by_key[key] for key in keys if key in by_key]
        cells = cells_of(self.project, flags, environments, pending)
        mark_drafted(self.actor, self.project, [cell for each in cells.values() for cell in each])
        stale = set(lifecycle.stale(now).filter(pk__in=keys).values_list("pk", flat=True))
        return [
            Row(
                flag,
                cells[flag.pk],
                flag.pk in stale,
                flag.expires_at is not None and flag.expires_at <= now,
                pending.get(str(flag.subject), []),
            )
            for flag in flags
        ]


def _columns(environments: list[Environment], chosen: list[str]) -> list[Environment]:
    """Those to show: all where they are few, else the chosen ones, else the last in order of promotion."""
    if len(environments) <= MOST_COLUMNS:
        return environments
    return [each for each in environments if each.key in chosen] or environments[-MOST_COLUMNS:]
