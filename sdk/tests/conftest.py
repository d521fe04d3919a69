"""How often hypothesis tries: a little in every run, and for minutes with ``--hypothesis-profile=prove``."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Without deadlines: a busy machine is no counterexample. Without a database of examples: a run leaves no files.
settings.register_profile("sdk", deadline=None, database=None)
settings.register_profile(
    "prove", deadline=None, database=None, max_examples=5_000, suppress_health_check=list(HealthCheck)
)
settings.load_profile("sdk")
