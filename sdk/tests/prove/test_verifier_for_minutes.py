"""What the bundle tests do a hundred times, for minutes: `PROVE_MINUTES` each (default 2)."""

from __future__ import annotations

import os
import time
from collections import Counter
from random import Random

from review_model import history
from test_bundle_mutations import judge_mutated
from test_review_model import agree

MINUTES = float(os.environ.get("PROVE_MINUTES", "2"))


def seeds() -> range:
    start = time.time_ns()  # other histories every time; a failure names its seed
    return range(start, start + 10**9)


def test_verifier_and_model_agree_on_random_histories() -> None:
    verdicts: Counter[bool] = Counter()
    end = time.monotonic() + 60 * MINUTES
    for seed in seeds():
        random = Random(seed)
        verdicts[agree(history(random, random.randint(1, 60))).refused is None] += 1
        if time.monotonic() > end:
            break
    print(f"{verdicts[True]} histories accepted, {verdicts[False]} refused, by both")
    assert min(verdicts.values()) > 20


def test_mutated_bundles_are_refused_or_right() -> None:
    verdicts: Counter[str] = Counter()
    end = time.monotonic() + 60 * MINUTES
    for seed in seeds():
        verdicts[judge_mutated(Random(seed))] += 1
        if time.monotonic() > end:
            break
    print(dict(verdicts))
    assert verdicts["refused"] > 20
