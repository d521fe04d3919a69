"""`Idempotency-Key`: a client that does not know whether its write arrived sends it again; it counts once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from access.models import StoredAnswer
from access.scopes import scope_of
from audit.actor import Actor
from audit.jcs import digest

KEPT = timedelta(hours=24)
LONGEST_PATH = 700


class ReusedKeyError(APIException):
    """The key was used for another body."""

    status_code = 422
    default_code = "idempotency-key-reused"


class UnfinishedError(APIException):
    """The first request with this key has not been answered."""

    status_code = 409
    default_code = "idempotency-key-unfinished"


def answer(
    actor: Actor, key: str, request: Request, handle: Callable[[], Response], *, withheld: Sequence[str] = ()
) -> Response:
    """The answer to a write that is carried out once per actor, key, method and path.

    The claim is a row of its own, written before: two at the same time cannot both win. A refused write
    changed nothing, so its key is free again. `withheld`: members of the answer that are not stored.
    """
    if not key.isascii() or not key.isprintable() or not 1 <= len(key) <= 255:
        raise ValidationError({"Idempotency-Key": ["must be 1 to 255 printable ASCII characters"]})
    if len(request.path) > LONGEST_PATH:
        raise NotFound("There is nothing at this address.")  # no resource's is so long
    StoredAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    # A token that reaches less is not told what another one was answered.
    scope = scope_of(actor).document
    # With our key: a body may hold a password, which a plain digest would let whoever reads the row guess.
    sent = salted_hmac(__name__, digest([scope, request.data]), algorithm="sha256").hexdigest()
    stored, is_new = StoredAnswer.objects.get_or_create(
        actor=actor.id, key=key, method=request.method, path=request.path, defaults={"digest": sent}
    )
    if not is_new:
        return _repeated(stored, sent)
    try:
        response = handle()
    except BaseException:
        stored.delete()
        raise
    shown = response.data
    if withheld and isinstance(shown, dict):
        shown = {**shown, **dict.fromkeys(withheld)}
    stored.status, stored.body = response.status_code, JSONRenderer().render(shown).decode()
    stored.save()
    return response


def _repeated(stored: StoredAnswer, sent: str) -> Response:
    if stored.digest != sent:
        raise ReusedKeyError(
            f"The Idempotency-Key {stored.key!r} was used for another body; take a new key for a new request."
        )
    if stored.status is None:
        raise UnfinishedError(
            f"The first request with the Idempotency-Key {stored.key!r} has not been answered; "
            "look whether it took effect before you send it with another key."
        )
    body: Any = json.loads(stored.body) if stored.body else None
    return Response(body, status=stored.status, headers={"Idempotency-Replayed": "true"})
