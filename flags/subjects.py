"""What a change is about, as the ledger names it (ledger-bundle section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["configuration", "definition", "segment", "expectations", "environment", "policy", "member"]
# What a snapshot carries.
SERVED: frozenset[Kind] = frozenset({"configuration", "definition", "segment"})
# What governs what is served, and is not served itself.
GOVERNING: frozenset[Kind] = frozenset({"environment", "policy", "member"})
_WRITING_ORDER: tuple[Kind, ...] = (
    *("environment", "segment", "definition", "configuration", "expectations"),
    *("policy", "member"),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is served (a flag's configuration or definition, a segment), what is expected of it, or what governs it.

    That is an environment's settings, a policy, or a member's roles. `key`: of the flag, segment, environment
    or policy, or the member's pseudonym.
    """

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
            case ["project", project, "expectations", key] if project and key:
                return cls("expectations", project, key)
            case ["project", project, "environment-settings", key] if project and key:
                return cls("environment", project, key)
            case ["project", project, "policy", key] if project and key:
                return cls("policy", project, key)
            case ["access", "project", project, "member", key] if project and key:
                return cls("member", project, key)
        raise ValueError(
            f"{text!r} is no flag configuration, flag, segment, expectations, environment, policy or member's roles"
        )

    def words(self, place: str = "", *, begins: bool = False) -> str:
        """Its name for people. `place`: the environment's name, else its key. `begins`: a sentence does with it."""
        the = "The" if begins else "the"
        match self.kind:
            case "configuration":
                return f"{self.key} in {place or self.environment}"
            case "environment":
                return f"{the} environment {place or self.key}"
            case "definition" | "expectations":
                return f"{the} {self.kind} of {self.key}"
            case "member":
                return f"{'What' if begins else 'what'} {self.key} may do"
        return f"{the} {self.kind} {self.key}"

    @property
    def writing_rank(self) -> int:
        """What is written first: a segment, then a flag, then what that flag does somewhere, then its tests."""
        return _WRITING_ORDER.index(self.kind)

    def __str__(self) -> str:
        match self.kind:
            case "configuration":
                return f"project/{self.project}/environment/{self.environment}/flag/{self.key}"
            case "definition":
                return f"project/{self.project}/flag/{self.key}"
            case "environment":
                # Not `…/environment/<key>`: an auditor asks for reviews below that, and means what is served there.
                return f"project/{self.project}/environment-settings/{self.key}"
            case "member":
                return f"access/project/{self.project}/member/{self.key}"
        return f"project/{self.project}/{self.kind}/{self.key}"
