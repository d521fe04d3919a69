"""Refusals as RFC 9457 problem details: the one place that words domain errors for HTTP.

400 is for what cannot be read (JSON, types, parameters, unknown members), 422 for what can be read and
breaks a rule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.core.exceptions import ValidationError as RowError
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.response import Response

from access import refusals
from access.accounts import ErasedError
from access.erasure import ErasureError
from access.grants import LastAdministratorError, ReviewNeededError, UnknownRoleError
from access.limits import LimitsError
from access.machines import NameTakenError
from access.notifications.delivering import RedeliveryError
from access.permissions import ForbiddenError
from access.shown_factor import StaleFactorError
from access.signin.linking import LinkError
from access.teams import InUseError
from approvals.workflow import ConflictError, GateError, InvalidError
from audit.actor import Actor
from audit.history import OutdatedBaseError
from audit.ledger import LedgerError
from audit.selection import SelectionError
from countersign.document import DocumentError
from flags.catalogue import AlreadyExistsError

MEDIA_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem. Its address is stable: programs compare it."""

    slug: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"/api/problems/{self.slug}"


MALFORMED = Kind("malformed", 400, "The request cannot be read")
UNAUTHENTICATED = Kind("unauthenticated", 401, "Say who you are")
FORBIDDEN = Kind("forbidden", 403, "You lack the role for this")
FACTOR_NEEDED = Kind("factor-needed", 403, "Show your second factor again")
NOT_FOUND = Kind("not-found", 404, "There is no such thing for you")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This cannot be done here")
NOT_ACCEPTABLE = Kind("not-acceptable", 406, "Only JSON is served")
CONFLICT = Kind("conflict", 409, "Something else changed meanwhile")
WRONG_STATE = Kind("wrong-state", 409, "This is not possible now")
ALREADY_EXISTS = Kind("already-exists", 409, "The key is taken")
KEY_UNFINISHED = Kind("idempotency-key-unfinished", 409, "The first request has not been answered")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", 415, "Only JSON is understood")
INVALID = Kind("invalid", 422, "A rule is broken")
KEY_REUSED = Kind("idempotency-key-reused", 422, "The key belongs to another request")
THROTTLED = Kind("throttled", 429, "Too many requests")
UNFORESEEN = Kind("unforeseen", 500, "Something failed that nobody foresaw")
LEDGER_UNAVAILABLE = Kind("ledger-unavailable", 503, "The ledger cannot record it")
DATABASE_UNAVAILABLE = Kind("database-unavailable", 503, "The database does not answer")

KINDS = {kind.slug: kind for kind in list(vars().values()) if isinstance(kind, Kind)}
_BY_STATUS = {
    kind.status: kind
    for kind in reversed(list(KINDS.values()))
    if kind not in (FACTOR_NEEDED, CONFLICT, KEY_UNFINISHED, ALREADY_EXISTS, KEY_REUSED, LEDGER_UNAVAILABLE)
}

_UNFORESEEN = (
    "The server failed in a way that nobody foresaw; its log says how. A write is all or nothing: look whether "
    "it took effect, or send it again with the same Idempotency-Key."
)
Errors = list[dict[str, str]]


def problem(kind: Kind, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    """A problem as a response. `members` that are None are left out."""
    body = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail}
    body |= {name: value for name, value in members.items() if value is not None}
    return Response(body, kind.status, headers=dict(headers or {}), content_type=MEDIA_TYPE)


def handle(error: Exception, context: Mapping[str, Any]) -> Response:
    """The exception handler of the API. What nobody foresaw is a 500, with its trace in the log."""
    _count(error, context["request"])
    for type_, answer in _ANSWERS:
        if isinstance(error, type_):
            return answer(error)
    request = context["request"]
    logger.error("%s %s: nobody foresaw this", request.method, request.path, exc_info=error)
    # As Django does for what a view lets through: for whoever watches for failures.
    got_request_exception.send(sender=None, request=getattr(request, "_request", request))
    return problem(UNFORESEEN, _UNFORESEEN)


def _count(error: Exception, request: Any) -> None:
    """Refused access is counted, and told to the ledger in sums."""
    known = getattr(getattr(request, "_request", request), "countersign_actor", None)
    actor = known.id if isinstance(known, Actor) else ""
    if isinstance(error, ForbiddenError):
        refusals.count("forbidden", actor)
    elif isinstance(error, exceptions.Throttled):
        refusals.count("throttled", actor)
    elif isinstance(error, exceptions.AuthenticationFailed):
        refusals.count("unauthenticated")


def _conflict(error: ConflictError | OutdatedBaseError) -> Response:
    whole = problem(CONFLICT, str(error), subject=error.subject, found=error.found)
    # Null, not left out, where the write named no base: both versions are always told.
    whole.data["expected"] = error.expected
    return whole


def _invalid(error: InvalidError | DocumentError | LimitsError) -> Response:
    return _broken(INVALID, [{"member": error.member, "reason": error.reason}])


def _row(error: RowError) -> Response:
    if not hasattr(error, "error_dict"):
        return problem(INVALID, " ".join(error.messages))
    return _broken(
        INVALID,
        [
            {"member": member, "reason": reason}
            for member, reasons in error.message_dict.items()
            for reason in reasons
        ],
    )


def _broken(kind: Kind, errors: Errors) -> Response:
    detail = "; ".join(
        f"{each['member']}: {each['reason']}" if each["member"] else each["reason"] for each in errors
    )
    named = [each for each in errors if each["member"]]
    return problem(kind, detail, member=named[0]["member"] if named else None, errors=named or None)


def _api(error: exceptions.APIException) -> Response:
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]
    wait: float | None = getattr(error, "wait", None)  # of Throttled
    if wait is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    if isinstance(error, exceptions.ValidationError):
        unreadable = error.status_code == MALFORMED.status
        return _broken(MALFORMED if unreadable else INVALID, list(_flattened(error.detail)))
    code = error.get_codes()
    kind = KINDS.get(code) if isinstance(code, str) else None
    return problem(kind or _BY_STATUS.get(error.status_code, MALFORMED), str(error.detail), headers=headers)


def _flattened(detail: Any, member: str = "") -> Errors:
    """The errors of serializers, however nested, one per member: `operations[0].after`."""
    if isinstance(detail, Mapping):
        found: Errors = []
        for name, value in detail.items():
            if name == "non_field_errors":
                inner = member
            elif isinstance(name, int):
                inner = f"{member}[{name}]"
            else:
                inner = f"{member}.{name}" if member else str(name)
            found += _flattened(value, inner)
        return found
    if isinstance(detail, Sequence) and not isinstance(detail, str):
        found = []
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping)
            found += _flattened(value, f"{member}[{index}]" if nested else member)
        return found
    return [{"member": member, "reason": str(detail)}]


def _too_large(error: RequestDataTooBig) -> Response:
    return problem(TOO_LARGE, "The body is larger than 1 MiB; send less at a time.")


def _database(error: Exception) -> Response:
    logger.error("A request found no database", exc_info=error)
    return problem(
        DATABASE_UNAVAILABLE,
        "The database does not answer or is busy; nothing was changed. Send the request again.",
        headers={"Retry-After": "5"},
    )


def _text(kind: Kind) -> Callable[[Any], Response]:
    return lambda error: problem(kind, str(error))


# The first that fits: special errors before those they are a kind of.
_ANSWERS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], Response]], ...] = (
    ((ConflictError, OutdatedBaseError), _conflict),
    ((InvalidError, DocumentError, LimitsError), _invalid),
    (GateError, _text(WRONG_STATE)),
    (
        (
            LastAdministratorError,
            InUseError,
            ErasureError,
            ErasedError,
            LinkError,
            ReviewNeededError,
            RedeliveryError,
        ),
        _text(WRONG_STATE),
    ),
    (UnknownRoleError, lambda error: _broken(INVALID, [{"member": "role", "reason": str(error)}])),
    ((AlreadyExistsError, NameTakenError), _text(ALREADY_EXISTS)),
    (ForbiddenError, _text(FORBIDDEN)),
    (StaleFactorError, _text(FACTOR_NEEDED)),
    (LedgerError, _text(LEDGER_UNAVAILABLE)),
    (SelectionError, _text(INVALID)),
    (RowError, _row),
    (exceptions.APIException, _api),
    (Http404, lambda error: problem(NOT_FOUND, str(error) or "There is nothing at this address.")),
    (PermissionDenied, lambda error: problem(FORBIDDEN, str(error) or "This is not allowed.")),
    (RequestDataTooBig, _too_large),
    (SuspiciousOperation, lambda error: problem(MALFORMED, str(error) or "The request is malformed.")),
    ((OperationalError, InterfaceError), _database),
)


def or_page(kind: Kind, page: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """An error handler for what never came to a view: a problem below `/api`, the page elsewhere."""

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.path.startswith("/api"):
            return page(request, *args, **kwargs)
        detail = _UNFORESEEN if kind is UNFORESEEN else "The request is malformed; its host, for instance."
        body = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail}
        return JsonResponse(body, status=kind.status, content_type=MEDIA_TYPE)

    return answer


def problem_kind(request: HttpRequest, slug: str) -> JsonResponse:
    """What the address of a problem leads to: its title and status."""
    kind = KINDS.get(slug)
    if kind is None:
        body = {
            "type": NOT_FOUND.type,
            "title": NOT_FOUND.title,
            "status": 404,
            "detail": f"No problem is called {slug}.",
        }
        return JsonResponse(body, status=404, content_type=MEDIA_TYPE)
    return JsonResponse({"type": kind.type, "title": kind.title, "status": kind.status})
