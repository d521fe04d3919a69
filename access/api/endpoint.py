"""The base of all views of `/api/v1/`: who asks, what they may see, and what they sent."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, NotFound, ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from access.api import once
from access.api.body import Body, Nothing
from access.api.openapi import DocumentedSchema
from access.api.pages import Pages
from access.api.rates import rates
from access.api.strict_json import StrictJSONParser
from access.held import Held
from access.permissions import projects_where, request_actor, require
from audit.actor import Actor
from flags.models import Environment, Project

_PAGING = frozenset({"cursor", "limit"})
_WRITING = frozenset({"post", "put", "patch", "delete"})


class Endpoint(ViewSet):
    """A resource. Its methods parse, authorise and call one verb; `config.problems` words the refusals."""

    parser_classes = (StrictJSONParser,)
    renderer_classes: tuple[type[BaseRenderer], ...] = (JSONRenderer,)
    pagination_class = Pages
    metadata_class = None
    schema = DocumentedSchema()
    # Integer columns that are unique together; lists are in this order.
    ordering: tuple[str, ...] = ("pk",)
    # Members of an answer that are shown once and never stored, not even for an `Idempotency-Key`.
    shown_once: tuple[str, ...] = ()
    _held: Held | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        sent = request._request
        if not sent.META.get("CONTENT_LENGTH"):
            # A chunked body has no length, which Django REST framework takes for no body.
            sent.META["CONTENT_LENGTH"] = str(len(sent.body))
        self._identify(request, *args, **kwargs)
        # PostgreSQL has no text with U+0000: no stored key can be meant.
        if any("\x00" in value for value in kwargs.values() if isinstance(value, str)):
            raise NotFound("The path contains the character U+0000; nothing is called that.")
        for name, value in request.query_params.items():
            if "\x00" in f"{name}{value}":
                raise ValidationError({name.replace("\x00", "␀"): ["contains the character U+0000"]})
        key = request.headers.get("Idempotency-Key")
        # `dispatch` looks the handler up by this name after us; there is none where the method is not allowed.
        name = str(request.method).lower()
        handler = getattr(self, name, None)
        if name in _WRITING and handler is not None and key is not None:
            actor = self.actor(request)

            def once_only(*args: Any, **kwargs: Any) -> Response:
                return once.answer(
                    actor, key, request, lambda: handler(*args, **kwargs), withheld=self.shown_once
                )

            setattr(self, name, once_only)

    def _identify(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find out who asks, no more often than they may."""
        limits = rates(settings.API_RATE)
        if limits is not None:
            limits.admit(request)
        try:
            super().initial(request, *args, **kwargs)
        except (AuthenticationFailed, NotAuthenticated):
            if limits is not None:
                limits.refused(request)
            raise
        if limits is not None:
            actor = self.actor(request)
            limits.charge(actor.credential or actor.id)

    def actor(self, request: Request) -> Actor:
        """Who asks."""
        return request_actor(request, "api")

    def visible(self, request: Request, verb: str = "project.view") -> QuerySet[Project]:
        """The projects in which the caller holds the verb."""
        return projects_where(self.actor(request), verb, self.held(request))

    def held(self, request: Request) -> Held:
        """The caller's roles, read once for what they may see.

        Whoever changes something asks anew; what is shown after that is what they saw before it.
        """
        self._held = self._held or Held(self.actor(request))  # each request has an endpoint of its own
        return self._held

    def visible_or_refused(self, request: Request, verb: str, project: str | None) -> QuerySet[Project]:
        """As `visible`; refused where the caller sees the project meant, but lacks the verb in it.

        `project` None means any. Raises `ForbiddenError`.
        """
        holding = self.visible(request, verb)
        if project is not None or not holding.exists():
            seen = self.visible(request)
            meant = (seen if project is None else seen.filter(key=project)).first()
            if meant is not None:
                require(self.actor(request), verb, meant)
        return holding

    def project(self, request: Request, key: str) -> Project:
        """A project that the caller may see. Raises NotFound."""
        found: Project | None = self.visible(request).filter(key=key).first()
        if found is None:
            raise NotFound(f"There is no project {key!r}; you see the ones in which you have a role.")
        return found

    def environment(self, request: Request, project: str, key: str) -> Environment:
        """An environment of a project that the caller may see. Raises NotFound."""
        found: Environment | None = (
            Environment.objects.filter(project=self.project(request, project), key=key)
            .select_related("project")
            .first()
        )
        if found is None:
            raise NotFound(f"There is no environment {key!r} in {project}.")
        return found

    def body(self, request: Request, kind: type[Body] = Nothing) -> dict[str, Any]:
        """The members of the request. Raises ValidationError naming what is wrong."""
        if request.data is None:
            raise ValidationError({"non_field_errors": ["The body must be an object."]})
        given = kind(data=request.data)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def filters(self, request: Request, kind: type[Body] = Nothing, *, paged: bool = True) -> dict[str, Any]:
        """The query parameters, of which unknown and repeated ones are refused by name."""
        given = request.query_params
        repeated = sorted(name for name, values in given.lists() if len(values) > 1)
        if repeated:
            raise ValidationError({repeated[0]: ["is given more than once"]})
        read = kind(data={name: value for name, value in given.items() if not paged or name not in _PAGING})
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)

    def based(self, given: dict[str, Any], subject: str) -> dict[str, int]:
        """Take `base` out of a body: by subject, the version that the change is based on; empty without it."""
        return {subject: given.pop("base")} if "base" in given else {}

    def page(
        self,
        request: Request,
        rows: QuerySet[Any],
        kind: type[serializers.BaseSerializer[Any]],
        context: dict[str, Any] | None = None,
    ) -> Response:
        """A page of rows, each shown by `kind`."""
        pages = self.pagination_class()
        shown = pages.paginate_queryset(rows, request, self)
        return pages.get_paginated_response(kind(shown, many=True, context=context or {}).data)
