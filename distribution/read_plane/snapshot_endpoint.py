"""`GET /sdk/v1/snapshot`: the signed bytes, untouched, to server-side keys."""

from countersign.snapshot import MEDIA_TYPE, Snapshot
from distribution.read_plane.access import grant_rules
from distribution.read_plane.answer import Answer, Scope
from distribution.read_plane.holder import Holder
from distribution.read_plane.keyring import SdkKey
from distribution.read_plane.request import already_has


def answer_snapshot(scope: Scope, key: SdkKey, snapshot: Snapshot | None, holder: Holder) -> Answer:
    """200 with the snapshot or 304; raises RefusedError (403 for client-side keys, 503)."""
    snapshot = grant_rules(key, snapshot, what="a snapshot holds").snapshot
    headers = {
        "etag": snapshot.etag,
        "cache-control": "private, no-cache",
        # The same address is another environment with another key. Of a 304 as of the 200 that it stands for.
        "vary": "Authorization, Accept-Encoding",
    }
    if already_has(scope, snapshot.etag):
        return Answer(304, headers=headers)
    return Answer(200, snapshot.raw, MEDIA_TYPE, headers, holder.gzipped(snapshot))
