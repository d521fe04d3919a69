"""Countersign as a provider for OpenFeature's Python SDK; needs the extra ``countersign[openfeature]``."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from countersign.client import Client
from countersign.snapshot import Snapshot

if TYPE_CHECKING:
    from openfeature.flag_evaluation import FlagValueType

__all__ = ["CountersignProvider"]

T = TypeVar("T")

_METADATA = Metadata(name="countersign")
_REASONS = {reason.value: reason for reason in Reason}
_ERROR_CODES = {code.value: code for code in ErrorCode}


class CountersignProvider(AbstractProvider):
    """Answers OpenFeature's flag checks in this process, from a client's snapshot.

    Events: READY with the first snapshot, also one that comes after initialization gave up with ERROR;
    CONFIGURATION_CHANGED with each further snapshot; STALE past the client's ``max_staleness``, and READY
    once the server answers again.
    """

    def __init__(
        self,
        client: Client | str | None = None,
        *,
        ready_timeout: float = 10.0,
        event_interval: float = 1.0,
    ) -> None:
        """``client``: a client, which stays the caller's to close, or a DSN (COUNTERSIGN_DSN when omitted).

        ``ready_timeout``: seconds that initialization waits for the first snapshot. ``event_interval``:
        seconds between two looks for what there is to announce. Raises DsnError; ValueError for other
        settings.
        """
        super().__init__()
        if not ready_timeout >= 0 or not 0 < event_interval <= threading.TIMEOUT_MAX:
            raise ValueError("ready_timeout is in seconds, 0 or more; event_interval too, above 0")
        self._owns_client = not isinstance(client, Client)
        self._dsn = None if isinstance(client, Client) else client
        self._client = client if isinstance(client, Client) else Client(client)
        self._ready_timeout = min(ready_timeout, threading.TIMEOUT_MAX)
        self._event_interval = event_interval
        self._ending = threading.Event()
        self._watcher: threading.Thread | None = None
        self._announced: Snapshot | None = None
        _providers.add(self)

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return _METADATA

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Waits for the first snapshot. Raises ProviderNotReadyError when there is none in time.

        OpenFeature announces READY or ERROR by that. A client that is late makes it READY afterwards.
        """
        if self._owns_client and self._client.closed:
            self._client = Client(self._dsn)  # it was shut down, and is set once more
        self._ending.set()  # an earlier initialization's events
        self._ending = ending = threading.Event()  # made before the wait, which shutdown may overtake
        ready = self._client.wait_until_ready(self._ready_timeout)
        self._announced = self._client.snapshot if ready else None
        self._watch(ending)
        if not ready:
            reason = self._client.status().last_error or "the first poll is still under way"
            raise ProviderNotReadyError(f"no snapshot within {self._ready_timeout:g} seconds: {reason}")

    def shutdown(self) -> None:
        """Ends the events, and the client where this provider made it. What was fetched is still served."""
        self._ending.set()
        watcher, self._watcher = self._watcher, None
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(timeout=1.0)
        if self._owns_client:
            self._client.close()

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """The flag's value, or ``default_value``, and why."""
        return self._resolve(flag_key, default_value, evaluation_context, "boolean")

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The flag's value, or ``default_value``, and why."""
        return self._resolve(flag_key, default_value, evaluation_context, "string")

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """The flag's value, or ``default_value``, and why."""
        return self._resolve(flag_key, default_value, evaluation_context, "integer")

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """The flag's value, or ``default_value``, and why; an integer flag answers a float too."""
        return self._resolve(flag_key, default_value, evaluation_context, "float")

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """The flag's value, a copy that is the caller's own, or ``default_value``, and why."""
        return self._resolve(flag_key, default_value, evaluation_context, "object")

    def _resolve(
        self, flag_key: str, default: T, context: EvaluationContext | None, expected_type: str
    ) -> FlagResolutionDetails[T]:
        merged: Mapping[str, Any] | None = None
        if context is not None:
            merged = context.attributes
            if context.targeting_key is not None:
                merged = {**merged, "targetingKey": context.targeting_key}
        result = self._client.evaluate(flag_key, merged, expected_type)
        # By position, and copied by the mapping itself: by name and by dict() it takes half as long again.
        return FlagResolutionDetails(
            default if result.variant is None else result.value,
            None if result.error_code is None else _ERROR_CODES[result.error_code],
            result.error_message,
            _REASONS[result.reason],
            result.variant,
            result.metadata.copy(),
        )

    # Events

    def _watch(self, ending: threading.Event) -> None:
        self._watcher = threading.Thread(
            target=self._announce_changes, args=(ending,), name="countersign-events", daemon=True
        )
        self._watcher.start()

    def _restart_in_child(self) -> None:
        """After a fork the thread is gone, and its event may be locked by it."""
        if self._watcher is not None and not self._ending.is_set():
            self._ending = threading.Event()
            self._watch(self._ending)

    def _announce_changes(self, ending: threading.Event) -> None:
        """Looks at the client now and then, for a client gets stale also where nothing happens to it."""
        stale = False
        while not ending.wait(self._event_interval):
            status, snapshot = self._client.status(), self._client.snapshot
            if snapshot is None:
                continue
            metadata: dict[str, bool | str | int | float] = {"snapshot_version": snapshot.version}
            announced, self._announced = self._announced, snapshot
            if announced is None:
                self.emit_provider_ready(ProviderEventDetails(metadata=metadata))
            elif snapshot is not announced:
                changed = snapshot.changed_keys(announced)
                self.emit_provider_configuration_changed(
                    ProviderEventDetails(flags_changed=changed, metadata=metadata)
                )
            if status.stale and not stale:
                message = f"the server has not answered for {status.age:.0f} seconds: {status.last_error}"
                self.emit_provider_stale(ProviderEventDetails(message=message, metadata=metadata))
            elif stale and not status.stale:
                self.emit_provider_ready(ProviderEventDetails(metadata=metadata))
            stale = status.stale


_providers: weakref.WeakSet[CountersignProvider] = weakref.WeakSet()


def _restart_all_in_child() -> None:
    for provider in list(_providers):
        provider._restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all_in_child)
