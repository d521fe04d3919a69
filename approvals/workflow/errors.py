"""How the gate refuses. Edges translate these; each text names the thing, the reason and the next step."""

from __future__ import annotations


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
    """Something else changed meanwhile; `subject`, the version expected and the one found."""

    def __init__(self, subject: str, expected: int, found: int) -> None:
        super().__init__(
            f"{subject} is at version {found}, this change was made for version {expected}. "
            "Nothing was overwritten: look at what changed, then edit or withdraw the request."
        )
        self.subject, self.expected, self.found = subject, expected, found
