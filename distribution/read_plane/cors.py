"""Which pages of other origins may read answers: only those that the presented client-side key allows.

What is refused here is refused by browsers. It keeps a key that was copied out of one page from working in
another; it does not keep a program out, which can claim any origin.
"""

from dataclasses import replace

from distribution.read_plane.answer import Answer, RefusedError, Scope, varying
from distribution.read_plane.holder import Holder
from distribution.read_plane.request import header, presented_key

# Seconds for which a browser need not ask again; the request itself is still checked each time.
_MAX_AGE = "600"


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks if it may send what it is about to send (Fetch standard, CORS-preflight)."""
    return (
        scope["method"] == "OPTIONS"
        and header(scope, "origin") is not None
        and header(scope, "access-control-request-method") is not None
    )


def answer_preflight(scope: Scope, holder: Holder) -> Answer:
    """204 where any client-side key allows the origin: a preflight has no key. Else raises RefusedError (403)."""
    origin = header(scope, "origin") or ""
    if not holder.allows(origin):
        raise RefusedError(
            403,
            f"Origin: {origin[:200]!a} is allowed by no client-side key; "
            "add it to the key's allowed origins on the environments page",
        )
    return Answer(
        204,
        headers={
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "Authorization, Content-Type, If-None-Match, X-API-Key",
            "access-control-max-age": _MAX_AGE,
        },
    )


def shared(answer: Answer, scope: Scope, holder: Holder) -> Answer:
    """`answer`, readable by the page that asked where its key allows that.

    A preflight and a refused key have no list of their own: any client-side key's will do, so that a page
    learns that its key was revoked.
    """
    origin = header(scope, "origin")
    if origin is None:
        return answer
    presented = presented_key(scope, api_key=True)
    found = holder.find_key(presented) if presented is not None else None
    headers = varying(answer.headers, "Origin")
    if found[0].allows(origin) if found is not None else holder.allows(origin):
        headers["access-control-allow-origin"] = origin
        headers["access-control-expose-headers"] = "ETag, Retry-After"
    return replace(answer, headers=headers)
