"""The gate over HTTP: change requests, kills and their reviews, rollout plans, policies."""
