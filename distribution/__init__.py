"""Snapshots: compile, sign, store, announce; and the read plane that serves them from memory."""
