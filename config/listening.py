"""Whether a port is free to serve on."""

from __future__ import annotations

import errno
import socket


class PortTakenError(Exception):
    """Somebody listens there already."""


def refuse_taken_port(host: str, port: int) -> None:
    """Raise `PortTakenError` if somebody listens on the port of that host; other trouble is the server's to tell.

    The web server asks the system to share ports (SO_REUSEPORT), so that a second one starts without a word,
    and each connection goes to either.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # With SO_REUSEADDR, so that connections of a server that ended are not in the way of the next one.
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"Something listens on {host}:{port} already, so that some answers would come from there. "
                "Stop it, or choose another port: COUNTERSIGN_PORT=8001."
            ) from error
