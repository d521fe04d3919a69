"""The products that are measured side by side, each through its own public API and its own format of flags."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from benchmarks.interleaved import Call
from benchmarks.workload import Flag

Attributes = Mapping[str, str | int]


class Product(ABC):
    """A product's client with a document in its memory, and no network."""

    name: str

    @staticmethod
    @abstractmethod
    def document(flags: Mapping[str, Flag]) -> bytes:
        """The flags as the product's server sends them."""

    @abstractmethod
    def __init__(self, document: bytes) -> None:
        """Loads the document, as after a first fetch."""

    @abstractmethod
    def check(self, flag: str, unit: str, attributes: Attributes, default: bool) -> Call:
        """One check as a service would write it; what it is asked about is in the product's form already."""

    @abstractmethod
    def check_by_turns(self, flag: str, units: Sequence[str], attributes: Attributes, default: bool) -> Call:
        """The same check for the next of the units at each call, so that no answer helps with another."""

    @abstractmethod
    def check_all(self, flags: list[str], units: Sequence[str], attributes: Attributes) -> Call:
        """A mapping of all flags, for the next of the units at each call: the product's own call for it, or one
        check for each flag.
        """
