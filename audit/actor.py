"""Who acts, and by which door."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Door = Literal["ui", "api", "task", "cli"]


class CommandLineOnlyError(Exception):
    """The verb is for whoever may run commands on the server, and came by another door."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, service account or task of ours, named by a pseudonymous id such as `user:3f9a…`.

    `personal` (name, address) is kept beside an event, behind salted digests, never in it. `credential`:
    which token or trust rule the request came with, such as `token/7`; empty for a session.
    """

    id: str
    via: Door
    request_id: str = ""
    personal: Mapping[str, str] = field(default_factory=dict)
    credential: str = ""

    @property
    def document(self) -> dict[str, str]:
        """As events name it."""
        named = {"id": self.id, "via": self.via}
        return {**named, "credential": self.credential} if self.credential else named

    @property
    def is_system(self) -> bool:
        """Whether this is one of our own tasks, which act under somebody's approval only."""
        return self.id.startswith("system:")

    def require_command_line(self, what: str) -> None:
        """Raise `CommandLineOnlyError` unless a command of ours acts, run by an operator."""
        if not (self.is_system and self.via == "cli"):
            raise CommandLineOnlyError(f"{what} is done on the server, with `manage.py`, by its operators.")
