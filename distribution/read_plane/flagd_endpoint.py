"""`GET /flagd/v1/flags`: the environment as flagd flag definitions, to server-side keys.

A document is made once for each snapshot and hash, in a thread: an environment of many flags takes longer than
other requests should wait.
"""

import asyncio
import hashlib
from urllib.parse import parse_qs

from countersign.flagd import HASHES, export
from countersign.snapshot import Snapshot
from distribution.read_plane.access import grant_rules
from distribution.read_plane.answer import Answer, RefusedError, Scope
from distribution.read_plane.keyring import SdkKey
from distribution.read_plane.request import already_has


class FlagdDocuments:
    """The documents of the newest snapshots, by environment and hash, with their entity tags."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[Snapshot, asyncio.Future[tuple[str, bytes]]]] = {}

    async def get(self, snapshot: Snapshot, hash: str) -> tuple[str, bytes]:
        """The entity tag and the bytes; who asks while they are being made waits for the same ones."""
        place = snapshot.environment, hash
        made = self._made.get(place)
        if made is None or made[0] is not snapshot or made[1].get_loop() is not asyncio.get_running_loop():
            making = asyncio.get_running_loop().run_in_executor(None, _make, snapshot, hash)
            made = self._made[place] = snapshot, making
        return await asyncio.shield(made[1])


def _make(snapshot: Snapshot, hash: str) -> tuple[str, bytes]:
    document = export(snapshot, hash).document
    return f'"{hashlib.sha256(document).hexdigest()[:32]}"', document


async def answer_flagd(
    scope: Scope, key: SdkKey, snapshot: Snapshot | None, documents: FlagdDocuments
) -> Answer:
    """200 with the document or 304; raises RefusedError (400, 403 for client-side keys, 503)."""
    access = grant_rules(key, snapshot, what="flag definitions hold")
    given = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    hash = given.get("hash", [HASHES[0]])[-1]
    if hash not in HASHES:
        raise RefusedError(400, f"hash: {hash[:60]!a} is none of flagd's; ask for {' or '.join(HASHES)}")
    etag, document = await documents.get(access.snapshot, hash)
    headers = {"etag": etag, "cache-control": "private, no-cache", "vary": "Authorization"}
    if already_has(scope, etag):
        return Answer(304, headers=headers)
    return Answer(200, document, "application/json", headers)
