"""Signing in: identity providers of the organisation, what their groups give, and the local door."""
