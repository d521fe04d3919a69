"""What a change is about, as the ledger names it (ledger-bundle section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["configuration", "definition", "segment"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A flag's configuration in an environment, a flag's definition, or a segment."""

    kind: Kind
    project: str
    key: str
    environment: str = ""

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Raises ValueError for a subject that no change can be about."""
        match text.split("/"):
            case ["project", project, "environment", environment, "flag", key] if all(
                (project, environment, key)
            ):
                return cls("configuration", project, key, environment)
            case ["project", project, "flag", key] if project and key:
                return cls("definition", project, key)
            case ["project", project, "segment", key] if project and key:
                return cls("segment", project, key)
        raise ValueError(f"{text!r} is no flag configuration, flag or segment")

    def __str__(self) -> str:
        if self.kind == "configuration":
            return f"project/{self.project}/environment/{self.environment}/flag/{self.key}"
        return f"project/{self.project}/{'flag' if self.kind == 'definition' else 'segment'}/{self.key}"
