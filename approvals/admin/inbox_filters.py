"""Which change requests the inbox shows, in which order, and how many each tab has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from approvals.models import ChangeRequest
from approvals.waiting import waiting_for
from audit.actor import Actor
from flags.models import Environment

WHICH = (
    ("open", _("Open")),
    ("waiting", _("Waiting for me")),
    ("mine", _("Mine")),
    ("all", _("All")),
)
AGES = (
    ("1", _("Older than a day")),
    ("7", _("Older than a week")),
    ("30", _("Older than 30 days")),
)
SORTS = (
    ("", _("Newest first")),
    ("oldest", _("Oldest first")),
    ("changed", _("Changed last")),
    ("planned", _("Planned next")),
)
_ORDERS: dict[str, tuple[Any, ...]] = {
    "oldest": ("pk",),
    "changed": ("-updated_at", "-pk"),
    "planned": (F("scheduled_at").asc(nulls_last=True), "-pk"),
}
_ID = re.compile(r"^(?:CR-)?(\d{1,9})(?:\.\d+)?$", re.IGNORECASE)
_LONGEST = 200


class Filters:
    """What the address asks for; what is unknown there asks for nothing."""

    def __init__(self, asked: Mapping[str, str], actor: Actor, environments: Iterable[Environment]) -> None:
        self._actor = actor
        key, state = asked.get("environment", ""), asked.get("state", "")
        self.environment = key if key in {each.key for each in environments} else ""
        self.state = state if state in ChangeRequest.State.values else ""
        self.author = asked.get("author", "")[:64].replace("\0", "")
        self.text = asked.get("q", "")[:_LONGEST].replace("\0", "").strip()
        self.age = asked.get("age", "") if asked.get("age") in dict(AGES) else ""
        self.problem = bool(asked.get("problem"))
        self.sort = asked.get("sort", "") if asked.get("sort") in _ORDERS else ""

    @property
    def is_set(self) -> bool:
        return any((self.environment, self.state, self.author, self.text, self.age, self.problem))

    @property
    def order(self) -> tuple[Any, ...]:
        return _ORDERS.get(self.sort, ("-pk",))

    def narrowed(self, rows: QuerySet[ChangeRequest]) -> QuerySet[ChangeRequest]:
        """Those that the filters let through, of whatever tab."""
        if self.environment:
            rows = rows.filter(environments__key=self.environment)
        if self.state:
            rows = rows.filter(state=self.state)
        if self.author:
            rows = rows.filter(proposer=self.author)
        if self.age:
            rows = rows.filter(created_at__lt=timezone.now() - timedelta(days=int(self.age)))
        if self.problem:
            rows = rows.filter(state__in=ChangeRequest.OPEN).exclude(problem="")
        if self.text:
            found = Q(title__icontains=self.text) | Q(change__ticket__icontains=self.text)
            if number := _ID.match(self.text):
                found |= Q(pk=int(number[1]))
            rows = rows.filter(found)
        return rows

    def of_tab(self, which: str | None, rows: QuerySet[ChangeRequest]) -> QuerySet[ChangeRequest]:
        """Those of them on a tab."""
        match which:
            case "waiting":
                return waiting_for(self._actor, rows)
            case "mine":
                return rows.filter(proposer=self._actor.id)
            case "all":
                return rows
            case _open:
                return rows.filter(state__in=ChangeRequest.OPEN)

    def counts(self, rows: QuerySet[ChangeRequest]) -> dict[str, int]:
        """How many each tab has, as the filters stand."""
        counted: dict[str, int] = rows.order_by().aggregate(
            open=Count("pk", filter=Q(state__in=ChangeRequest.OPEN)),
            mine=Count("pk", filter=Q(proposer=self._actor.id)),
            all=Count("pk"),
        )
        return {**counted, "waiting": waiting_for(self._actor, rows).count()}
