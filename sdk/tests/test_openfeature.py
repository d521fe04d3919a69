"""The provider behind the published OpenFeature SDK: its API, clients, events and hooks as they are."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import queue
import time
from collections.abc import Iterator

import pytest
from flag_server import FlagServer, flag_server
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails
from signed_snapshots import a_flag, body_of, signed

from countersign import Client, DsnError, Snapshot
from countersign.openfeature import CountersignProvider

ON = {"variant": "on"}
VALUES = {"boolean": True, "string": "x", "integer": 3, "float": 3, "object": {"a": [1]}}
FLAGS = {
    kind: a_flag(type=kind, variants={"v": value}, off="v", default={"variant": "v"}, change="CR-3")
    for kind, value in VALUES.items()
}


@pytest.fixture(autouse=True)
def api_as_new() -> Iterator[None]:
    yield
    api.clear_providers()  # and the handlers of events
    api.set_evaluation_context(EvaluationContext())


class Events:
    """What the API's handlers are told, in turn."""

    def __init__(self) -> None:
        self._seen: queue.Queue[tuple[ProviderEvent, EventDetails]] = queue.Queue()
        for event in ProviderEvent:

            def handler(details: EventDetails, event: ProviderEvent = event) -> None:
                self._seen.put((event, details))

            api.add_handler(event, handler)
        while not self._seen.empty() or self._waited():
            self._seen.get()  # that the SDK's own first provider is ready

    def _waited(self) -> bool:
        time.sleep(0.05)
        return not self._seen.empty()

    def next(self, event: ProviderEvent) -> EventDetails:
        """The next one, which is of this kind."""
        seen, details = self._seen.get(timeout=10)
        assert seen is event
        assert details.provider_name == "countersign"
        return details


def from_file(tmp_path, flags: dict, **context: object) -> Client:
    path = tmp_path / "flags.snapshot"
    path.write_bytes(signed(body_of(flags)))
    return Client.from_file(path, context=context)


def publish(server: FlagServer, flags: dict, *, version: int = 1287, segments: dict | None = None) -> None:
    raw = signed(body_of(flags, segments), version=version)
    server.raw, server.etag = raw, Snapshot.parse(raw).etag


def test_each_type_is_resolved_with_variant_reason_and_metadata(tmp_path):
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, FLAGS)))
    client = api.get_client()
    answers = [
        client.get_boolean_details("boolean", False),
        client.get_string_details("string", ""),
        client.get_integer_details("integer", 0),
        client.get_float_details("float", 0.0),
        client.get_object_details("object", {}),
    ]
    assert [answer.value for answer in answers] == list(VALUES.values())
    assert type(answers[3].value) is float
    assert client.get_float_value("integer", 0.0) == 3.0
    for answer in answers:
        assert (answer.variant, answer.reason, answer.error_code) == ("v", Reason.STATIC, None)
        assert answer.flag_metadata == {
            "cause": "default",
            "flag_version": 7,
            "snapshot_version": 1287,
            "change": "CR-3",
        }
        assert dataclasses.asdict(answer)["flag_metadata"] == answer.flag_metadata
    assert client.get_provider_status() is ProviderStatus.READY
    assert client.provider.get_metadata().name == "countersign"
    assert asyncio.run(client.get_string_value_async("string", "")) == "x"


def test_a_returned_object_is_the_caller_s_own(tmp_path):
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, FLAGS)))
    client = api.get_client()
    client.get_object_value("object", {})["a"].append(2)  # type: ignore[index,union-attr]
    assert client.get_object_value("object", {}) == {"a": [1]}


def test_an_error_gives_the_caller_s_default_and_its_code(tmp_path):
    flags = {**FLAGS, "broken": a_flag(fail_safe="x")}
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, flags)))
    client = api.get_client()
    for key, code in [
        ("nowhere", ErrorCode.FLAG_NOT_FOUND),
        ("boolean", ErrorCode.TYPE_MISMATCH),
        ("broken", ErrorCode.PARSE_ERROR),
    ]:
        answer = client.get_string_details(key, "mine")
        assert (answer.value, answer.variant, answer.reason) == ("mine", None, Reason.ERROR)
        assert answer.error_code is code
        assert key in (answer.error_message or "")


def test_without_a_variant_the_caller_s_default_is_served_without_an_error(tmp_path):
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, {"f": a_flag(killed=True, off=None)})))
    answer = api.get_client().get_boolean_details("f", True)
    assert (answer.value, answer.variant, answer.reason, answer.error_code) == (
        True,
        None,
        Reason.DISABLED,
        None,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"targets": {"on": ["u"]}}, Reason.TARGETING_MATCH),
        ({"default": {"split": {"weights": [["on", 1]]}}}, Reason.SPLIT),
        ({"default": ON, "rules": [{"id": "r", "serve": {"variant": "off"}}]}, Reason.TARGETING_MATCH),
        ({"regions": {"eu": True}}, Reason.DEFAULT),
        ({"enabled": False}, Reason.DISABLED),
    ],
)
def test_a_reason_is_openfeature_s_own(tmp_path, changes, reason):
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, {"f": a_flag(**changes)})))
    answer = api.get_client().get_boolean_details("f", False, EvaluationContext("u"))
    assert answer.reason is reason


def test_the_contexts_of_api_client_and_call_are_what_flags_see(tmp_path):
    def rule(name: str, value: object) -> dict:
        return {"attribute": name, "operator": "in", "values": [value]}

    constraints = [
        rule("targetingKey", "u"),
        rule("plan", "gold"),
        rule("country", "DK"),
        rule("region", "eu"),
    ]
    flag = a_flag(rules=[{"id": "r", "constraints": constraints, "serve": ON}])
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, {"f": flag}, region="eu")))
    api.set_evaluation_context(EvaluationContext(attributes={"plan": "gold", "country": "SE"}))
    client = api.get_client()
    assert client.get_boolean_value("f", False) is False
    assert client.get_boolean_value("f", False, EvaluationContext("u", {"country": "DK"})) is True
    assert client.get_boolean_value("f", False, EvaluationContext(None, {"country": "DK"})) is False
    attribute = EvaluationContext(None, {"country": "DK", "targetingKey": "u"})
    assert client.get_boolean_value("f", False, attribute) is True


class Recording(Hook):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext:
        self.told.append("before")
        return EvaluationContext("from-hook")

    def after(self, hook_context: HookContext, details: FlagEvaluationDetails, hints: HookHints) -> None:
        self.told.append(details.variant)

    def error(self, hook_context: HookContext, exception: Exception, hints: HookHints) -> None:
        self.told.append(type(exception).__name__)

    def finally_after(
        self, hook_context: HookContext, details: FlagEvaluationDetails, hints: HookHints
    ) -> None:
        self.told.append(hook_context.provider_metadata.name)  # type: ignore[union-attr]


def test_hooks_change_the_context_and_see_results_and_errors(tmp_path):
    api.set_provider_and_wait(
        CountersignProvider(from_file(tmp_path, {"f": a_flag(targets={"on": ["from-hook"]})}))
    )
    client, hook = api.get_client(), Recording()
    client.add_hooks([hook])
    assert client.get_boolean_value("f", False) is True
    assert client.get_boolean_value("nowhere", True) is True
    assert hook.told == ["before", "on", "countersign", "before", "FlagNotFoundError", "countersign"]


def test_events_tell_of_changes_of_staleness_and_of_the_server_s_return():
    with flag_server() as server:
        first = {"a": a_flag(), "b": a_flag(), "c": a_flag()}
        publish(server, first)
        with Client(server.dsn(), poll_interval=0.02, max_staleness=0.5) as client:
            events = Events()
            api.set_provider_and_wait(CountersignProvider(client, event_interval=0.01))
            events.next(ProviderEvent.PROVIDER_READY)
            publish(server, {"a": a_flag(), "b": a_flag(default=ON), "d": a_flag()}, version=1288)
            details = events.next(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
            assert details.flags_changed == ["b", "c", "d"]
            assert details.metadata == {"snapshot_version": 1288}
            assert api.get_client().get_boolean_value("b", False) is True
            publish(server, first, version=1289, segments={"beta": {"version": 1}})
            assert events.next(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED).flags_changed is None
            server.status = 503
            assert "503" in (events.next(ProviderEvent.PROVIDER_STALE).message or "")
            assert api.get_client().get_provider_status() is ProviderStatus.STALE
            assert api.get_client().get_boolean_details("a", True).reason is Reason.STALE
            server.status = 200
            events.next(ProviderEvent.PROVIDER_READY)
            assert api.get_client().get_provider_status() is ProviderStatus.READY


def test_a_provider_that_is_late_is_an_error_first_and_ready_then():
    with flag_server() as server:
        publish(server, {"f": a_flag(default=ON)})
        server.status = 503
        with Client(server.dsn(), poll_interval=0.02) as client:
            events, provider = Events(), CountersignProvider(client, ready_timeout=0.3, event_interval=0.05)
            with pytest.raises(ProviderNotReadyError, match="503"):
                api.set_provider_and_wait(provider)
            assert events.next(ProviderEvent.PROVIDER_ERROR).error_code is ErrorCode.PROVIDER_NOT_READY
            answer = api.get_client().get_boolean_details("f", False)
            assert (answer.value, answer.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)
            server.status = 200
            assert events.next(ProviderEvent.PROVIDER_READY).metadata == {"snapshot_version": 1287}
            assert api.get_client().get_boolean_value("f", False) is True


def test_shutdown_closes_the_provider_s_own_client_and_nobody_else_s():
    with flag_server() as server:
        publish(server, {"f": a_flag(default=ON)})
        with Client(server.dsn(), poll_interval=0.02) as theirs:
            own = CountersignProvider(server.dsn())
            for provider in (own, CountersignProvider(theirs)):
                api.set_provider_and_wait(provider)
                assert api.get_client().get_boolean_value("f", False) is True
                api.clear_providers()
            assert own._client._closing.is_set()
            assert not theirs._closing.is_set()


def test_shutdown_ends_the_events(tmp_path):
    provider = CountersignProvider(from_file(tmp_path, {}), event_interval=0.01)
    provider.initialize(EvaluationContext())
    watcher = provider._watcher
    provider.shutdown()
    assert watcher is not None
    assert not watcher.is_alive()


def test_a_provider_that_was_shut_down_starts_anew_when_it_is_set_again():
    with flag_server() as server:
        publish(server, {"f": a_flag()})
        provider = CountersignProvider(server.dsn())
        api.set_provider_and_wait(provider)
        api.shutdown()
        api.clear_providers()
        publish(server, {"f": a_flag(default=ON)}, version=1288)
        api.set_provider_and_wait(provider)
        assert api.get_client().get_boolean_value("f", False) is True
        api.clear_providers()


def test_initializing_twice_leaves_one_that_tells_events():
    with flag_server() as server:
        publish(server, {"f": a_flag()})
        with Client(server.dsn(), poll_interval=0.02) as client:
            told: queue.Queue[ProviderEvent] = queue.Queue()
            provider = CountersignProvider(client, event_interval=0.01)
            provider.attach(lambda provider, event, details: told.put(event))
            provider.initialize(EvaluationContext())
            provider.initialize(EvaluationContext())
            publish(server, {"f": a_flag(default=ON)}, version=1288)
            assert told.get(timeout=10) is ProviderEvent.PROVIDER_CONFIGURATION_CHANGED
            time.sleep(0.2)
            assert told.empty()
            provider.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_events_go_on_in_the_child_of_a_fork():
    with flag_server() as server:
        publish(server, {"f": a_flag()})
        with Client(server.dsn(), poll_interval=0.02) as client:
            told: list[ProviderEvent] = []
            provider = CountersignProvider(client, event_interval=0.01)
            provider.attach(lambda provider, event, details: told.append(event))
            provider.initialize(EvaluationContext())
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    deadline = time.monotonic() + 10
                    while not told and time.monotonic() < deadline:
                        time.sleep(0.01)
                    code = 0 if told == [ProviderEvent.PROVIDER_CONFIGURATION_CHANGED] else 2
                finally:
                    os._exit(code)
            publish(server, {"f": a_flag(default=ON)}, version=1288)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            provider.shutdown()


def test_a_flag_whose_prerequisite_changed_is_told_as_changed():
    def needing(key: str) -> dict:
        return a_flag(prerequisites=[{"flag": key, "variants": ["on"]}])

    with flag_server() as server:
        flags = {"base": a_flag(), "near": needing("base"), "far": needing("near"), "other": needing("gone")}
        publish(server, flags)
        with Client(server.dsn(), poll_interval=0.02) as client:
            events = Events()
            api.set_provider_and_wait(CountersignProvider(client, event_interval=0.01))
            events.next(ProviderEvent.PROVIDER_READY)
            publish(server, {**flags, "base": a_flag(default=ON)}, version=1288)
            changed = events.next(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED).flags_changed
            assert changed == ["base", "far", "near"]


ASYNC = [
    ("boolean", False, "get_boolean_details_async"),
    ("string", "", "get_string_details_async"),
    ("integer", 0, "get_integer_details_async"),
    ("float", 0.0, "get_float_details_async"),
    ("object", {}, "get_object_details_async"),
]


@pytest.mark.parametrize(("kind", "default", "method"), ASYNC)
def test_the_async_methods_answer_the_same(tmp_path, kind, default, method):
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, FLAGS)))
    client = api.get_client()
    answer = asyncio.run(getattr(client, method)(kind, default))
    assert answer == getattr(client, method.removesuffix("_async"))(kind, default)
    assert (answer.value, answer.variant, answer.error_code) == (VALUES[kind], "v", None)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize(("asked", "default", "method"), ASYNC)
def test_another_type_than_the_flag_s_is_a_mismatch_except_an_integer_as_float(
    tmp_path, kind, asked, default, method
):
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, FLAGS)))
    answer = getattr(api.get_client(), method.removesuffix("_async"))(kind, default)
    if kind == asked or (kind, asked) == ("integer", "float"):
        assert (answer.value, answer.error_code, answer.error_message) == (VALUES[kind], None, None)
    else:
        assert (answer.value, answer.reason) == (default, Reason.ERROR)
        assert answer.error_code is ErrorCode.TYPE_MISMATCH


@pytest.mark.parametrize(
    ("kind", "value", "default"), [("boolean", False, True), ("integer", 0, 1), ("string", "", "mine")]
)
def test_a_falsy_value_is_a_value(tmp_path, kind, value, default):
    flag = a_flag(type=kind, variants={"zero": value}, off="zero", default={"variant": "zero"})
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, {"f": flag})))
    answer = getattr(api.get_client(), f"get_{kind}_details")("f", default)
    assert (answer.value, answer.variant, answer.reason) == (value, "zero", Reason.STATIC)


def test_the_largest_integer_keeps_all_its_digits(tmp_path):
    flag = a_flag(type="integer", variants={"v": 2**53 - 1}, off="v", default={"variant": "v"})
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, {"f": flag})))
    assert api.get_client().get_integer_value("f", 1) == 9007199254740991


def test_metadata_holds_only_what_openfeature_allows_and_is_the_caller_s_own(tmp_path):
    api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, FLAGS)))
    client = api.get_client()
    metadata = client.get_boolean_details("boolean", False).flag_metadata
    assert all(type(value) in (bool, int, float, str) for value in metadata.values())
    metadata["cause"] = "mine"  # type: ignore[index]
    assert client.get_boolean_details("boolean", False).flag_metadata["cause"] == "default"


def test_tracking_does_nothing_and_there_are_no_provider_hooks(tmp_path):
    provider = CountersignProvider(from_file(tmp_path, FLAGS))
    api.set_provider_and_wait(provider)
    api.get_client().track("checkout", EvaluationContext("u"), TrackingEventDetails(9.5, {"currency": "EUR"}))
    assert provider.get_provider_hooks() == []


def test_a_handler_of_another_domain_is_told_nothing(tmp_path):
    with flag_server() as server:
        publish(server, {"f": a_flag()})
        with Client(server.dsn(), poll_interval=0.02) as client:
            told: list[str] = []
            here, other = api.get_client("here"), api.get_client("other")
            changed = ProviderEvent.PROVIDER_CONFIGURATION_CHANGED
            here.add_handler(changed, lambda details: told.append("here"))
            other.add_handler(changed, lambda details: told.append("other"))
            api.set_provider_and_wait(CountersignProvider(client, event_interval=0.01), "here")
            api.set_provider_and_wait(CountersignProvider(from_file(tmp_path, FLAGS)), "other")
            publish(server, {"f": a_flag(default=ON)}, version=1288)
            deadline = time.monotonic() + 10
            while not told and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.1)
            assert told == ["here"]


def test_a_setting_that_cannot_be_meant_is_refused(tmp_path):
    client = from_file(tmp_path, {})
    for settings in ({"ready_timeout": -1}, {"event_interval": 0}, {"event_interval": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            CountersignProvider(client, **settings)
    with pytest.raises(DsnError):
        CountersignProvider("flags.example.com")
