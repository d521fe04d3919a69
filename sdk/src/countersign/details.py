"""What a client tells about one evaluation, in OpenFeature's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class EvaluationDetails(Generic[T]):
    """A value and why it is served.

    ``value``: the variant's, or the caller's default where ``variant`` is None. ``reason``,
    ``error_code``, ``error_message`` and ``flag_metadata``: as in ``Result``.
    """

    flag_key: str
    value: T
    variant: str | None
    reason: str
    error_code: str | None
    error_message: str | None
    flag_metadata: Mapping[str, Any]
