"""A person's draft: edits that collect until they are proposed together, as one request.

Two edits of one subject are one: the later replaces the earlier and keeps its base. What an edit takes back
to what stood there is no edit any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from access.permissions import require
from approvals.errors import ConflictError, InvalidError
from approvals.merging import Member, three_way
from approvals.models import DraftEdit
from approvals.workflow import subjects
from approvals.workflow.request import refuse_unstorable, same
from approvals.workflow.standing import Standing, standings
from approvals.workflow.validity import Operation, validate
from audit.actor import Actor
from audit.jcs import digest
from countersign.document import DocumentError
from flags.models import Project
from flags.subjects import GOVERNING, Subject

# A request's own limits come later; this keeps one person from filling the database.
MOST = 500


def edits_of(actor: Actor, project: Project) -> QuerySet[DraftEdit]:
    """The actor's own edits in the project, oldest first."""
    return DraftEdit.objects.filter(person__pseudonym=actor.id, project=project)


def edit_of(actor: Actor, project: Project, subject: str) -> DraftEdit | None:
    """The actor's own edit of a subject: later edits start from it."""
    return edits_of(actor, project).filter(subject=subject).first()


def mark_of(edit: DraftEdit | None) -> str:
    """By which a form knows whether the draft that it started from is still the same; empty: none."""
    return digest(edit.after) if edit else ""


def collect(
    actor: Actor, project: Project, operations: Sequence[Mapping[str, Any]], base: Mapping[str, int]
) -> int:
    """Add operations (`subject`, `after`) to the draft; returns how many of them it holds then.

    `base`: the version of each subject that was seen. Documents are checked as the gate checks them, together
    with the rest of the draft. All or nothing. Raises `ForbiddenError`, `InvalidError`, `ConflictError`.
    """
    require(actor, "change.propose", project)
    with transaction.atomic():
        project.hold()
        held = {edit.subject: edit for edit in edits_of(actor, project)}
        now = standings(project, [each["subject"] for each in operations])
        for index, operation in enumerate(operations):
            text = operation["subject"]
            edit = held.get(text) or _begun(actor, project, text, base[text], now[text])
            edit.after = _normal(project, f"operations[{index}]", text, operation["after"])
            held[text] = edit
        if len(held) > MOST:
            raise InvalidError("operations", f"would be more than {MOST}; propose or discard some first")
        kept = [edit for edit in held.values() if not same(edit.before, edit.after)]
        validate(project, [_whole(edit) for edit in kept])
        asked = {each["subject"] for each in operations}
        for edit in kept:
            if edit.subject in asked:
                edit.save()
        gone = asked - {edit.subject for edit in kept}
        edits_of(actor, project).filter(subject__in=gone).delete()
    return len(asked - gone)


def discard(actor: Actor, project: Project, subjects: Iterable[str] | None = None) -> int:
    """Drop edits of these subjects, or all; returns how many there were."""
    require(actor, "change.propose", project)
    edits = edits_of(actor, project)
    if subjects is not None:
        edits = edits.filter(subject__in=list(subjects))
    return edits.delete()[0]


def keep_mine(actor: Actor, project: Project, subject: str) -> None:
    """Bring an edit up to what stands now: what changed meanwhile, and of what collides the edit's."""
    require(actor, "change.propose", project)
    with transaction.atomic():
        project.hold()
        edit = edit_of(actor, project, subject)
        if edit is None:
            return
        found = Drafted(edit, standings(project, [subject])[subject])
        edit.before, edit.base, edit.after = found.now.document, found.now.version, found.together
        if edit.after is None or found.stands_already:
            edit.delete()
        else:
            edit.save()


@dataclass(frozen=True)
class Drafted:
    """An edit beside what stands at its subject now."""

    edit: DraftEdit
    now: Standing

    @property
    def is_behind(self) -> bool:
        """Whether the subject changed since the edit began."""
        return self.now.version != self.edit.base

    @cached_property
    def _three(self) -> tuple[list[Member], Any]:
        kind = Subject.parse(self.edit.subject).kind
        return three_way(kind, self.edit.before, self.now.document, self.edit.after)

    @property
    def members(self) -> list[Member]:
        return self._three[0]

    @property
    def together(self) -> Any:
        return self._three[1]

    @property
    def collides(self) -> bool:
        return any(member.collides for member in self.members)

    @property
    def stands_already(self) -> bool:
        """Whether somebody else made the same of it."""
        return same(self.now.document, self.edit.after)

    @property
    def operation(self) -> Operation:
        """From what stands now."""
        return {**self.edit.operation, "before": self.now.document}


def drafted(actor: Actor, project: Project) -> list[Drafted]:
    """The whole draft, with what stands now."""
    edits = list(edits_of(actor, project))
    now = standings(project, [edit.subject for edit in edits])
    return [Drafted(edit, now[edit.subject]) for edit in edits]


@dataclass(frozen=True, slots=True)
class Summary:
    """How much a draft holds, for the banner of each page."""

    changes: int
    environments: int


def summary_of(actor: Actor, project: Project) -> Summary:
    """One query."""
    texts = list(edits_of(actor, project).values_list("subject", flat=True))
    return Summary(len(texts), len({Subject.parse(text).environment for text in texts} - {""}))


def _begun(actor: Actor, project: Project, text: str, base: int, now: Standing) -> DraftEdit:
    if base != now.version:
        raise ConflictError(text, base, now.version)
    return DraftEdit(person_id=actor.id, project=project, subject=text, before=now.document, base=now.version)


def _whole(edit: DraftEdit) -> Operation:
    return {**edit.operation, "before": edit.before}


def _normal(project: Project, member: str, text: str, after: Any) -> Any:
    subject = Subject.parse(text)
    if subject.project != project.key or subject.kind in GOVERNING:
        raise InvalidError(f"{member}.subject", "cannot be drafted; ask for it by itself")
    refuse_unstorable(f"{member}.after", after)
    try:
        return subjects.normal(project, subject, after)
    except DocumentError as error:
        raise InvalidError(error.member, error.reason) from error
