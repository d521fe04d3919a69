"""The HTTP edge of `access`, and the frame that the `api` module of every app stands on.

The frame is here, in the lowest app that has an edge: `endpoint` (the base of all views), `body` (what
requests may contain), `strict_json`, `pages` (cursors), `once` (`Idempotency-Key`), `openapi`.
"""
