"""Search or go to: flags, requests, segments, environments, people, pages and verbs of a project, by a few letters.

As a page, and as what the command palette shows. It knows the sidebar, which is why it is here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from access.admin.pages import Page
from access.models import Membership, ServiceAccount, Team, TeamMember, User
from access.permissions import reach_of
from approvals.models import ChangeRequest
from approvals.policies import touched_flag
from config.unfold import UNFOLD
from flags import wording
from flags.models import Environment, Flag, FlagConfiguration, Project, Segment
from flags.templatetags.countersign import plain

# Of each kind.
MOST = 8
_NUMBER = re.compile(r"(?:cr)?[-\s#]*(\d{1,9})(?:\.\d+)?", re.IGNORECASE)
# What one begins: words, the page, the verb it takes, and an icon.
_BEGIN: tuple[tuple[Any, str, str, str], ...] = (
    (gettext_lazy("New flag"), "flag-new", "change.propose", "add"),
    (gettext_lazy("New segment"), "segment-new", "change.propose", "add"),
    (gettext_lazy("New environment"), "environment-new", "project.administer", "add"),
    (gettext_lazy("New policy"), "policy-new", "policy.change", "add"),
    (gettext_lazy("New freeze"), "freeze-new", "freeze.manage", "add"),
    (gettext_lazy("New webhook"), "webhook-new", "webhook.manage", "add"),
    (gettext_lazy("Change the project's settings"), "project-settings", "project.administer", "settings"),
)
# What one does to a flag: the word it begins with, the page, and the verb it takes.
_TO_A_FLAG: tuple[tuple[Any, str, str, str], ...] = (
    (gettext_lazy("Kill"), "kill-everywhere", "flag.kill", "emergency_home"),
    (gettext_lazy("Explain"), "explain", "project.view", "manage_search"),
    (gettext_lazy("Edit"), "flag-edit", "change.propose", "edit"),
    (gettext_lazy("Archive"), "archive", "change.propose", "inventory_2"),
)

_KILL = _TO_A_FLAG[0]


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was found, and where it is."""

    name: str
    url: str
    icon: str
    detail: str = ""
    # What to type instead, for a verb that wants a flag.
    fill: str = ""


class FindPage(Page):
    """What is found for `q`, by kind. As many queries for one letter as for many, whatever the project has."""

    template = "countersign/find.html"
    title = gettext_lazy("Search or go to")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        # A NUL is in no name, and PostgreSQL takes none.
        text = request.GET.get("q", "").replace("\x00", "").lstrip()[:200]
        verb, rest = self._verb(text)
        if verb is not None:
            flags = self._to_flags(verb, rest)
            groups = [(_("What to do"), flags)] if flags else []
        else:
            text = text.strip()
            groups = self._groups(text)
        return self.show(q=text, groups=groups)

    def _groups(self, text: str) -> list[tuple[str, list[Found]]]:
        """What has the text in it, by kind: first the kinds of which something is called so or begins so."""
        kinds: list[tuple[str, Callable[[str], Iterable[Found]]]] = [
            (_("Flags"), self._flags),
            (_("What to do"), self._verbs),
            (_("Pages"), self._pages),
            (_("Change requests"), self._requests),
            (_("Segments"), self._segments),
            (_("Environments"), self._environments),
            (_("People"), self._people),
        ]
        if not text:
            return [(name, list(find(text))) for name, find in (kinds[2], kinds[1])]
        found = [(name, list(islice(find(text), MOST))) for name, find in kinds]
        found = [each for each in found if each[1]]
        # Who types a number means the request, whatever flags have it in their keys.
        wanted, is_number = text.casefold(), bool(_NUMBER.fullmatch(text))

        def rank(group: tuple[str, list[Found]]) -> int:
            if is_number and group[0] == _("Change requests"):
                return -1
            names = [each.name.casefold() for each in group[1]]
            return 0 if wanted in names else 1 if any(each.startswith(wanted) for each in names) else 2

        return sorted(found, key=rank)

    def _verb(self, text: str) -> tuple[tuple[Any, str, str, str] | None, str]:
        word, blank, rest = text.partition(" ")
        for each in _TO_A_FLAG:
            if blank and word.lower() == str(each[0]).lower() and self.holds(each[2]):
                return each, rest.strip()
        return None, ""

    def _to_flags(self, verb: tuple[Any, str, str, str], text: str) -> list[Found]:
        word, name, _verb, icon = verb
        flags = matching_flags(self.project, text)
        if verb == _KILL:
            return list(islice(self._kills(flags), 2 * MOST))
        return [Found(f"{word} {flag.key}", self._at(name, flag.key), icon, flag.name) for flag in flags]

    def _kills(self, flags: Iterable[Flag]) -> Iterator[Found]:
        """Each environment where a flag is on and the actor may kill it, the last of promotion first; then all at once.

        What a link leads to asks first, and says what it will do.
        """
        flags, may_kill = list(flags), reach_of(self.actor, "flag.kill", self.project)
        rows = FlagConfiguration.objects.filter(flag__in=flags).select_related("environment")
        places: dict[int, list[FlagConfiguration]] = {flag.pk: [] for flag in flags}
        for row in rows.order_by("-environment__position", "environment__key"):
            if wording.is_on(row.document):
                places[row.flag_id].append(row)
        for flag in flags:
            reached = [row for row in places[flag.pk] if may_kill([touched_flag(flag, row.environment)])]
            for row in reached:
                words = _("Kill %(flag)s in %(where)s") % {"flag": flag.key, "where": row.environment.name}
                url = f"{self._at('kill', flag.key, row.environment.key)}?next={self._at('flag', flag.key)}"
                yield Found(words, url, _KILL[3], plain(wording.summary(row.document)))
            if len(reached) == len(places[flag.pk]):
                words = _("Kill %s everywhere") % flag.key
                yield Found(words, self._at(_KILL[1], flag.key), _KILL[3], flag.name)

    def _flags(self, text: str) -> Iterator[Found]:
        for flag in matching_flags(self.project, text):
            detail = flag.name if not flag.archived else f"{flag.name} · {_('archived')}"
            yield Found(flag.key, self._at("flag", flag.key), "toggle_on", detail)

    def _requests(self, text: str) -> Iterator[Found]:
        number = _NUMBER.fullmatch(text)
        wanted = Q(title__icontains=text)
        if number:
            wanted |= Q(pk=int(number[1]))
        rows = ChangeRequest.objects.filter(wanted, project=self.project).annotate(
            rank=_rank(*([Q(pk=int(number[1]))] if number else []), Q(state__in=ChangeRequest.OPEN))
        )
        for row in rows.order_by("rank", "-pk")[:MOST]:
            detail = f"{row.change_id} · {row.get_state_display()}"
            yield Found(row.title, self._at("request", row.number), "rule", detail)

    def _segments(self, text: str) -> Iterator[Found]:
        rows = Segment.objects.filter(project=self.project, key__icontains=text)
        ranked = rows.annotate(rank=_rank(Q(key__iexact=text), Q(key__istartswith=text)))
        for row in ranked.order_by("rank", "key")[:MOST]:
            yield Found(row.key, self._at("segment", row.key), "groups")

    def _environments(self, text: str) -> Iterator[Found]:
        rows = Environment.objects.filter(
            Q(key__icontains=text) | Q(name__icontains=text), project=self.project
        )
        for row in rows[:MOST]:
            url = f"{self._at('environment-list')}#environment-{row.pk}"
            yield Found(row.name, url, "dns", row.key)

    def _people(self, text: str) -> Iterator[Found]:
        """Those whom the page of people shows: who has a role here, by themselves or through a team."""
        members = Membership.objects.filter(project=self.project).values("member")
        through = TeamMember.objects.filter(team__pseudonym__in=members).values("member")
        named = Q(username__icontains=text) | Q(first_name__icontains=text) | Q(last_name__icontains=text)
        here = Q(pseudonym__in=members) | Q(pseudonym__in=through)
        found = [
            Found(str(user), self._at("standing", user.pseudonym), "person", user.username)
            for user in User.objects.filter(named, here, is_active=True).order_by("username")[:MOST]
        ]
        for model, icon, kind in (
            (Team, "groups_2", _("team")),
            (ServiceAccount, "smart_toy", _("service account")),
        ):
            rows: QuerySet[Any] = model._default_manager.filter(name__icontains=text, pseudonym__in=members)
            found += [
                Found(row.name, self._at("standing", row.pseudonym), icon, kind)
                for row in rows.order_by("name")[:MOST]
            ]
        return iter(found[:MOST])

    def _pages(self, text: str) -> Iterator[Found]:
        for group in UNFOLD["SIDEBAR"]["navigation"]:
            for item in group["items"]:
                allowed = item.get("permission")
                if _in(text, item["title"]) and (allowed is None or allowed(self.request)):
                    link = item["link"](self.request)
                    yield Found(str(item["title"]), link, item["icon"], str(group["title"]))

    def _verbs(self, text: str) -> Iterator[Found]:
        for title, name, verb, icon in _BEGIN:
            if _in(text, title) and self.holds(verb):
                yield Found(str(title), self._at(name), icon)
        for title, _name, verb, icon in _TO_A_FLAG:
            if self.holds(verb) and (_in(text, title) or str(title).lower().startswith(text.lower())):
                word = f"{str(title).lower()} "
                url = f"{self._at('find')}?q={word.strip()}+"
                yield Found(_("%s a flag …") % title, url, icon, fill=word)
        if self.holds("audit.export") and _in(text, _("Export evidence")):
            yield Found(_("Export evidence"), reverse("admin:audit-export"), "ios_share")

    def _at(self, name: str, *args: object) -> str:
        return reverse(f"admin:{name}", args=[self.project.key, *args])


def matching_flags(project: Project, text: str) -> Iterable[Flag]:
    """Flags by key or name: the very key first, then what begins with the text, then what has it in it. One query."""
    rows = Flag.objects.filter(project=project)
    if text:
        rows = rows.filter(Q(key__icontains=text) | Q(name__icontains=text))
    ranked = rows.annotate(
        rank=_rank(Q(key__iexact=text), Q(archived=False) & Q(key__istartswith=text), Q(archived=False))
    )
    found: Iterable[Flag] = ranked.order_by("rank", "key")[:MOST]
    return found


def _rank(*conditions: Q) -> Case:
    """0 for what meets the first of these, and so on."""
    whens = [When(condition, then=Value(rank)) for rank, condition in enumerate(conditions)]
    return Case(*whens, default=Value(len(conditions)), output_field=IntegerField())


def _in(text: str, title: object) -> bool:
    """Whether each word of the text is in the title."""
    return all(word in str(title).lower() for word in text.lower().split())


urlpatterns = [path("p/<str:project>/find/", FindPage.as_view(), name="find")]
