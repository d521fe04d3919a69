"""How the gate refuses. Edges translate these; each text names the thing, the reason and the next step."""

from __future__ import annotations

from flags.subjects import Subject


class GateError(Exception):
    """The gate refuses; the text names the thing, the reason and the next step."""


class InvalidError(GateError):
    """What was proposed cannot be: `member` says where."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"{member}: {reason}")
        self.member, self.reason = member, reason


class StateError(GateError):
    """The request is not in a state for this verb, e.g. it has been applied already."""


class ConflictError(GateError):
    """Something else changed meanwhile; `subject`, the version expected (None: none named), the one found."""

    def __init__(self, subject: str, expected: int | None, found: int) -> None:
        based = "names no version as its base" if expected is None else f"was made for version {expected}"
        name = Subject.parse(subject).words(begins=True)
        super().__init__(
            f"{name} is at version {found}, this change {based}. Nothing was overwritten: look at what "
            f"changed, then edit the change for version {found}, or withdraw it."
        )
        self.subject, self.expected, self.found = subject, expected, found
