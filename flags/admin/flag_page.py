"""The page of one flag: its head and tabs, and what each environment serves to whom, in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from access.admin.pages import Page
from access.limits import Touched
from access.permissions import display_names, reach_of
from approvals.admin.pending import Pending, open_by_subject
from approvals.expectations import outcomes
from approvals.explain import Behind, changes_behind
from approvals.models import Emergency
from approvals.policies import touched_flag
from approvals.resulting import Resulting
from audit.admin.reading import told
from audit.models import Event
from flags import lifecycle
from flags.admin.flag_list import Cell, cells_of, mark_drafted
from flags.models import Environment, Flag
from flags.subjects import Subject

# Of its history, on the overview.
LATEST = 5
_METHODS = {
    "boolean": ("get_boolean_value", "False"),
    "string": ("get_string_value", '""'),
    "integer": ("get_integer_value", "0"),
    "float": ("get_float_value", "0.0"),
    "object": ("get_object_value", "{}"),
}


def snippet(flag: Flag) -> str:
    """How a Python service asks for the flag."""
    method, default = _METHODS[flag.type]
    return (
        "from countersign.client import Client\n\n"
        "client = Client()  # reads COUNTERSIGN_DSN\n"
        f'value = client.{method}("{flag.key}", {default}, {{"targetingKey": user_id}})'
    )


@dataclass(frozen=True, slots=True)
class Tab:
    """A link to one of the flag's pages. `cell`: of an environment's."""

    title: str
    url: str
    is_open: bool
    cell: Cell | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A flag in one environment, with who put there what stands, and what whoever looks may do about it."""

    cell: Cell
    can_ask: bool
    can_kill: bool
    # On to the environment after it, where there is one.
    can_promote: bool
    behind: Behind | None
    # Where it is killed: by whom.
    kill: Emergency | None

    @property
    def is_fixed(self) -> bool:
        """Whether its switch is shown, and not offered."""
        return not self.can_ask


class FlagTab(Page):
    """One of the pages of a flag. Its head and tabs cost the same number of queries whatever there is."""

    # The name of its route: of the tabs, the one that is open.
    route = ""
    flag: Flag
    environments: list[Environment]
    pending: dict[str, list[Pending]]
    cells: list[Cell]

    def find(self) -> Flag:
        """The flag that the URL names, read with what every tab shows. Raises Http404."""
        rows = Flag.objects.filter(project=self.project, key=self.kwargs["key"])
        flag: Flag | None = rows.select_related("project", "owner").first()
        if flag is None:
            raise Http404
        self.flag = flag
        self.environments = list(self.project.environments.all())
        self.pending = open_by_subject(self.project)
        self.cells = cells_of(self.project, [flag], self.environments, self.pending)[flag.pk]
        mark_drafted(self.actor, self.project, self.cells)
        return flag

    def show_tab(self, *, status: int = 200, **context: Any) -> HttpResponse:
        """The open tab's template, with the head that all of them have."""
        now = timezone.now()
        return self.show(
            status=status,
            **{
                "title": self.flag.key,
                "flag": self.flag,
                "tabs": list(self._tabs()),
                "can_kill_everywhere": self._can_kill_everywhere,
                "asked_of_flag": self.pending.get(str(self.flag.subject), []),
                "is_stale": lifecycle.stale(now).filter(pk=self.flag.pk).exists(),
                "is_expired": self.flag.expires_at is not None and self.flag.expires_at <= now,
                **context,
            },
        )

    def cards(self, cells: Iterable[Cell]) -> list[Card]:
        """What stands in these environments, and what one may do there. Seven queries, however many they are."""
        cells = list(cells)
        behind = changes_behind(
            self.project, [cell.configuration.change_id for cell in cells if cell.configuration]
        )
        killed = [str(cell.subject) for cell in cells if cell.is_killed]
        emergencies = {
            each.subject: each
            for each in Emergency.objects.filter(
                project=self.project, subject__in=killed, request=None
            ).order_by("pk")
        }
        can_ask = {
            each: not self.flag.archived and self._asks([touched_flag(self.flag, each)])
            for each in self.environments
        }
        following = dict(pairwise(self.environments))
        found = []
        for cell in cells:
            here, configuration = cell.environment, cell.configuration
            found.append(
                Card(
                    cell,
                    can_ask[here],
                    cell.is_on and self._kills([touched_flag(self.flag, here)]),
                    configuration is not None and here in following and can_ask[following[here]],
                    behind.get(configuration.change_id) if configuration else None,
                    emergencies.get(str(cell.subject)) if cell.is_killed else None,
                )
            )
        return found

    def names(self, cards: Iterable[Card]) -> dict[str, str]:
        """Of the people who are behind what stands there, by their ids."""
        people: set[str] = set()
        for card in cards:
            if card.behind:
                people |= {card.behind.proposer, *card.behind.approvers}
            if card.kill:
                people.add(card.kill.killed_by)
        return display_names(people)

    def subjects(self, environments: Iterable[Environment]) -> list[str]:
        """What events of the flag in these environments are about."""
        return [
            str(Subject("configuration", self.project.key, self.flag.key, each.key)) for each in environments
        ]

    @property
    def all_subjects(self) -> list[str]:
        """What the flag's events are about."""
        expectations = Subject("expectations", self.project.key, self.flag.key)
        return [str(self.flag.subject), str(expectations), *self.subjects(self.environments)]

    @cached_property
    def _asks(self) -> Callable[[Collection[Touched]], bool]:
        return self._reach("change.propose")

    @cached_property
    def _kills(self) -> Callable[[Collection[Touched]], bool]:
        return self._reach("flag.kill")

    def _reach(self, verb: str) -> Callable[[Collection[Touched]], bool]:
        if not self.holds(verb):
            return lambda _touched: False
        return reach_of(self.actor, verb, self.project, self.place.held)

    @property
    def _can_kill_everywhere(self) -> bool:
        """Whether it is on anywhere, and the actor may kill it wherever something could be killed."""
        standing = [cell for cell in self.cells if cell.configuration and not cell.is_killed]
        return any(cell.is_on for cell in standing) and all(
            self._kills([touched_flag(self.flag, cell.environment)]) for cell in standing
        )

    def _tabs(self) -> Iterable[Tab]:
        here = self.kwargs.get("environment")
        yield self._tab(_("Overview"), "flag")
        for cell in self.cells:
            key = cell.environment.key
            url = reverse("admin:flag-environment", args=[self.project.key, self.flag.key, key])
            yield Tab(cell.environment.name, url, self.route == "flag-environment" and key == here, cell)
        yield self._tab(_("Variants"), "flag-variants")
        yield self._tab(_("Expectations"), "expectations")
        yield self._tab(_("History"), "flag-history")
        yield self._tab(_("Usage"), "flag-usage")
        yield self._tab(_("Settings"), "flag-settings")

    def _tab(self, title: str, route: str) -> Tab:
        url = reverse(f"admin:{route}", args=[self.project.key, self.flag.key])
        return Tab(title, url, route == self.route)


class FlagPage(FlagTab):
    """Overview: a sentence per environment with what one does there, and the latest of everything else."""

    route = "flag"
    template = "countersign/flag.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = self.find()
        cards = self.cards(self.cells)
        events = Event.objects.filter(subject__in=self.all_subjects).order_by("-log_id", "-index")[:LATEST]
        found = list(outcomes(Resulting(self.project), [key]))
        return self.show_tab(
            cards=cards,
            names=self.names(cards),
            history=told(self.project, list(events), self.environments),
            holding=sum(each.holds for each in found),
            failing=[each for each in found if not each.holds],
            snippet=snippet(flag),
        )
