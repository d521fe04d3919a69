"""The project as it would stand with some operations carried out: rows in memory, of which none is saved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Any

from flags.documents import (
    SERVED_MEMBERS,
    Document,
    configurations_with,
    definition_document,
    fill_definition,
    segments_named,
)
from flags.models import Environment, Expectations, Flag, FlagConfiguration, Project, Segment
from flags.reads import Reads
from flags.subjects import Subject


class Resulting:
    """What would stand. The operations are valid, and take effect together; none: what stands now.

    `reads`: shared where several states of the same project are looked at.
    """

    def __init__(
        self, project: Project, operations: Sequence[Mapping[str, Any]] = (), reads: Reads | None = None
    ) -> None:
        self.project, self.reads = project, reads or Reads()
        self._after: dict[Subject, Document] = {
            Subject.parse(operation["subject"]): operation["after"] for operation in operations
        }
        self.environments: list[Environment] = self.reads.rows(project.environments.all())
        self.segment_drafts = {
            subject.key: Segment(project=project, key=subject.key, version=1, document=document)
            for subject, document in self._of("segment")
        }

    def _of(self, kind: str) -> list[tuple[Subject, Document]]:
        return [(subject, after) for subject, after in self._after.items() if subject.kind == kind]

    def _flags(self, keys: Collection[str]) -> dict[str, Flag]:
        rows = self.reads.rows(Flag.objects.filter(project=self.project, key__in=sorted(keys)))
        return {flag.key: flag for flag in rows}

    def configured(self, environment: Environment) -> dict[str, Document]:
        """By flag, the configurations that the operations set in the environment."""
        return {
            subject.key: after
            for subject, after in self._of("configuration")
            if subject.environment == environment.key
        }

    def configurations(self, environment: Environment, keys: Collection[str]) -> dict[str, FlagConfiguration]:
        """By flag, the configurations of these flags as they would stand there."""
        rows = FlagConfiguration.objects.filter(environment=environment, flag__key__in=sorted(keys))
        # Copies: what is read is shared, and these become what would stand.
        found = {row.flag.key: copy(row) for row in self.reads.rows(rows.select_related("flag"))}
        set_here = {key: after for key, after in self.configured(environment).items() if key in keys}
        unset = set(set_here) - set(found)
        flags = self._flags(unset)
        for key in unset:
            # One that is not there yet is made by the same operations.
            flag = flags.get(key) or Flag(project=self.project, key=key)
            found[key] = FlagConfiguration(flag=flag, environment=environment)
        for key, after in set_here.items():
            found[key].document = after
        for subject, after in self._of("definition"):
            if subject.key in found:
                found[subject.key].flag = copy(found[subject.key].flag)
                fill_definition(found[subject.key].flag, after)
        return {key: row for key, row in found.items() if not row.flag.archived}  # those are not served

    def with_prerequisites(
        self, environment: Environment, keys: Collection[str]
    ) -> dict[str, FlagConfiguration]:
        """The same with all that these flags need, directly or not: a query per link of the longest chain."""
        found: dict[str, FlagConfiguration] = {}
        asked: set[str] = set()
        wanted = set(keys)
        while wanted:
            asked |= wanted
            new = self.configurations(environment, wanted)
            found |= new
            wanted = {key for row in new.values() for key in needed_by(row.document)} - asked
        return found

    def segments(self, names: Collection[str]) -> dict[str, Segment]:
        """By key, the segments of these names as they would stand; one that does not exist is left out."""
        rows = self.reads.rows(Segment.objects.filter(project=self.project, key__in=sorted(names)))
        drafts = {key: row for key, row in self.segment_drafts.items() if key in names}
        return {row.key: row for row in rows} | drafts

    def expectations(self, flags: Sequence[str] | None = None) -> dict[str, list[Document]]:
        """By flag, the expectations of these flags; None: all of the project. One query."""
        rows = Expectations.objects.filter(flag__project=self.project).select_related("flag")
        if flags is not None:
            rows = rows.filter(flag__key__in=flags)
        documents = {row.flag.key: row.document for row in self.reads.rows(rows)} | {
            subject.key: after for subject, after in self._of("expectations")
        }
        return {key: document["expectations"] for key, document in documents.items()}

    def affected(self, environment: Environment) -> set[str]:
        """The flags whose answers could become others there, or whose expectations the operations set."""
        found = set(self.configured(environment)) | {subject.key for subject, _ in self._of("expectations")}
        drafts = dict(self._of("definition"))
        for flag in self._flags({subject.key for subject in drafts}).values():
            before, after = (
                definition_document(flag),
                drafts[Subject("definition", self.project.key, flag.key)],
            )
            if any(before.get(name) != after.get(name) for name in (*SERVED_MEMBERS, "archived")):
                found.add(flag.key)
        if self.segment_drafts:
            found |= {
                row.flag.key
                for row in self.reads.rows(configurations_with("in_segment", [environment]))
                if not self.segment_drafts.keys().isdisjoint(segments_named(row.document))
            }
        return self._with_dependants(environment, found) if found else found

    def _with_dependants(self, environment: Environment, keys: set[str]) -> set[str]:
        needs = {
            row.flag.key: needed_by(row.document)
            for row in self.reads.rows(configurations_with("prerequisites", [environment]))
        }
        needs |= {key: needed_by(after) for key, after in self.configured(environment).items()}
        found, more = set(keys), True
        while more:
            new = {key for key, needed in needs.items() if key not in found and needed & found}
            found, more = found | new, bool(new)
        return found


def needed_by(document: Mapping[str, Any]) -> set[str]:
    """The flags that a configuration names as prerequisites."""
    return {each["flag"] for each in document.get("prerequisites", ())}
