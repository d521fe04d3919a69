"""The list of flags with a switch per environment: the home of product managers.

A page costs the same number of queries for one flag and for ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.core.paginator import Paginator
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from access.admin.saved_views import views_shown
from access.models import User
from approvals.admin.pending import Pending, open_by_subject
from approvals.policies import Rules, requirements_of, touched_flag
from approvals.policy_document import Requirements
from approvals.waiting import overdue_in
from flags import lifecycle, wording
from flags.documents import Document
from flags.models import Environment, Flag, FlagConfiguration, Project, RolloutPlan
from flags.subjects import Subject

PAGE_SIZE = 50


@dataclass(slots=True)
class Cell:
    """A flag in one environment, as its switch shows it."""

    flag: Flag
    environment: Environment
    needs: Requirements
    configuration: FlagConfiguration | None = None
    pending: list[Pending] = field(default_factory=list)
    plan: RolloutPlan | None = None

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
        return wording.summary(self.document)

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
    def label(self) -> str:
        """The switch's accessible name: `checkout-revamp in Production, on, needs review`."""
        parts = [f"{self.flag.key} in {self.environment.name}", self.state]
        if self.needs.approvals:
            parts.append(str(_("needs review")))
        if self.pending:
            parts.append(str(_("change requested")))
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


class FlagListPage(Page):
    """Flags of a project: search, filters, 50 a page."""

    template = "countersign/flag_list.html"
    title = _("Flags")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        environments = list(self.project.environments.all())
        flags, filtered = self._filtered(environments)
        page = Paginator(flags, PAGE_SIZE).get_page(request.GET.get("page"))
        rows = self._rows(list(page.object_list), environments)
        owners = User.objects.filter(owned_flags__project=self.project).distinct().order_by("username")
        return self.show(
            page=page,
            rows=rows,
            environments=environments,
            needs=requirements_of(environments) if not rows else {},
            is_filtered=filtered,
            kinds=Flag.Kind.choices,
            owners=[(user.pseudonym, str(user)) for user in owners],
            states=_states(environments),
            overdue=overdue_in(self.project).count(),
            **views_shown(self, "flags"),
        )

    def _rows(self, flags: list[Flag], environments: list[Environment]) -> list[Row]:
        now = timezone.now()
        pending = open_by_subject(self.project)
        cells = cells_of(self.project, flags, environments, pending)
        stale = set(
            lifecycle.stale(now).filter(pk__in=[flag.pk for flag in flags]).values_list("pk", flat=True)
        )
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

    def _filtered(self, environments: list[Environment]) -> tuple[QuerySet[Flag], bool]:
        flags: QuerySet[Flag] = Flag.objects.filter(project=self.project).select_related("project", "owner")
        asked = self.request.GET
        filtered = False
        flags = flags.filter(archived=asked.get("state") == "archived")
        if text := asked.get("q", "").strip()[:200]:
            filtered = True
            flags = flags.annotate(tag_text=Cast("tags", CharField())).filter(
                Q(key__icontains=text)
                | Q(name__icontains=text)
                | Q(team__icontains=text)
                | Q(tag_text__icontains=text)
            )
        if (kind := asked.get("kind")) in Flag.Kind.values:
            filtered, flags = True, flags.filter(kind=kind)
        if owner := asked.get("owner"):
            filtered, flags = True, flags.filter(owner__pseudonym=owner)
        if state := asked.get("state"):
            filtered, flags = True, self._in_state(flags, state, {each.key: each for each in environments})
        return flags.order_by("key"), filtered

    def _in_state(
        self, flags: QuerySet[Flag], state: str, environments: Mapping[str, Environment]
    ) -> QuerySet[Flag]:
        here = FlagConfiguration.objects.filter(flag=OuterRef("pk"))
        verb, _colon, key = state.partition(":")
        match verb:
            case "on" if key in environments:
                on = here.filter(environment=environments[key], document__enabled=True)
                killed = here.filter(environment=environments[key], document__killed=True)
                return flags.filter(Exists(on), ~Exists(killed))
            case "off" if key in environments:
                on = here.filter(environment=environments[key], document__enabled=True)
                killed = here.filter(environment=environments[key], document__killed=True)
                return flags.filter(~Exists(on) | Exists(killed))
            case "killed":
                return flags.filter(Exists(here.filter(document__killed=True)))
            case "pending":
                subjects = [Subject.parse(text) for text in open_by_subject(self.project)]
                return flags.filter(key__in={each.key for each in subjects if each.kind != "segment"})
            case "rollout":
                return flags.filter(
                    Exists(RolloutPlan.objects.filter(flag=OuterRef("pk"), state__in=RolloutPlan.UNFINISHED))
                )
            case "stale":
                return flags.filter(pk__in=lifecycle.stale(timezone.now()).values("pk"))
            case "hibernating":
                return flags.exclude(hibernation={})
            case "expired":
                return flags.filter(expires_at__lte=timezone.now())
        return flags


def _states(environments: Iterable[Environment]) -> list[tuple[str, str]]:
    found = []
    for environment in environments:
        found += [
            (f"on:{environment.key}", str(_("on in %s") % environment.name)),
            (f"off:{environment.key}", str(_("off in %s") % environment.name)),
        ]
    return [
        *found,
        ("pending", str(_("change requested"))),
        ("rollout", str(_("rollout plan"))),
        ("killed", str(_("killed"))),
        ("stale", str(_("stale"))),
        ("expired", str(_("expired"))),
        ("hibernating", str(_("hibernating"))),
        ("archived", str(_("archived"))),
    ]
