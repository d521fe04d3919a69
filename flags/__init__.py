"""The catalogue: projects, environments, flags, configurations, segments, rollout plans, lifecycle."""
