"""What changed under a request since it was made, three ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from approvals.merging import Member, three_way
from approvals.models import ChangeRequest
from approvals.workflow.checks import takes_effect_at_once
from approvals.workflow.standing import Standing, standings
from flags.subjects import Subject


@dataclass(frozen=True, slots=True)
class Divergence:
    """A subject that changed since the request was made for it."""

    subject: str
    seen_version: int
    now: Standing
    members: tuple[Member, ...]
    # What stands now with what was asked for.
    together: Any

    @property
    def version(self) -> int:
        return self.now.version

    @property
    def collisions(self) -> list[Member]:
        return [member for member in self.members if member.collides]


def divergences(request: ChangeRequest) -> list[Divergence]:
    """What changed under a request since it was made; empty: it can be applied as it is."""
    operations = [each for each in request.change["operations"] if takes_effect_at_once(each)]
    standing = standings(request.project, {each["subject"] for each in operations})
    found = []
    for operation in operations:
        subject = operation["subject"]
        now, seen = standing[subject], request.change["base"][subject]
        if now.version == seen:
            continue
        members, together = three_way(
            Subject.parse(subject).kind, operation["before"], now.document, operation["after"]
        )
        found.append(Divergence(subject, seen, now, tuple(members), together))
    return found
