"""The rule builder: targeting of a flag in one environment, edited as rows, sliders or JSON.

The document is the one model: the page's script edits it and writes it into the same field that one may type
into, so that nothing is lost that the rows do not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from approvals.admin.constraint_rows import row_words, seen_attributes
from approvals.admin.contexts import examples, typed_context
from approvals.admin.switch import SwitchForm, SwitchPage
from approvals.explain import unsigned
from approvals.resulting import Resulting
from countersign import evaluate
from countersign.document import DocumentError
from flags.documents import Document, check_environment
from flags.models import Expectations, Segment


@dataclass(frozen=True, slots=True)
class Sample:
    """What somebody gets now, and what they would get."""

    sentence: str
    before: str
    after: str
    rule: str
    expected: str | None = None

    @property
    def changes(self) -> bool:
        return self.before != self.after


class RulesForm(SwitchForm):
    """The document, with why and when; where it was not edited, it stays as it was shown."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("state", "serve", "variant", "percent", "rest"):
            del self.fields[name]
        self.fields["document"].help_text = _("The whole configuration. What you edit above is written here.")

    @property
    def opening(self) -> Document:
        return self.shown

    @property
    def after(self) -> Document:
        return dict(self.cleaned_data["document"] or self.shown)


class RulesPage(SwitchPage):
    """Edits what a flag serves to whom, checks it as one types, and hands it to the gate."""

    template = "countersign/rules.html"
    effect_template = "countersign/rules_effect.html"
    form_class = RulesForm

    def _show(self, form: SwitchForm, status: int = 200, **more: Any) -> HttpResponse:
        seen = seen_attributes(self.project, [each["context"] for each in self._expectations()])
        return super()._show(
            form,
            status,
            known={
                "variants": list(self.flag.variants),
                "regions": self.environment.regions,
                "flag": self.flag.key,
                "names": reverse("admin:flag-names", args=[self.project.key]),
                "hash": str(self.environment.bucketing),
                "segments": list(
                    Segment.objects.filter(project=self.project).order_by("key").values_list("key", flat=True)
                ),
                "attributes": seen,
            },
            words=_words(),
            examples=examples(seen),
            context_typed=self.request.POST.get("context", ""),
            **more,
        )

    def _effect(self, form: SwitchForm) -> dict[str, Any]:
        effect = super()._effect(form)
        after = effect.get("after")
        if after is None:
            return effect
        try:
            check_environment(self.environment, {self.flag.key: after}, {}, {})
        except DocumentError as error:
            member = error.member.removeprefix(f"flags.{self.flag.key}.")
            return effect | {"problem": {"member": member, "reason": error.reason}, "findings": []}
        typed, wrong = typed_context(self.request)
        return effect | {"samples": list(self._samples(after, typed)), "context_wrong": wrong}

    def _samples(self, after: Document, typed: Mapping[str, Any] | None) -> Iterator[Sample]:
        states = (
            Resulting(self.project),
            Resulting(self.project, [{"subject": str(self.subject), "after": after}]),
        )
        snapshots = [
            unsigned(self.environment, state.with_prerequisites(self.environment, [self.flag.key]).values())
            for state in states
        ]
        asked: list[tuple[str, Mapping[str, Any], str | None, Any]] = []
        if typed is not None:
            asked.append((str(_("The context you typed")), typed, None, ...))
        for entry in self._expectations():
            asked.append((entry["sentence"], entry["context"], entry.get("region"), entry["variant"]))
        for sentence, context, region, expected in asked:
            was, now = (evaluate(each, self.flag.key, context, region=region) for each in snapshots)
            yield Sample(
                sentence,
                _served(was.variant),
                _served(now.variant),
                str(now.metadata.get("rule") or now.metadata.get("cause") or now.reason),
                None if expected is ... else _served(expected),
            )

    def _expectations(self) -> list[Mapping[str, Any]]:
        row = Expectations.objects.filter(flag=self.flag).first()
        entries = row.document["expectations"] if row else []
        return [entry for entry in entries if entry["environment"] == self.environment.key]


def _words() -> dict[str, Any]:
    """What the page's script says; `%n` and `%s` are its own."""
    return {
        **row_words(),
        "on": str(_("on")),
        "off": str(_("off")),
        "killed": str(_("killed; turning it on lifts that")),
        "next": str(_("next rule")),
        "keys": str(_("%n keys")),
        "moved": str(_("%s is now rule %n")),
        "twice": str(_("%n keys stood there twice and were left out")),
    }


def _served(variant: str | None) -> str:
    return variant if variant is not None else str(_("the caller's default"))
