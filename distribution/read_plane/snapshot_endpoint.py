"""`GET /sdk/v1/snapshot`: the signed bytes, untouched, to server-side keys."""

from countersign.snapshot import MEDIA_TYPE
from distribution.read_plane.access import grant_rules
from distribution.read_plane.answer import Answer, Scope
from distribution.read_plane.holder import Holder
from distribution.read_plane.request import already_has


def answer_snapshot(scope: Scope, holder: Holder, *, in_contact: bool) -> Answer:
    """200 with the snapshot or 304; raises RefusedError (401, 403 for client-side keys, 503)."""
    access = grant_rules(scope, holder, in_contact=in_contact, what="a snapshot holds")
    headers = {
        "etag": access.snapshot.etag,
        "cache-control": "private, no-cache",
        "vary": "Authorization",  # the same address is another environment with another key
    }
    if already_has(scope, access.snapshot.etag):
        return Answer(304, headers=headers)
    return Answer(200, access.snapshot.raw, MEDIA_TYPE, headers)
