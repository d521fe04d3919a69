"""Where published documents are kept: what the read plane asks of any store.

Stores are not trusted. Whatever they return is verified by the holder before it is used, so a store
needs no knowledge of signatures, and losing or corrupting one can only cost freshness.
"""

import re
from collections.abc import Mapping
from typing import Protocol

_KEY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_ENVIRONMENT = re.compile(rf"{_KEY}/{_KEY}", re.ASCII)


class Store(Protocol):
    """A place that holds the newest snapshot and keyring of every environment.

    Environments are named `<project>/<environment>`. Any method may raise any exception when the store
    cannot answer; None and absence mean that it answered and has nothing.
    """

    def get_snapshot(self, environment: str) -> bytes | None:
        """The signed snapshot of `environment`, byte for byte as published; None where there is none."""
        ...

    def get_keyring(self, environment: str) -> bytes | None:
        """The signed keyring of `environment`, byte for byte as published; None where there is none."""
        ...

    def versions(self) -> Mapping[str, tuple[int, int]]:
        """Environment -> (snapshot version, keyring version), 0 for what is not there; cheap to ask."""
        ...


def is_environment(name: str) -> bool:
    """Whether `name` is `<project key>/<environment key>`, and so fit for a file or store key."""
    return _ENVIRONMENT.fullmatch(name) is not None
