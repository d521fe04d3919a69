"""The published OFREP client of Python decides as our evaluator does, and waits when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import GeneralError, ParseError

from countersign.snapshot import Snapshot
from tests.clients.conftest import CONTEXTS, FLAGS
from tests.read_plane.granian import Granian
from tests.read_plane.publisher import SERVER_KEY, Publisher

DEFAULTS = {"boolean": True, "string": "mine", "integer": -1, "float": -1.0, "object": {"mine": True}}


def provider_of(server: Granian) -> OFREPProvider:
    return OFREPProvider(server.url, headers_factory=lambda: {"Authorization": f"Bearer {SERVER_KEY}"})


def test_it_decides_as_our_evaluator(server: Granian, publisher: Publisher) -> None:
    provider = provider_of(server)
    snapshot = Snapshot.parse(publisher.snapshot(flags=FLAGS), verify=[publisher.vkey])
    for key, line in FLAGS.items():
        resolve = getattr(provider, f"resolve_{line['type']}_details")
        for attributes in CONTEXTS:
            others = {name: value for name, value in attributes.items() if name != "targetingKey"}
            context = EvaluationContext(attributes.get("targetingKey"), others)
            ours = snapshot.evaluate(key, attributes, line["type"])
            if ours.error_code == "PARSE_ERROR":
                with pytest.raises(ParseError):
                    resolve(key, DEFAULTS[line["type"]], context)
                continue
            theirs = resolve(key, DEFAULTS[line["type"]], context)
            value = ours.value if ours.has_value else DEFAULTS[line["type"]]
            assert (theirs.value, type(theirs.value)) == (value, type(value)), key
            assert (theirs.variant, theirs.reason) == (ours.variant or "", ours.reason), key
            given = {name: found for name, found in ours.metadata.items() if found is not None}
            assert theirs.flag_metadata == given, key


def test_it_asks_nothing_until_retry_after_is_over(serve: Callable[..., Granian]) -> None:
    provider = provider_of(serve(READ_PLANE_KEY_RATE="1"))
    for _ in range(2):
        assert provider.resolve_integer_details("integer", -1).value == 3000
    with pytest.raises(GeneralError, match="Rate limited, retry after: 1"):
        provider.resolve_integer_details("integer", -1)
    with pytest.raises(GeneralError, match="paused due to TooManyRequests"):
        provider.resolve_integer_details("integer", -1)
    time.sleep(1.05)
    assert provider.resolve_integer_details("integer", -1).value == 3000
