"""Going back: what stood before a request, or any earlier version."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.api.body import Body, Key, Moment, Text, Whole
from approvals import rollback, workflow
from approvals.api.change_shown import (
    ChangeRequestDetailSerializer,
    OfChangeRequests,
)
from approvals.api.kills import EmergencySerializer
from audit.models import Event
from flags.models import Project


class WhyBody(Body):
    """Why, and when, for a change that is otherwise known."""

    title = Text(required=False, max_length=200, help_text="Left out: one that says what it does.")
    rationale = Text(required=False, allow_blank=True, max_length=4_000)
    ticket = Text(required=False, allow_blank=True, max_length=200)
    scheduled_at = Moment(
        required=False,
        allow_null=True,
        help_text="When to apply it, once approved. Left out: at once. Null: when somebody says so.",
    )


class RevertBody(Body):
    """Taking back what was applied."""

    rationale = Text(required=False, allow_blank=True, max_length=4_000)
    ticket = Text(required=False, allow_blank=True, max_length=200)


class VersionBody(Body):
    """An earlier version."""

    project = Key()
    event = serializers.UUIDField(help_text="Of the history: what it put there is asked for again.")
    base = Whole(
        required=False,
        min_value=0,
        help_text="The version that stands there now, as you saw it; without it, 409.",
    )


class RestoreBody(VersionBody, WhyBody):
    """An earlier version to bring back."""


_VERSION = {"project": "shop", "event": "3f2b8a53-7d0c-4f6e-9b1e-2a4f3c5d6e7f", "base": 7}


class ChangeReverts(OfChangeRequests):
    """Each is a request of its own, but for what on-call takes back at once."""

    @extend_schema(
        request=RevertBody,
        responses={201: ChangeRequestDetailSerializer},
        examples=[
            OpenApiExample(
                "Go back", {"rationale": "Orders fail since.", "ticket": "SHOP-124"}, request_only=True
            )
        ],
    )
    def revert(self, request: Request, number: int) -> Response:
        """Ask for what stood before an applied request. 409 where that does not apply cleanly any more."""
        given = self.body(request, RevertBody)
        row = self.one(request, number)
        return self.shown(rollback.propose_revert(self.actor(request), row, **given), 201)

    @extend_schema(
        request=None,
        responses=ChangeRequestDetailSerializer,
    )
    def revert_at_once(self, request: Request, number: int) -> Response:
        """Take back what was applied in the last 24 hours, without review, where policy allows on-call to.

        What is carried out was approved with the change itself; somebody reviews afterwards that it was
        taken back, as after a kill.
        """
        self.body(request)
        row = self.one(request, number)
        workflow.revert_at_once(self.actor(request), row)
        return self.shown(self.one(request, number))

    @extend_schema(
        request=RestoreBody,
        responses={201: ChangeRequestDetailSerializer},
        examples=[
            OpenApiExample(
                "As it was before the sale",
                {**_VERSION, "rationale": "The sale is over."},
                request_only=True,
            )
        ],
    )
    def restore(self, request: Request) -> Response:
        """Ask for an earlier version of a configuration, definition or segment."""
        given = self.body(request, RestoreBody)
        project, event = self._event(request, given)
        base = self.based(given, event.subject)
        made = rollback.propose_restore(self.actor(request), project, event, base=base, **given)
        return self.shown(made, 201)

    @extend_schema(
        request=VersionBody,
        responses={201: EmergencySerializer(many=True)},
        examples=[OpenApiExample("As it was before the last two changes", _VERSION, request_only=True)],
    )
    def restore_at_once(self, request: Request) -> Response:
        """Bring back a version that stood there in the last 24 hours, without review, where policy allows on-call to.

        All that changed it since is taken back, each request by the way back that was approved with it. The reviews
        that are owed afterwards are returned.
        """
        given = self.body(request, VersionBody)
        project, event = self._event(request, given)
        base = self.based(given, event.subject)
        owed = workflow.restore_at_once(self.actor(request), project, event, base=base)
        return Response(EmergencySerializer(owed, many=True).data, 201)

    def _event(self, request: Request, given: dict[str, Any]) -> tuple[Project, Event]:
        project = self.project(request, given.pop("project"))
        event = Event.objects.filter(pk=given.pop("event"), project=project.key).first()
        if event is None:
            raise NotFound(f"There is no such event in {project.key}; take one of the history.")
        return project, event
