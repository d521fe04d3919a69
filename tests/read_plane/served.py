"""The read plane as granian serves it in the tests, configured by the environment."""

import os
from pathlib import Path

from distribution.read_plane import Rates, build


async def _lifespan_only(scope, receive, send):
    """Start and stop the read plane with the server, as the project's own application does."""
    if scope["type"] != "lifespan":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"behind"})
        return
    while True:
        message = await receive()
        (app.start if message["type"] == "lifespan.startup" else app.stop)()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


app = build(
    _lifespan_only,
    origin=os.environ["READ_PLANE_ORIGIN"],
    verify=[os.environ["READ_PLANE_VERIFY"]],
    redis_url=os.environ.get("READ_PLANE_REDIS"),
    database=None,
    directory=Path(os.environ["READ_PLANE_DIRECTORY"]),
    rates=Rates(
        key=int(os.environ.get("READ_PLANE_KEY_RATE", "0")),
        address=int(os.environ.get("READ_PLANE_ADDRESS_RATE", "0")),
    ),
)
