"""The tabs of a flag that are no environment's: variants, history, usage, settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from audit.admin.reading import told
from audit.models import Event
from distribution.models import SdkKey
from flags import lifecycle, wording
from flags.admin.flag_list import Cell
from flags.admin.flag_page import FlagTab, snippet
from flags.documents import Document, read_moment

PAGE_SIZE = 25


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant: its value, and where somebody may get it as things stand."""

    name: str
    value: Any
    served_in: tuple[Cell, ...]


class FlagVariantsPage(FlagTab):
    """What the flag can answer, and where it does."""

    route = "flag-variants"
    template = "countersign/flag_variants.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = self.find()
        served = [(cell, served_by(cell.document)) for cell in self.cells if not flag.archived]
        return self.show_tab(
            title=_("Variants of %s") % key,
            variants=[
                Variant(name, value, tuple(cell for cell, names in served if name in names))
                for name, value in flag.variants.items()
            ],
            can_edit=self.holds("change.propose") and not flag.archived,
        )


def served_by(document: Document | None) -> set[str]:
    """The variants that somebody may get from a configuration as it stands."""
    if document is None:
        return set()
    if not wording.is_on(document):
        return {document["off"]} if document.get("off") else set()
    found = {variant for variant, keys in (document.get("targets") or {}).items() if keys}
    for serve in (*(rule["serve"] for rule in document.get("rules") or ()), document["default"]):
        if "variant" in serve:
            found.add(serve["variant"])
        else:
            found |= {name for name, weight in serve["split"]["weights"] if weight and name}
    if document.get("off") and (wording.regions_off(document) or document.get("prerequisites")):
        found.add(document["off"])
    return found


class FlagHistoryPage(FlagTab):
    """All that happened to the flag, newest first; in one environment where one is asked for."""

    route = "flag-history"
    template = "countersign/flag_history.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        self.find()
        wanted = request.GET.get("environment", "")
        here = [each for each in self.environments if each.key == wanted]
        rows = Event.objects.filter(subject__in=self.subjects(here) if here else self.all_subjects)
        # Ids first, which are sorted without the lines; whole rows only of those that are shown.
        ids = rows.order_by("-log_id", "-index").values_list("pk", flat=True)
        page = Paginator(ids, PAGE_SIZE).get_page(request.GET.get("page"))
        events = Event.objects.filter(pk__in=list(page.object_list)).order_by("-log_id", "-index")
        return self.show_tab(
            title=_("History of %s") % key,
            page=page,
            history=told(self.project, list(events), self.environments),
            environments=self.environments,
            here=here[0] if here else None,
        )


@dataclass(frozen=True, slots=True)
class Readers:
    """Who can read the flag in one environment: usable SDK keys, and the last day on which one was used."""

    cell: Cell
    keys: int
    last_used_on: date | None


class FlagUsagePage(FlagTab):
    """Who reads the flag, as far as that is known: SDKs evaluate on their own machines."""

    route = "flag-usage"
    template = "countersign/flag_usage.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = self.find()
        readers = list(self._readers())
        return self.show_tab(
            title=_("Usage of %s") % key,
            readers=readers,
            is_read=any(each.last_used_on for each in readers),
            snippet=snippet(flag),
        )

    def _readers(self) -> Iterable[Readers]:
        rows = SdkKey.objects.filter(environment__project=self.project).values("environment")
        usable = Count("pk", filter=Q(revoked_at=None))
        counted = rows.annotate(keys=usable, last=Max("last_used_on")).order_by()
        known: dict[int, tuple[int, date | None]] = {
            row["environment"]: (row["keys"], row["last"]) for row in counted
        }
        for cell in self.cells:
            yield Readers(cell, *known.get(cell.environment.pk, (0, None)))


class FlagSettingsPage(FlagTab):
    """The definition: what it is for, whose it is, how long it lives; and its ways out."""

    route = "flag-settings"
    template = "countersign/flag_settings.html"

    def get(self, request: HttpRequest, project: str, key: str) -> HttpResponse:
        flag = self.find()
        return self.show_tab(
            title=_("Settings of %s") % key,
            lifetime=lifecycle.EXPECTED_LIFETIME.get(flag.kind),
            wake_at=read_moment(flag.hibernation.get("wake_at")),
        )
