"""The verifier against a second reading of the rules of reviews, on random histories."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from random import Random

from bundle_writer import digest, jcs, trust, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from review_model import BLOBS, History, Verdict, history, judge

from countersign.bundle import BundleError, verify_bundle


def verified(made: History) -> Verdict:
    """What the verifier says of the history's export."""
    shown = b"".join(line for index, line in enumerate(made.ledger.lines) if index not in made.hidden)
    blobs = [value for value in BLOBS.values() if digest(value).encode() in shown]
    with tempfile.TemporaryDirectory() as directory:
        bundle = write(Path(directory) / "b", made.ledger, withheld=made.hidden, blobs=blobs)
        try:
            report = verify_bundle(bundle, trust(made.ledger, max_withheld=len(made.hidden), **made.policy))
        except BundleError as refusal:
            match = re.match(r"entries.ndjson line [0-9]+ \(index ([0-9]+)\): ", str(refusal))
            if match is None:
                raise
            return Verdict(refused=int(match.group(1)))
    return Verdict(
        None,
        list(report.log_vouched),
        list(report.emergency),
        list(report.unreviewed),
        list(report.emergency_unreviewed),
    )


def explain(made: History) -> str:
    lines = [f"policy {made.policy}, withheld {sorted(made.hidden)}"]
    lines += [f"{index} {jcs(event)[:600].decode()}" for index, event in enumerate(made.ledger.events)]
    return "\n".join(lines)


def agree(made: History) -> Verdict:
    """The two readings say the same; returns what they say."""
    expected = judge(made)
    assert verified(made) == expected, explain(made)
    return expected


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**64), length=st.integers(1, 40))
def test_verifier_and_model_agree_on_random_histories(seed: int, length: int) -> None:
    agree(history(Random(seed), length))


def test_the_random_histories_reach_what_they_are_made_for() -> None:
    verdicts = [judge(history(Random(seed), 30)) for seed in range(120)]
    accepted = [verdict for verdict in verdicts if verdict.refused is None]
    assert 20 < len(accepted) < 115
    assert sum(bool(verdict.log_vouched) for verdict in accepted) > 10
    assert any(verdict.emergency and not verdict.emergency_unreviewed for verdict in accepted)
