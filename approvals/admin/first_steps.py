"""The way to a first answer: environment, flag, key, call. Ticked off from what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _

from access.admin.pages import Page, holders
from distribution.models import SdkKey
from flags.models import Environment, Flag

# Once there is something to look at, the steps are for those who take them.
_FOR = ("project.administer", "change.propose", "sdk_key.manage")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: whether it is done, and, for the first that is not, where and by whom it is."""

    title: str
    why: str
    is_done: bool
    is_next: bool = False
    url: str = ""
    button: str = ""
    # Who can, where whoever looks may not.
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """The steps and what one copies for the last one."""

    steps: list[Step]
    flag: str
    environment: str
    base_url: str

    @property
    def done(self) -> int:
        return sum(step.is_done for step in self.steps)

    @property
    def is_calling(self) -> bool:
        """Whether all that is missing is a program that asks."""
        return self.done == len(self.steps) - 1 and not self.steps[-1].is_done

    @property
    def is_beginning(self) -> bool:
        """Whether there is nothing else to show yet."""
        return not all(step.is_done for step in self.steps[:2])


def first_steps(page: Page, environments: Sequence[Environment]) -> FirstSteps | None:
    """The way of this project to its first answer; None once a program asks."""
    project = page.project
    keys = list(
        SdkKey.objects.filter(environment__project=project)
        .order_by(F("last_used_on").desc(nulls_last=True), F("revoked_at").asc(nulls_first=True), "-pk")
        .values_list("last_used_on", "revoked_at", "environment__key")[:100]
    )
    is_called = any(used for used, _revoked, _environment in keys)
    usable = [environment for _used, revoked, environment in keys if revoked is None]
    flag: Flag | None = Flag.objects.filter(project=project).order_by("archived", "-pk").first()
    if environments and flag and (is_called or not any(page.holds(verb) for verb in _FOR)):
        return None
    first = environments[0] if environments else None
    done = [bool(first), flag is not None, bool(usable), is_called]
    key_url = ("sdk-key-new", [first.key]) if first else ("environment-list", [])
    told: list[tuple[str, str, str, tuple[str, list[Any]], str]] = [
        (
            _("Make an environment"),
            _("Where flags are served: development, then production. Each has rules of its own."),
            "project.administer",
            ("environment-new", []),
            _("New environment"),
        ),
        (
            _("Make a flag"),
            _("It is off everywhere until somebody turns it on."),
            "change.propose",
            ("flag-new", []),
            _("New flag"),
        ),
        (
            _("Make an SDK key"),
            _("A service reads one environment with it. It is shown once, with the DSN."),
            "sdk_key.manage",
            key_url,
            _("New SDK key"),
        ),
        (
            _("Ask for the flag from a program"),
            _("This ticks itself off about a minute after the first call."),
            "project.view",
            ("environment-list", []),
            _("See the keys"),
        ),
    ]
    following = done.index(False) if False in done else -1
    steps = []
    for number, (title, why, verb, (name, args), button) in enumerate(told):
        is_next = number == following
        may = page.holds(verb)
        steps.append(
            Step(
                title,
                why,
                done[number],
                is_next,
                reverse(f"admin:{name}", args=[project.key, *args]) if is_next and may else "",
                button,
                holders(project, verb)[:5] if is_next and not may else [],
            )
        )
    environment = usable[0] if usable else (first.key if first else "")
    return FirstSteps(steps, flag.key if flag else "my-flag", environment, settings.BASE_URL)
