"""Runs in the environment of a published flagd provider for Python: decisions from a file, in process.

Standard input: {"document": path, "flags": [[key, type]…], "contexts": […]}. Standard output: for each context,
for each flag [value, variant, reason, error code].
"""

import json
import logging
import sys

from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext

logging.disable(logging.CRITICAL)
asked = json.load(sys.stdin)
api.set_provider_and_wait(
    FlagdProvider(
        resolver_type=ResolverType.IN_PROCESS, offline_flag_source_path=asked["document"], deadline_ms=60_000
    )
)
client = api.get_client()
defaults = {
    "boolean": True,
    "string": "caller",
    "integer": 123456789,
    "float": 0.123,
    "object": {"caller": 1},
}
answers = []
for members in asked["contexts"]:
    key = members.pop("targetingKey", None)
    context = EvaluationContext(key, members)
    answers.append([])
    for flag, kind in asked["flags"]:
        details = getattr(client, f"get_{kind}_details")(flag, defaults[kind], context)
        error = details.error_code and f"{details.error_code}: {details.error_message}"
        answers[-1].append([details.value, details.variant, details.reason, error])
json.dump(answers, sys.stdout)
sys.stdout.flush()
